"""Every shell command of the documentation is run: by a test of this folder, or by `.ci/run`.

`COMMANDS` is the whole list. A command that is not in it fails the first test, and so does an entry
that no page has any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL
from tests.docs.pages import all_blocks, section
from tests.processes import REPOSITORY, Program
from tests.tools.command import ENVIRONMENT, wait_until_ready

SET_UP_AND_SERVE = (
    "python3 -m venv .venv && .venv/bin/python -m pip install -e . "
    "&& .venv/bin/reactor dev apps/events"
)
SET_UP_AND_TEST = (
    "python3 -m venv .venv && .venv/bin/python -m pip install -e '.[test]' "
    "&& .venv/bin/python -m pytest"
)
RUN = ".venv/bin/reactor run hello "
CI = ".ci/run"
TUTORIAL = "tests/docs/test_tutorial.py"
SNIPPETS = "tests/docs/test_snippets.py"
HERE = "tests/docs/test_commands.py"

#: Each command with the place that runs it.
COMMANDS = {
    SET_UP_AND_SERVE: HERE,
    SET_UP_AND_TEST: CI,
    ".venv/bin/reactor dev board": SNIPPETS,
    "uvicorn host:app --ws websockets-sansio": SNIPPETS,
    "npm install": CI,
    ".venv/bin/ruff check .": CI,
    ".venv/bin/ruff format --check .": CI,
    ".venv/bin/mypy": CI,
    ".venv/bin/python -m pytest": CI,
    ".venv/bin/reactor init hello": TUTORIAL,
    ".venv/bin/reactor dev hello": TUTORIAL,
    RUN + """tasks:add '{"owner": "ada", "text": "read the notes"}'""": TUTORIAL,
    RUN + """tasks:listTasks '{"owner": "ada"}'""": TUTORIAL,
    RUN + """tasks:add '{"owner": "ada", "text": "say hello"}'""": TUTORIAL,
    RUN + """tasks:howMany '{"owner": "ada"}'""": TUTORIAL,
    ".venv/bin/reactor data hello": TUTORIAL,
    ".venv/bin/python look.py": TUTORIAL,
    "npm install --prefix page convex": TUTORIAL,  # with the packages of tests/node
    "node page/watch.mjs": TUTORIAL,
    "python3 -m http.server 8000 --directory page": TUTORIAL,
}


def test_the_table_has_every_command_and_no_other() -> None:
    written = {command for block in all_blocks("sh") for command in block.commands}
    assert written == set(COMMANDS)


@pytest.mark.parametrize("place", sorted(set(COMMANDS.values())))
def test_the_places_that_run_commands_exist(place: str) -> None:
    assert (REPOSITORY / place).is_file()


@pytest.mark.parametrize("command", [name for name, place in COMMANDS.items() if place == CI])
def test_what_ci_runs_stands_in_its_script(command: str) -> None:
    script = (REPOSITORY / CI).read_text(encoding="utf-8")
    if command == SET_UP_AND_TEST:
        assert "README.md" in script, "the script takes the command from the README"
    elif command != ".venv/bin/python -m pytest":  # a part of the command above
        assert command in script


def test_the_readme_sets_up_in_two_commands_of_one_line() -> None:
    text = section(REPOSITORY / "README.md", "Set up")
    lines = [line for line in text.splitlines() if "-m venv" in line]
    assert lines == [SET_UP_AND_SERVE, SET_UP_AND_TEST]


@pytest.mark.skipif(
    not REQUIRE_ALL, reason="it installs packages; REACTOR_TESTS_REQUIRE_ALL=1 asks for it"
)
@pytest.mark.timeout(600)
def test_the_first_command_of_the_readme_serves_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    unwanted = (".git", ".venv", ".*cache*", ".hypothesis", ".reactor", "node_modules", "*.pyc")
    shutil.copytree(REPOSITORY, clone, ignore=shutil.ignore_patterns(*unwanted))
    install, _, serve = SET_UP_AND_SERVE.rpartition(" && ")
    done = subprocess.run(
        ["bash", "-euc", install], cwd=clone, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    command = ["bash", "-c", f"exec {serve} --port 0 --site-port 0"]
    path = os.environ["PATH"]
    with Program(command, folder=clone, PATH=path, **ENVIRONMENT) as server:
        assert wait_until_ready(server).startswith("http://127.0.0.1:")
        assert server.terminate() == 0
