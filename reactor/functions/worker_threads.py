"""Threads for functions that would hold up the event loop.

A few places, so that slow functions do not take the machine from quick ones; whoever finds none
free waits, in order. A function that is stuck where nothing can interrupt it (a C call) gives up
its place when its time is over, and its thread, a daemon, ends whenever it ends: it can neither
starve other functions nor keep the process from stopping.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from reactor.errors import Overloaded, Unavailable

Result = TypeVar("Result")

#: How long a call may wait for a place.
QUEUE_SECONDS = 30.0


class WorkerThreads:
    """Used from the event loop's thread only."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stopped = False

    def stop(self) -> None:
        """Calls that wait for a place, and later ones, get Unavailable."""
        self._stopped = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(_stopped())
        self._waiting.clear()

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """`work()` in a thread. TimeoutError if it has not ended `seconds` after it began;
        Overloaded if no place became free in time."""
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._take_place()
        except TimeoutError:
            raise Overloaded(
                f"No worker thread became free within {QUEUE_SECONDS:g} s. Try again."
            ) from None
        try:
            future = _start(work)
            async with asyncio.timeout(seconds):
                return await future
        finally:
            self._give_place()

    async def _take_place(self) -> None:
        if self._stopped:
            raise _stopped()
        if self._free:
            self._free -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._give_place()
            raise

    def _give_place(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1


def _start(work: Callable[[], Result]) -> asyncio.Future[Result]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is gone, and with it everybody who waited for this

    threading.Thread(target=body, name="reactor-function", daemon=True).start()
    return future


def _stopped() -> Unavailable:
    return Unavailable("The Reactor stopped before this call began. Try again.")
