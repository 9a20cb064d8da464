"""Hostile HTTP requests: a clear answer in one JSON shape, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.processes import Server

KINDS = ("query", "mutation", "action")


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
        alive = client.post("/api/query", json={"path": "values:echo", "args": {"value": "alive"}})
        assert alive.json() == {"status": "success", "value": "alive"}


def refuses(response: httpx.Response, status: int = 400) -> dict[str, str]:
    """Checks the one shape of request-level errors."""
    assert response.status_code == status, response.text[:500]
    problem = response.json()
    assert set(problem) == {"code", "message"}
    assert "Traceback" not in problem["message"]
    return dict(problem)


BODIES = {
    "empty": b"",
    "not JSON": b"{",
    "not an object": b"[]",
    "null": b"null",
    "invalid UTF-8": b'{"path":"\xff","args":{}}',
    "no path": b'{"args":{}}',
    "a path that is no text": b'{"path":5,"args":{}}',
    "a malformed path": b'{"path":"../up:f","args":{}}',
    "nesting beyond any parser": b"[" * 300_000,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_makes_no_sense_is_a_bad_request(
    http: httpx.Client, kind: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    refuses(http.post(f"/api/{kind}", content=body, headers=headers))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("args", ["x", 5, None, [], [{}, {}], [[]], [None]])
def test_arguments_that_are_not_one_object_fail_the_call(
    http: httpx.Client, kind: str, args: object
) -> None:
    response = http.post(f"/api/{kind}", json={"path": "values:echo", "args": args})
    assert response.status_code == 200
    assert response.json()["status"] == "error"
    assert "arguments" in response.json()["errorMessage"].lower()


def test_another_content_type_is_a_bad_request(http: httpx.Client) -> None:
    body = json.dumps({"path": "values:echo", "args": {"value": 1}})
    response = http.post("/api/query", content=body, headers={"content-type": "text/plain"})
    assert refuses(response)["code"] == "BadJsonBody"


def test_an_unknown_format_is_a_bad_request(http: httpx.Client) -> None:
    body = {"path": "values:echo", "args": {"value": 1}, "format": "xml"}
    assert refuses(http.post("/api/query", json=body))["code"] == "BadFormat"


def test_a_body_beyond_the_limit_is_refused(http: httpx.Client) -> None:
    body = {"path": "values:echo", "args": {"value": "x" * (17 << 20)}}
    response = http.post("/api/query", json=body)
    assert response.status_code in (400, 413)
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/nothing", "/api/../../etc/passwd"])
def test_an_unknown_address_is_not_found(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404


@pytest.mark.parametrize("kind", ["mutation", "action"])
def test_a_get_changes_nothing(http: httpx.Client, kind: str, room: str) -> None:
    args = json.dumps({"room": room, "body": "x"})
    response = http.get(f"/api/{kind}", params={"path": "messages:send", "args": args})
    assert response.status_code in (404, 405)
    counted = http.post("/api/query", json={"path": "messages:count", "args": {"room": room}})
    assert counted.json()["value"] == 0


def test_hostile_arguments_of_a_get_query_are_a_bad_request(http: httpx.Client) -> None:
    refuses(http.get("/api/query", params={"path": "messages:count", "args": "{"}))


def test_a_timestamp_that_is_none_is_a_bad_request(http: httpx.Client) -> None:
    body = {"path": "values:echo", "args": {"value": 1}, "ts": "yesterday"}
    refuses(http.post("/api/query_at_ts", json=body))


@pytest.mark.parametrize("key", ["Convex wrong", "Convex |", "Convex a|b:%%%", "Nonsense x"])
def test_a_wrong_admin_key_is_refused(http: httpx.Client, key: str) -> None:
    body = {"path": "messages:hidden", "args": {}, "format": "json"}
    response = http.post("/api/function", json=body, headers={"authorization": key})
    assert response.status_code in (400, 401, 403)
    assert set(response.json()) == {"code", "message"}


def test_admin_calls_need_a_key(http: httpx.Client) -> None:
    body = {"path": "messages:hidden", "args": {}, "format": "json"}
    assert http.post("/api/function", json=body).status_code in (400, 401, 403)


VALUES = {
    "a short integer": {"$integer": "AQ=="},
    "an ordinary float as a marker": {"$float": "AAAAAAAA8D8="},
    "unpadded base64": {"$bytes": "AP8"},
    "an unknown marker": {"$map": []},
    "deep nesting": json.loads("[" * 100 + "]" * 100),
    "a foreign field name": {"☂": 1},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_that_is_none_is_refused_with_a_reason(http: httpx.Client, value: object) -> None:
    response = http.post("/api/query", json={"path": "values:echo", "args": {"value": value}})
    answer = response.json()
    reason = answer.get("message") or answer.get("errorMessage")
    assert reason
    assert "status" not in answer or answer["status"] == "error"
    assert "Traceback" not in reason


def test_a_redacted_server_hides_the_cause(redacted_server: Server) -> None:
    for kind in KINDS:
        args = {"room": "r"} if kind == "mutation" else {}
        body = {"path": f"failures:{kind}Fails", "args": args}
        answer = httpx.post(f"{redacted_server.url}/api/{kind}", json=body)
        assert answer.status_code == 200
        assert "the-secret" not in answer.text
        assert answer.json()["errorMessage"].strip().endswith("Server Error")
