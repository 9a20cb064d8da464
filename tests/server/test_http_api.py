"""Functions over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from reactor import Reactor
from reactor.engine.outcome import Outcome
from reactor.errors import Overloaded, StoreUnavailable
from tests.server.serving import ADMIN_KEY, Served

ADMIN = {"Authorization": f"Convex {ADMIN_KEY}"}
ENCODED = "convex_encoded_json"


def test_a_query_gives_its_value(served: Served) -> None:
    response = served.call("query", "sample_app:echo", args={"value": {"a": [1, None]}})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"status": "success", "value": {"a": [1, None]}}


def test_arguments_may_be_an_array_of_one_object(served: Served) -> None:
    response = served.call("query", "sample_app:echo", args=[{"value": 1}])
    assert response.json()["value"] == 1


def test_mutations_and_actions(served: Served) -> None:
    args = {"text": "over http"}
    for kind, path in (("mutation", "sample_app:add"), ("action", "sample_app:act")):
        response = served.call(kind, path, args=args)
        assert response.json() == {"status": "success", "value": "added over http"}


def test_log_lines_are_there_when_something_was_said(served: Served) -> None:
    assert served.call("query", "sample_app:says").json()["logLines"] == ["[LOG] 'hi'"]


def test_a_failing_function_is_an_answer_with_status_200(served: Served) -> None:
    response = served.call("query", "sample_app:fails")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "error"
    assert answer["errorMessage"].startswith("[Request ID: ")
    assert "Uncaught ValueError: the secret" in answer["errorMessage"]
    assert "errorData" not in answer


def test_error_data_is_given_even_if_null(served: Served) -> None:
    answer = served.call("query", "sample_app:refuses", args={"data": {"code": 1}}).json()
    assert answer["errorData"] == {"code": 1}
    assert served.call("query", "sample_app:refuses").json()["errorData"] is None


@pytest.mark.parametrize("path", ["sample_app:nope", "sample_app:hidden"])
def test_what_is_not_public_looks_missing(served: Served, path: str) -> None:
    answer = served.call("query", path).json()
    assert f"Could not find public function for '{path}'." in answer["errorMessage"]


def test_arguments_in_no_encoding_are_a_failure_of_the_call(served: Served) -> None:
    answer = served.call("query", "sample_app:echo", args={"value": {"$integer": "A"}}).json()
    assert "Invalid arguments for sample_app.js:echo: " in answer["errorMessage"]


def test_components_do_not_exist(served: Served) -> None:
    answer = served.call("query", "sample_app:echo", componentPath="a/b").json()
    assert "Component 'a/b' does not exist" in answer["errorMessage"]
    assert served.call("query", "sample_app:echo", componentPath=None).json()["status"] == "success"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convex_encoded_json", {"$integer": "BQAAAAAAAAA="}),
        ("convex_json", {"$integer": "BQAAAAAAAAA="}),
        ("json", "5"),
        ("convex_clean_json", "5"),
        (None, "5"),
    ],
)
def test_formats(served: Served, name: str | None, expected: object) -> None:
    response = served.call("query", "sample_app:bigNumber", format=name)
    assert response.json()["value"] == expected


def test_error_data_has_the_format_too(served: Served) -> None:
    args = {"data": {"$integer": "BQAAAAAAAAA="}}
    response = served.call("query", "sample_app:refuses", args=args, format=ENCODED)
    assert response.json()["errorData"] == {"$integer": "BQAAAAAAAAA="}
    assert served.call("query", "sample_app:refuses", args=args).json()["errorData"] == "5"


def refused(response: Any, status: int, code: str) -> str:
    assert response.status_code == status
    assert set(response.json()) == {"code", "message"}
    assert response.json()["code"] == code
    message: str = response.json()["message"]
    return message


def test_requests_that_make_no_sense_are_400(served: Served) -> None:
    post = served.http.post
    refused(post("/api/query", content=b"{"), 400, "BadJsonBody")
    json_header = {"Content-Type": "application/json; charset=utf-8"}
    refused(post("/api/query", content=b"{", headers=json_header), 400, "BadJsonBody")
    refused(post("/api/query", content=b"[" * 9999, headers=json_header), 400, "BadJsonBody")
    refused(post("/api/query", content=b"[1]", headers=json_header), 400, "BadJsonBody")
    refused(post("/api/query", json={"args": {}}), 400, "BadJsonBody")
    refused(served.call("query", "a:b", format="xml"), 400, "BadFormat")
    refused(served.call("query", "../x"), 400, "BadConvexFunctionIdentifier")
    refused(served.call("query_at_ts", "a:b", ts="x"), 400, "InvalidTimestamp")
    refused(served.call("query_at_ts", "a:b"), 400, "InvalidTimestamp")
    refused(post("/api/query_batch", json={"queries": 1}), 400, "BadJsonBody")
    refused(post("/api/query_batch", json={"queries": [1]}), 400, "BadJsonBody")


def test_a_body_above_the_limit_is_413(served: Served) -> None:
    body = json.dumps({"path": "sample_app:echo", "args": {"value": "x" * (16 << 20)}}).encode()
    headers = {"Content-Type": "application/json"}
    response = served.http.post("/api/query", content=body + b" " * 3000, headers=headers)
    assert "larger than the limit" in refused(response, 413, "BodyTooLarge")


def test_a_body_above_the_limit_is_413_without_a_declared_size(served: Served) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(18):
            yield b" " * (1 << 20)

    headers = {"Content-Type": "application/json"}
    response = served.http.post("/api/query", content=parts(), headers=headers)
    refused(response, 413, "BodyTooLarge")


def test_unknown_paths_and_methods_are_json_too(served: Served) -> None:
    assert "POST /api/nope" in refused(served.http.post("/api/nope"), 404, "NotFound")
    refused(served.http.get("/nope"), 404, "NotFound")
    refused(served.http.get("/api/mutation"), 405, "MethodNotAllowed")


def test_queries_by_get(served: Served) -> None:
    parameters = {"path": "sample_app:echo", "args": '{"value": 3}', "format": "json"}
    assert served.http.get("/api/query", params=parameters).json()["value"] == 3
    parameters["args"] = '[{"value": 4}]'
    assert served.http.get("/api/query", params=parameters).json()["value"] == 4
    parameters["args"] = "{"
    refused(served.http.get("/api/query", params=parameters), 400, "BadArgs")
    refused(served.http.get("/api/query"), 400, "BadJsonBody")


def test_queries_at_a_timestamp_see_that_moment(served: Served) -> None:
    ts = served.http.post("/api/query_ts").json()["ts"]
    before = served.call("query", "sample_app:count").json()["value"]
    served.call("mutation", "sample_app:add", args={"text": "later"})
    at_ts = served.call("query_at_ts", "sample_app:count", ts=ts)
    assert at_ts.json()["value"] == before
    assert served.call("query", "sample_app:count").json()["value"] == before + 1


def test_a_batch_of_queries(served: Served) -> None:
    queries = [
        {"path": "sample_app:echo", "args": {"value": 1}},
        {"path": "sample_app:fails", "args": {}},
        {"path": "sample_app:bigNumber", "args": [{}], "format": ENCODED},
    ]
    response = served.http.post("/api/query_batch", json={"queries": queries})
    first, second, third = response.json()["results"]
    assert first == {"status": "success", "value": 1}
    assert second["status"] == "error"
    assert third["value"] == {"$integer": "BQAAAAAAAAA="}


def test_any_function_runs_for_an_administrator(served: Served) -> None:
    def run(path: str, **args: Any) -> Any:
        body = {"path": path, "args": args, "format": "json"}
        return served.http.post("/api/function", json=body, headers=ADMIN).json()

    assert run("sample_app:hidden")["value"] == "hidden"
    assert run("sample_app:add", text="by admin")["value"] == "added by admin"
    assert run("sample_app:act", text="by admin")["value"] == "added by admin"
    assert "Could not find function for 'sample_app:nope'" in run("sample_app:nope")["errorMessage"]


def run_parts(served: Served, path: str, body: object = None, **more: Any) -> Any:
    return served.http.post(f"/api/run/{path}", json=body or {}, **more)


@pytest.mark.parametrize(("name", "value"), [("echo", "x"), ("add", "added x"), ("act", "added x")])
def test_a_function_of_any_kind_runs_by_the_parts_of_its_path(
    served: Served, name: str, value: str
) -> None:
    args = {"value" if name == "echo" else "text": "x"}
    answer = run_parts(served, f"sample_app/{name}", {"args": args}).json()
    assert answer == {"status": "success", "value": value}


def test_a_run_by_parts_answers_clean_json_to_every_client(served: Served) -> None:
    headers = {"Convex-Client": "npm-1.0.0"}
    assert run_parts(served, "sample_app/bigNumber", headers=headers).json()["value"] == "5"


def test_a_run_by_parts_may_ask_for_a_format(served: Served) -> None:
    answer = run_parts(served, "sample_app/bigNumber", {"format": ENCODED}).json()
    assert answer["value"] == {"$integer": "BQAAAAAAAAA="}


def test_all_parts_but_the_last_are_the_module(served: Served) -> None:
    answer = run_parts(served, "a/b/nope").json()
    assert "Could not find public function for 'a/b:nope'." in answer["errorMessage"]


def test_internal_functions_run_by_parts_with_the_admin_key_only(served: Served) -> None:
    answer = run_parts(served, "sample_app/hidden").json()
    assert "Could not find public function for 'sample_app:hidden'." in answer["errorMessage"]
    assert run_parts(served, "sample_app/hidden", headers=ADMIN).json()["value"] == "hidden"


@pytest.mark.parametrize("path", ["", "sample_app", "sample_app/"])
def test_a_run_by_parts_needs_two_of_them(served: Served, path: str) -> None:
    refused(run_parts(served, path), 400, "MissingIdentifier")


@pytest.mark.parametrize("path", ["a:b/c", "../x", "a/b:c"])
def test_parts_that_make_no_path_are_400(served: Served, path: str) -> None:
    quoted = path.replace(".", "%2e")
    refused(run_parts(served, quoted), 400, "BadConvexFunctionIdentifier")


def test_the_admin_key_can_be_checked(served: Served) -> None:
    response = served.http.get("/api/check_admin_key", headers=ADMIN)
    assert (response.status_code, response.json()) == (200, {"success": True})
    refused(served.http.get("/api/check_admin_key"), 401, "BadAdminKey")


def test_echo_answers_the_body(served: Served) -> None:
    headers = {"Content-Type": "text/html"}
    response = served.http.post("/echo", content=b"\x00<b>", headers=headers)
    assert response.content == b"\x00<b>"
    assert response.headers["content-type"] == "application/octet-stream"


def test_echo_is_limited(served: Served) -> None:
    refused(served.http.post("/echo", content=b"x" * (17 << 20)), 413, "BodyTooLarge")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Convex wrong|key"}, {"Authorization": "Convex nothing"}]
)
def test_any_function_runs_for_nobody_else(served: Served, headers: dict[str, str]) -> None:
    body = {"path": "sample_app:hidden", "args": {}}
    response = served.http.post("/api/function", json=body, headers=headers)
    refused(response, 401, "BadAdminKey")


def test_a_malformed_authorization_is_401(served: Served) -> None:
    for header in ("Basic abc", "Bearer not-a-jwt", "nonsense"):
        response = served.http.post(
            "/api/query",
            json={"path": "sample_app:who", "args": {}},
            headers={"Authorization": header},
        )
        message = refused(response, 401, "InvalidAuthHeader")
        if not header.startswith("Bearer"):
            assert message == "Header must begin with `bearer `"


def test_an_administrator_may_act_as_a_user(served: Served) -> None:
    attributes = base64.b64encode(b'{"issuer": "i", "subject": "alice"}').decode()
    response = served.http.post(
        "/api/query",
        json={"path": "sample_app:who", "args": {}},
        headers={"Authorization": f"Convex prod:{ADMIN_KEY}:{attributes}"},
    )
    assert response.json()["value"]["subject"] == "alice"
    response = served.http.post(
        "/api/query",
        json={"path": "sample_app:who", "args": {}},
        headers={"Authorization": f"Convex {ADMIN_KEY}:nonsense"},
    )
    refused(response, 401, "InvalidAuthHeader")


def test_plain_endpoints(served: Served) -> None:
    assert served.http.get("/version").text == "unknown"
    assert served.http.get("/instance_version").text == "unknown"
    assert served.http.get("/instance_name").text == "sample"
    assert "sample" in served.http.get("/").text


def test_doubled_slashes_are_collapsed(served: Served) -> None:
    connection = http.client.HTTPConnection(served.address, timeout=10)
    body = json.dumps({"path": "sample_app:echo", "args": {"value": 1}})
    connection.request("POST", "//api/query", body, {"Content-Type": "application/json"})
    assert json.loads(connection.getresponse().read())["value"] == 1
    connection.close()


def test_the_api_works_below_a_prefix() -> None:
    def wrap(app: Any) -> Starlette:
        return Starlette(routes=[Mount("/some/prefix", app)])

    with Served(wrap=wrap) as served:
        for path in ("/some/prefix/api/query", "/some/prefix//api//query"):
            response = served.http.post(path, json={"path": "sample_app:echo", "args": {}})
            assert response.json()["status"] == "success"
        assert served.http.get("/some/prefix/http/files/a").json()["path"] == "/files/a"
        assert served.http.get("/some/prefix/").status_code == 200


class Broken(Reactor):
    """A reactor in trouble."""

    async def run_query(self, path: str, *args: Any, **more: Any) -> Outcome:
        if path == "busy":
            raise Overloaded("Too much at once")
        if path == "disk":
            raise StoreUnavailable("/secret/file is gone")
        raise RuntimeError("the secret")


def test_trouble_of_the_server_is_hidden_unless_it_passes() -> None:
    with Served(reactor_class=Broken) as served:
        message = refused(served.call("query", "busy"), 503, "TooManyConcurrentRequests")
        assert message == "Too much at once"
        for path, status in (("disk", 503), ("bug", 500)):
            message = refused(served.call("query", path), status, "InternalServerError")
            assert message == "Your request couldn't be completed. Try again later."


def test_in_redacted_mode_failures_are_only_failures() -> None:
    with Served(redact=True) as served:
        for args in ({}, {"value": {"$integer": "A"}}):
            path = "sample_app:echo" if args else "sample_app:fails"
            answer = served.call("query", path, args=args).json()
            assert answer["errorMessage"].endswith("] Server Error")
            assert "logLines" not in answer
