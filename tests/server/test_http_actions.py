"""HTTP actions, at the site and under /http of the API."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server.serving import ADMIN_KEY, Served


@pytest.fixture(scope="module", params=["site", "api"])
def action_url(request: pytest.FixtureRequest) -> Iterator[tuple[httpx.Client, str]]:
    """A client, and what goes before the path of an HTTP action."""
    with Served(site=request.param == "site") as server:
        yield server.http, "" if request.param == "site" else "/http"


Url = tuple[httpx.Client, str]


def test_a_route_is_answered_by_its_function(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/hello")
    assert (response.status_code, response.text) == (200, "hello")


def test_head_is_served_by_the_get_route_without_a_body(action_url: Url) -> None:
    http, prefix = action_url
    response = http.head(f"{prefix}/hello")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-length"] == "5"


def test_bodies_arrive_and_leave_byte_by_byte(action_url: Url) -> None:
    http, prefix = action_url
    content = bytes(range(256)) * 1_000
    assert http.post(f"{prefix}/body", content=content).content == content


def test_a_body_above_the_limit_is_refused(action_url: Url) -> None:
    http, prefix = action_url
    assert http.post(f"{prefix}/body", content=b"x" * ((20 << 20) + 1)).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(21):
            yield b"x" * (1 << 20)

    assert http.post(f"{prefix}/body", content=parts()).status_code == 413


def test_prefix_routes_see_their_path_without_the_server_s_prefix(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/files/a/c?x=1")
    assert response.json() == {"path": "/files/a/c", "query": "x=1"}


def test_doubled_slashes_inside_a_path_are_the_function_s_own(action_url: Url) -> None:
    http, prefix = action_url
    assert http.get(f"{prefix}/files/a//b").json()["path"] == "/files/a//b"


def test_responses_may_stream(action_url: Url) -> None:
    http, prefix = action_url
    with http.stream("GET", f"{prefix}/stream") as response:
        assert "".join(response.iter_text()) == "part 0;part 1;part 2;"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("POST", "/hello"), ("GET", "/")]
)
def test_without_a_route_it_is_404_in_plain_text(action_url: Url, method: str, path: str) -> None:
    http, prefix = action_url
    response = http.request(method, f"{prefix}{path}")
    assert (response.status_code, response.text) == (404, "No matching routes found")


def test_an_error_is_500_with_its_text_and_frames(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/boom")
    assert response.status_code == 500
    content = response.json()
    assert content["code"].startswith("[Request ID: ")
    assert content["code"].endswith("] Server Error: Uncaught ValueError: the secret")
    assert "at boom (sample_app.py:" in content["trace"]
    assert "data" not in content


def test_an_application_error_carries_its_data(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/refuse")
    assert response.status_code == 500
    assert response.json()["data"] == {"code": 7}


def test_starlette_s_own_refusals_are_answers(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/teapot")
    assert (response.status_code, response.text) == (418, "a teapot")


def test_an_invalid_authorization_means_nobody_and_can_still_be_read(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/who", headers={"Authorization": "Basic abc"})
    assert response.json() == {"identity": None, "header": "Basic abc"}


def test_a_valid_authorization_is_known_to_the_function(action_url: Url) -> None:
    http, prefix = action_url
    acting = "eyJzdWJqZWN0IjoicyJ9"  # {"subject":"s"}
    header = f"Convex {ADMIN_KEY}:{acting}"
    response = http.get(f"{prefix}/who", headers={"Authorization": header})
    assert response.json()["identity"] == {"subject": "s"}


def test_there_is_no_cors_layer(action_url: Url) -> None:
    http, prefix = action_url
    response = http.get(f"{prefix}/hello", headers={"Origin": "https://a.example"})
    assert "access-control-allow-origin" not in response.headers
    assert http.options(f"{prefix}/hello").status_code == 404


def test_in_redacted_mode_an_error_is_only_an_error_and_keeps_its_data() -> None:
    with Served(site=True, redact=True) as served:
        content = served.http.get("/boom").json()
        assert set(content) == {"code"}
        assert content["code"].endswith("] Server Error")
        content = served.http.get("/refuse").json()
        assert set(content) == {"code", "data"}
