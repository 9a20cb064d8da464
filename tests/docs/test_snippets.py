"""The programs of the documentation run, and print what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from convex import ConvexClient

from reactor.functions.loader import load_app
from tests.docs.pages import PAGES, Block, blocks, title, without_chance, write_files
from tests.processes import NODE_FOLDER, REPOSITORY, Program
from tests.tools.command import PYTHON_PATH, serving

README = REPOSITORY / "README.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
PROGRAM_SECONDS = 60


def pages_with(purpose: str) -> list[Path]:
    return [
        page
        for page in PAGES
        if page != TUTORIAL and any(block.purpose == purpose for block in blocks(page))
    ]


def run(program: Block, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
    )
    assert done.returncode == 0, f"{program.place}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", pages_with("run"), ids=title)
def test_programs_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    for block in blocks(page):
        if block.purpose == "run":
            output = run(block, tmp_path)
            if block.output is not None:
                assert without_chance(output) == without_chance(block.output), block.place


@pytest.mark.parametrize("page", pages_with("file"), ids=title)
def test_app_folders_load(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    names = {block.name.partition("/")[0] for block in blocks(page) if "/" in block.name}
    for name in names:
        loaded = load_app(tmp_path / name)
        assert len(loaded.registry)
        loaded.forget()


def test_the_host_of_the_embedding_page_serves_its_own_page_and_clients(tmp_path: Path) -> None:
    write_files(REPOSITORY / "docs" / "embedding.md", tmp_path)
    # uvicorn says on standard error where it listens.
    command = f"exec {sys.executable} -m uvicorn host:app --ws websockets-sansio --port 0 2>&1"
    with Program(["bash", "-c", command], folder=tmp_path, PYTHONPATH=PYTHON_PATH) as host:
        line = host.wait_for_line(lambda line: "running on http://" in line)
        url = re.findall(r"http://\S+", host.lines[line])[0]
        call = {"path": "counter:add", "args": {"size": 7}, "format": "json"}
        answer = httpx.post(f"{url}/live/api/mutation", json=call)
        assert answer.json()["status"] == "success"
        assert httpx.get(url).text == "total: 7"


@contextmanager
def board(folder: Path) -> Iterator[str]:
    """The app of the README, served; its clients are written for that address."""
    write_files(README, folder)
    with serving("serve", folder / "board", "--store", "memory:") as (_, url):
        for name in ("watch.mjs", "watch.py"):
            text = (folder / name).read_text(encoding="utf-8")
            assert "http://127.0.0.1:3210" in text
            (folder / name).write_text(text.replace("http://127.0.0.1:3210", url), "utf-8")
        yield url


def test_the_python_client_of_the_readme_follows_changes(tmp_path: Path) -> None:
    with (
        board(tmp_path) as url,
        Program([sys.executable, "watch.py"], folder=tmp_path) as watching,
    ):
        watching.wait_for_line(lambda line: line == "['water the plants']")
        ConvexClient(url).mutation("notes:write", {"room": "kitchen", "text": "sleep"})
        watching.wait_for_line(lambda line: line == "['sleep', 'water the plants']")


@pytest.mark.node
def test_the_javascript_client_of_the_readme_follows_changes(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_FOLDER / "node_modules")
    with board(tmp_path) as url, Program(["node", "watch.mjs"], folder=tmp_path) as watching:
        watching.wait_for_line(lambda line: line == "[ 'buy milk' ]")
        ConvexClient(url).mutation("notes:write", {"room": "kitchen", "text": "sleep"})
        watching.wait_for_line(lambda line: line == "[ 'sleep', 'buy milk' ]")
