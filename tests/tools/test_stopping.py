"""Signals, sent to real processes."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.processes import Program

WAITS = """
import asyncio
from reactor.tools.stopping import stop_on_signals

async def main():
    with stop_on_signals(lambda: print("cleaned", flush=True)) as request:
        print("waiting", flush=True)
        await request.wait()
        print("asked", flush=True)
        {after}
    print("done", flush=True)

asyncio.run(main())
"""


def waiting(after: str) -> Program:
    program = Program([sys.executable, "-c", WAITS.format(after=after)])
    program.wait_for_line(lambda line: line == "waiting")
    return program


def send(program: Program, number: int) -> None:
    os.kill(program.pid, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: int) -> None:
    with waiting(after="pass") as program:
        send(program, number)
        assert program.wait() == 0
        assert program.lines == ["waiting", "asked", "done"]


def test_a_second_signal_ends_a_process_that_cleans_up_for_ever() -> None:
    with waiting(after="await asyncio.Event().wait()") as program:
        send(program, signal.SIGTERM)
        program.wait_for_line(lambda line: line == "asked")
        send(program, signal.SIGTERM)
        assert program.wait() == 128 + signal.SIGTERM
        assert program.lines[-1] == "cleaned"


def test_a_second_signal_ends_a_process_whose_event_loop_is_busy() -> None:
    with waiting(after="exec('while True: pass')") as program:
        send(program, signal.SIGINT)
        program.wait_for_line(lambda line: line == "asked")
        send(program, signal.SIGINT)
        assert program.wait() == 128 + signal.SIGINT
