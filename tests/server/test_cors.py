from __future__ import annotations

from tests.server.serving import Served

ORIGIN = {"Origin": "https://app.example"}


def test_a_preflight_is_answered_by_what_was_asked_for(served: Served) -> None:
    response = served.http.options(
        "/api/query",
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization,convex-client",
        },
    )
    assert response.status_code == 200
    headers = response.headers
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-headers"] == "content-type,authorization,convex-client"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-max-age"] == "86400"
    assert set(headers["access-control-allow-methods"].split(", ")) == {
        *("GET", "POST", "OPTIONS", "PATCH", "DELETE", "PUT")
    }


def test_answers_mirror_the_origin(served: Served) -> None:
    for path in ("/version", "/instance_name", "/"):
        response = served.http.get(path, headers=ORIGIN)
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert "Origin" in response.headers["vary"]


def test_errors_mirror_it_too_so_that_browsers_can_read_them(served: Served) -> None:
    response = served.http.post("/api/query", content=b"{", headers=ORIGIN)
    assert response.status_code == 400
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    response = served.http.get("/api/nope", headers=ORIGIN)
    assert response.headers["access-control-allow-origin"] == "https://app.example"


def test_without_an_origin_there_are_no_headers(served: Served) -> None:
    assert "access-control-allow-origin" not in served.http.get("/version").headers
