"""The tutorial, followed step by step: each file saved, each command given, each output compared.

One walk is shared by the tests, because the tutorial is one story; its server stays up until the
JavaScript program and the page were looked at. Only two things differ from the page: ports are free
ones, and npm packages come from `tests/node`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.docs.pages import Block, blocks, without_chance
from tests.processes import EVENT_SECONDS, NODE_FOLDER, REPOSITORY, Program
from tests.tools.command import reactor, start, wait_until_ready

PAGE = REPOSITORY / "docs" / "tutorial.md"
ADDRESS = "http://127.0.0.1:3210"
SITE_ADDRESS = "http://127.0.0.1:3211"
REACTOR = ".venv/bin/reactor "
DEV = f"{REACTOR}dev hello"


class Walk:
    """What a reader has after following the tutorial: files, a running server, its output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: Program | None = None
        self.url = ""
        self.differences: list[str] = []

    def follow(self) -> None:
        for block in blocks(PAGE):
            if block.language == "sh":
                (command,) = block.commands
                self.give(command, block)
            elif block.purpose == "shown":
                written = (self.folder / block.name).read_text(encoding="utf-8")
                self.compare(block, written, block.text)
            elif block.purpose == "add to":
                self.add(block)
            elif block.purpose in ("file", "run"):
                self.save(block)

    def save(self, block: Block) -> None:
        file = self.folder / block.name
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text.replace(ADDRESS, self.url), encoding="utf-8")

    def add(self, block: Block) -> None:
        assert self.server is not None
        file = self.folder / block.name
        file.write_text(file.read_text(encoding="utf-8") + block.text, encoding="utf-8")
        self.server.wait_for_line(lambda line: line == "reloaded hello")

    def give(self, command: str, block: Block) -> None:
        if command == DEV:
            self.start_server(block)
        elif command.startswith(REACTOR):
            arguments = shlex.split(command.removeprefix(REACTOR))
            done = reactor(*arguments, folder=self.folder)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            if block.output is not None:
                self.compare(block, done.stdout, block.output)

    def start_server(self, block: Block) -> None:
        self.server = start("dev", "hello", "--port", "0", "--site-port", "0", folder=self.folder)
        self.url = wait_until_ready(self.server)
        assert block.output is not None
        shown = "\n".join(self.server.lines).replace(self.url, ADDRESS)
        site = next(line.split()[-1] for line in shown.splitlines() if "HTTP actions" in line)
        self.compare(block, shown.replace(site, SITE_ADDRESS), block.output)

    def compare(self, block: Block, actual: str, written: str) -> None:
        if without_chance(actual) != without_chance(written):
            self.differences.append(f"{block.place}\n--- is\n{actual}\n--- page\n{written}")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    walk = Walk(tmp_path_factory.mktemp("tutorial"))
    try:
        walk.follow()
        if (NODE_FOLDER / "node_modules").is_dir():
            (walk.folder / "page" / "node_modules").symlink_to(NODE_FOLDER / "node_modules")
        yield walk
    finally:
        if walk.server is not None:
            walk.server.kill()


def test_every_command_prints_what_the_page_says(walk: Walk) -> None:
    assert walk.differences == [], "\n\n".join(walk.differences)


@pytest.mark.node
def test_the_watching_program_prints_the_list_and_each_change(walk: Walk) -> None:
    with Program(["node", "page/watch.mjs"], folder=walk.folder) as watching:
        watching.wait_for_line(lambda line: line == "say hello, read the notes")
        add = '{"owner": "ada", "text": "sleep"}'
        assert reactor("run", "hello", "tasks:add", add, folder=walk.folder).returncode == 0
        watching.wait_for_line(lambda line: line == "sleep, say hello, read the notes")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the test's own output is enough."""


@pytest.fixture
def page_url(walk: Walk) -> Iterator[str]:
    """What `python3 -m http.server --directory page` serves."""
    handler = partial(QuietHandler, directory=str(walk.folder / "page"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.mark.browser
def test_the_page_adds_finishes_and_shows_errors(walk: Walk, page_url: str, chromium: str) -> None:
    with sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        first, second = browser.new_page(), browser.new_page()
        for window in (first, second):
            window.set_default_timeout(EVENT_SECONDS * 1000)
            window.goto(page_url)
        first.fill("#text", "from the page")
        first.click("#form button")
        item = second.locator("#tasks li", has_text="from the page")
        expect(item).to_be_visible()
        item.locator("button").click()
        expect(first.locator("#tasks li", has_text="from the page")).to_have_count(0)
        first.fill("#text", "")
        first.click("#form button")
        expect(first.locator("#problem")).to_contain_text("ArgumentValidationError")
        browser.close()


def test_the_stopped_server_leaves_a_file_that_the_last_program_reads(walk: Walk) -> None:
    assert walk.server is not None
    assert walk.server.terminate() == 0
    done = subprocess.run(
        [sys.executable, "look.py"], cwd=walk.folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "ada read the notes False" in done.stdout.splitlines()
