"""A real Chromium shows a page that is subscribed through the npm browser bundle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.processes import EVENT_SECONDS, NODE_FOLDER, Server

pytestmark = pytest.mark.browser

BUNDLE = NODE_FOLDER / "node_modules" / "convex" / "dist" / "browser.bundle.js"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the test's own output is enough."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page and the bundle, served from an origin that is not the server's."""
    folder = tmp_path_factory.mktemp("site")
    for file in (Path(__file__).parent / "page.html", BUNDLE):
        (folder / file.name).write_bytes(file.read_bytes())
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_default_timeout(EVENT_SECONDS * 1000)
    yield opened
    opened.close()


def open_room(page: Page, site: str, server: Server, room: str) -> None:
    page.goto(f"{site}/page.html?{urlencode({'url': server.url, 'room': room})}")
    shows(page, "#status", "live")


def shows(page: Page, selector: str, *texts: str) -> None:
    """Wait until exactly these texts are in the elements that the selector finds."""
    expect(page.locator(selector)).to_have_text(list(texts), timeout=EVENT_SECONDS * 1000)


def send(server: Server, room: str, body: str, number: float) -> None:
    request = {"path": "messages:send", "args": {"room": room, "body": body, "number": number}}
    answer = httpx.post(f"{server.url}/api/mutation", json={**request, "format": "json"})
    assert answer.json()["status"] == "success"


def test_the_page_shows_what_is_there_and_updates_after_a_mutation_from_elsewhere(
    page: Page, site: str, server: Server, room: str
) -> None:
    send(server, room, "before", 0)
    open_room(page, site, server, room)
    shows(page, "#bodies li", "before")
    send(server, room, "from elsewhere", 1)
    shows(page, "#bodies li", "before", "from elsewhere")


def test_the_page_mutates_over_the_socket_and_reads_over_http_from_another_origin(
    page: Page, site: str, server: Server, room: str
) -> None:
    open_room(page, site, server, room)
    page.click("#send")
    shows(page, "#bodies li", "from the page")
    shows(page, "#count", "1 messages")


def test_two_pages_show_the_same(
    browser: Browser, page: Page, site: str, server: Server, room: str
) -> None:
    second = browser.new_page()
    for each in (page, second):
        open_room(each, site, server, room)
    second.click("#send")
    for each in (page, second):
        shows(each, "#bodies li", "from the page")
    second.close()


def test_the_page_goes_on_after_a_restart_of_the_server(
    page: Page, site: str, durable_server: Server, room: str
) -> None:
    open_room(page, site, durable_server, room)
    send(durable_server, room, "before", 0)
    shows(page, "#bodies li", "before")
    durable_server.kill()
    durable_server.start()
    send(durable_server, room, "after", 1)
    shows(page, "#bodies li", "before", "after")
