"""SIGINT and SIGTERM: the first asks to stop, the second does not ask.

The handlers run in the main thread even while a runaway function keeps the event loop busy, so a
second signal always ends the process. That loses nothing: what was acknowledged is durable, and the
next start repairs the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Set once somebody asked the process to stop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, before_force: Callable[[], None]) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._before_force = before_force
        self._asked = False

    async def wait(self) -> None:
        await self._event.wait()

    @property
    def event(self) -> asyncio.Event:
        return self._event

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self._asked:
            self._before_force()
            print("stopped by force", file=sys.stderr, flush=True)
            os._exit(128 + number)
        self._asked = True
        self._loop.call_soon_threadsafe(self._event.set)


@contextlib.contextmanager
def stop_on_signals(before_force: Callable[[], None]) -> Iterator[StopRequest]:
    """Turn the signals into a `StopRequest` of the running loop; main thread only."""
    request = StopRequest(asyncio.get_running_loop(), before_force)
    previous = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
