"""The `reactor` command as a user runs it: a process of its own, with its output captured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import REPOSITORY, Program

#: Nothing that a command prints may be folded or coloured because of where the tests run.
ENVIRONMENT = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUNBUFFERED": "1"}

#: The commands run in other folders than the tests do.
PYTHON_PATH = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))


def reactor(*arguments: str | Path, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "reactor.tools.cli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHON_PATH, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
    )


def start(*arguments: str | Path, folder: Path = REPOSITORY) -> Program:
    """Start a command that goes on until it is stopped."""
    return Program(
        [sys.executable, "-m", "reactor.tools.cli", *map(str, arguments)],
        folder=folder,
        PYTHONPATH=PYTHON_PATH,
        **ENVIRONMENT,
    )


def wait_until_ready(program: Program) -> str:
    """The URL of the line `ready`."""
    line = program.wait_for_line(lambda line: line.startswith("ready "))
    return program.lines[line].removeprefix("ready ")


@contextmanager
def serving(command: str, path: Path, *options: str) -> Iterator[tuple[Program, str]]:
    """`reactor dev` or `reactor serve` on free ports."""
    with start(command, path, "--port", "0", "--site-port", "0", *options) as program:
        yield program, wait_until_ready(program)


def address(program: Program, label: str) -> str:
    """What a server printed after `label`."""
    lines = [line for line in program.lines if line.strip().startswith(f"{label}  ")]
    assert len(lines) == 1, program.output
    return lines[0].split()[-1]
