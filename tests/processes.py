"""Real processes for the tests: a `reactor serve` server and programs that talk to it.

Everything here waits for an event with a deadline, never for a length of time. What a process
printed is kept, so that a failing test can show it.

- `Program` is any child whose standard output is read line by line.
- `Server` is `reactor serve`: started on a free port, stopped cleanly, killed, started again on the
  same port and store.
- `NodeScript` is a script of `tests/node`: each line that it prints is one JSON observation.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parent.parent
NODE_FOLDER = REPOSITORY / "tests" / "node"
FIXTURE_APPS = REPOSITORY / "tests" / "fixture_apps"
PROOF_APP = FIXTURE_APPS / "proof"

START_SECONDS = 30.0
STOP_SECONDS = 20.0
EVENT_SECONDS = 40.0


class ProgramFailed(AssertionError):
    """A child process ended, or stayed silent, where the test expected something of it."""


class Program:
    """A child process with its output read in the background, line by line."""

    def __init__(
        self, command: Sequence[str], *, folder: Path = REPOSITORY, **environment: str
    ) -> None:
        self.command = list(command)
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._open_streams = 2
        self._process = subprocess.Popen(
            self.command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept), daemon=True)
            for stream, kept in (
                (self._process.stdout, self.lines),
                (self._process.stderr, self.errors),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, kept: list[str]) -> None:
        for line in stream:
            with self._changed:
                kept.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._open_streams -= 1
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything printed so far, for failure messages."""
        with self._changed:
            out, err = "\n".join(self.lines[-200:]), "\n".join(self.errors[-200:])
        return f"$ {' '.join(self.command)}\n--- stdout\n{out}\n--- stderr\n{err}"

    def wait_for_line(
        self, wanted: Callable[[str], bool], *, after: int = 0, seconds: float = EVENT_SECONDS
    ) -> int:
        """The index of the first line of standard output from `after` on that is `wanted`."""
        deadline = time.monotonic() + seconds
        position = after
        with self._changed:
            while True:
                while position < len(self.lines):
                    if wanted(self.lines[position]):
                        return position
                    position += 1
                remaining = deadline - time.monotonic()
                if self._open_streams == 0 or remaining <= 0:
                    break
                self._changed.wait(remaining)
        cause = "ended" if self._open_streams == 0 else f"was silent for {seconds} s"
        raise ProgramFailed(f"the program {cause} before the expected line\n{self.output}")

    def send(self, line: str) -> None:
        """Write one line to the program's standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait(self, seconds: float = EVENT_SECONDS) -> int:
        """The exit code, after everything that the program printed has been read."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"still running after {seconds} s\n{self.output}") from None
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        return code

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, the clean way to stop; the exit code."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        return self._close(seconds)

    def kill(self) -> int:
        """SIGKILL: the process gets no chance to do anything."""
        if self.is_running:
            self._process.kill()
        return self._close(STOP_SECONDS)

    def _close(self, seconds: float) -> int:
        try:
            return self.wait(seconds)
        finally:
            if self.is_running:
                self._process.kill()
                self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()


class Server:
    """One `reactor serve PATH`, which may be stopped or killed and started again.

    The first start takes free ports; later ones use the same, so that clients find it again.
    """

    def __init__(
        self, app: Path = PROOF_APP, *, store: str = "memory:", options: Sequence[str] = ()
    ) -> None:
        self.app = app
        self.store = store
        self.options = list(options)
        self.url = ""
        self._program: Program | None = None

    def start(self) -> Self:
        assert self._program is None, "the server runs already"
        port = urlsplit(self.url).port if self.url else 0
        program = Program(
            [
                *(sys.executable, "-m", "reactor.tools.cli", "serve", str(self.app)),
                *("--port", str(port), "--site-port", "0", "--store", self.store),
                *self.options,
            ]
        )
        try:
            line = program.wait_for_line(
                lambda line: line.startswith("ready "), seconds=START_SECONDS
            )
        except ProgramFailed:
            program.kill()
            raise
        self.url = program.lines[line].removeprefix("ready ").strip().rstrip("/")
        self._program = program
        return self

    @property
    def program(self) -> Program:
        assert self._program is not None, "the server does not run"
        return self._program

    @property
    def websocket_url(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/api/1.48.0/sync"

    @property
    def is_running(self) -> bool:
        return self._program is not None and self._program.is_running

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        program, self._program = self.program, None
        return program.terminate()

    def kill(self) -> None:
        program, self._program = self.program, None
        program.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._program is None:
            return
        if error is None:
            self.stop()
            return
        output = self.program.output
        self.kill()
        error.add_note(f"The server printed:\n{output[-6000:]}")


class NodeScript(Program):
    """A script of `tests/node`, run as `node <name>.mjs <url> <scenario> <JSON options>`."""

    def __init__(self, name: str, url: str, scenario: str, **options: object) -> None:
        super().__init__(
            ["node", f"{name}.mjs", url, scenario, json.dumps(options)],
            folder=NODE_FOLDER,
            NODE_NO_WARNINGS="1",
        )
        self._seen = 0

    @property
    def observations(self) -> list[dict[str, Any]]:
        with self._changed:
            return [json.loads(line) for line in self.lines if line.startswith("{")]

    def seen(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.observations if each["event"] == event]

    def expect(self, event: str, seconds: float = EVENT_SECONDS) -> dict[str, Any]:
        """Wait for the next observation of this name, after the last one that was expected."""

        def is_wanted(line: str) -> bool:
            return line.startswith("{") and json.loads(line)["event"] == event

        position = self.wait_for_line(is_wanted, after=self._seen, seconds=seconds)
        self._seen = position + 1
        return dict(json.loads(self.lines[position]))

    def skip_to_the_newest(self) -> None:
        """Expect from now on only what the script has yet to say."""
        with self._changed:
            self._seen = len(self.lines)

    def finish(self, seconds: float = EVENT_SECONDS) -> list[dict[str, Any]]:
        """Wait for a successful end; all observations."""
        code = self.wait(seconds)
        if code != 0:
            raise ProgramFailed(f"the script ended with {code}\n{self.output}")
        return self.observations


def run_node(name: str, url: str, scenario: str, **options: object) -> dict[str, dict[str, Any]]:
    """Run a script to its end; the last observation under each name."""
    with NodeScript(name, url, scenario, **options) as script:
        return {each["event"]: each for each in script.finish()}
