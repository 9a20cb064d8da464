"""Apps that are not at the root: a folder of apps, and an app mounted in another application."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.processes import PROOF_APP, START_SECONDS, Program, Server, run_node


@pytest.fixture(scope="module")
def host_url() -> Iterator[str]:
    """A Starlette application with the proof app under `/backend/live`."""
    command = [sys.executable, "-m", "tests.clients.mounted_host"]
    with Program([*command, str(PROOF_APP), "/backend/live"]) as host:
        line = host.wait_for_line(lambda line: line.startswith("ready "), seconds=START_SECONDS)
        yield host.lines[line].removeprefix("ready ")
        assert host.terminate() in (0, -15)


@pytest.mark.node
@pytest.mark.parametrize("client", ["http", "sync"])
def test_npm_clients_reach_an_app_mounted_under_a_prefix(
    host_url: str, client: str, room: str
) -> None:
    seen = run_node(client, f"{host_url}/backend/live", "functions", room=room)
    assert "done" in seen


def test_the_host_keeps_its_own_pages(host_url: str) -> None:
    assert httpx.get(host_url).text == "the host's own page"


def test_http_actions_are_mounted_with_the_app(host_url: str) -> None:
    assert httpx.get(f"{host_url}/backend/live/http/hello").text == "hello"


@pytest.mark.node
@pytest.mark.parametrize("client", ["http", "sync"])
def test_npm_clients_reach_an_app_of_a_folder_by_its_name(
    server_of_two_apps: Server, client: str, room: str
) -> None:
    seen = run_node(client, f"{server_of_two_apps.url}/proof", "functions", room=room)
    assert "done" in seen


@pytest.mark.node
def test_a_trailing_slash_in_the_address_does_no_harm(server: Server, room: str) -> None:
    assert "done" in run_node("sync", f"{server.url}/", "functions", room=room)
    assert "done" in run_node("http", f"{server.url}/", "functions", room=f"{room} http")


def call(server: Server, app: str, path: str, args: dict[str, object]) -> dict[str, object]:
    body = {"path": path, "args": args, "format": "json"}
    response = httpx.post(f"{server.url}/{app}/api/query", json=body)
    assert response.status_code == 200
    return dict(response.json())


def test_apps_of_one_folder_do_not_see_each_other(server_of_two_apps: Server) -> None:
    greeting = call(server_of_two_apps, "other", "greetings:greet", {"name": "you"})
    assert greeting == {"status": "success", "value": "hello you"}
    foreign = call(server_of_two_apps, "proof", "greetings:greet", {"name": "you"})
    assert foreign["status"] == "error"
    assert "Could not find public function for 'greetings:greet'." in str(foreign["errorMessage"])
