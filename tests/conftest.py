"""What all tests share: which machines can run which tests, and servers to talk to.

Tests marked `node` or `browser` need software that a machine may lack. There they are skipped with
the reason, unless `REACTOR_TESTS_REQUIRE_ALL=1` (the continuous integration sets it): then what is
missing is a failure, so that a test never silently stops running.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import FIXTURE_APPS, NODE_FOLDER, PROOF_APP, Server

REQUIRE_ALL = os.environ.get("REACTOR_TESTS_REQUIRE_ALL") == "1"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The path of an installed Chromium; `REACTOR_TESTS_CHROMIUM` names another one."""
    named = os.environ.get("REACTOR_TESTS_CHROMIUM")
    return named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def missing_for_node() -> str | None:
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (NODE_FOLDER / "node_modules" / "convex").is_dir():
        return "the npm packages are missing: run `npm install` in tests/node"
    return None


def missing_for_browser() -> str | None:
    if not (NODE_FOLDER / "node_modules" / "convex").is_dir():
        return "the npm packages are missing: run `npm install` in tests/node"
    if find_chromium() is None:
        return "Chromium is not installed"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, missing in (("node", missing_for_node), ("browser", missing_for_browser)):
        if item.get_closest_marker(mark) is None or (reason := missing()) is None:
            continue
        if REQUIRE_ALL:
            pytest.fail(f"REACTOR_TESTS_REQUIRE_ALL is set, but {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = find_chromium()
    assert path is not None
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server with the proof app on DuckDB; each test uses a room of its own."""
    file = tmp_path_factory.mktemp("server") / "proof.duckdb"
    with Server(PROOF_APP, store=f"duckdb:///{file}") as running:
        yield running


@pytest.fixture
def durable_server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own on DuckDB, to be stopped, killed and started again."""
    with Server(PROOF_APP, store=f"duckdb:///{tmp_path / 'proof.duckdb'}") as running:
        yield running


@pytest.fixture(scope="session")
def redacted_server() -> Iterator[Server]:
    """A server that hides the cause of errors from clients, as in production."""
    with Server(PROOF_APP, options=["--redact"]) as running:
        yield running


@pytest.fixture(scope="session")
def server_of_two_apps() -> Iterator[Server]:
    """A folder of apps, each served under its name."""
    with Server(FIXTURE_APPS) as running:
        yield running


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses, to keep tests on a shared server apart."""
    return str(request.node.nodeid)
