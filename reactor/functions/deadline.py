"""Stopping functions that run too long, also those that never call `ctx.db`.

`Watchdog.run(seconds, work)` runs something in the calling thread. When the time is over, a
watching thread raises `Interrupted` inside that thread, at its next bytecode
(`PyThreadState_SetAsyncExc`). That is safe here because a query or mutation has no effect until its
transaction commits: what was interrupted is thrown away whole. Code that sits in a C call is only
interrupted when it returns.

The race between a run's end and the interrupt is closed by one lock: the interrupt is sent only
while the run is registered, and a run that ends waits for one that was sent but has not arrived. So
`Interrupted` never surfaces after `run` has returned. (Taking a sent one back with a null exception
is no way out: CPython 3.11 then keeps checking for it, for ever and under a profiler in a loop.)
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

from reactor.runtime import Clock

Result = TypeVar("Result")

#: How precisely deadlines are kept while something is guarded.
_POLL_SECONDS = 0.01

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exception.restype = ctypes.c_int


class Interrupted(BaseException):
    """The guarded code ran too long. Not an `Exception`, so that user code does not catch it."""


class _Guard:
    __slots__ = ("ends", "sent", "thread_id")

    def __init__(self, thread_id: int, ends: float) -> None:
        self.thread_id = thread_id
        self.ends = ends
        self.sent = False


class Watchdog:
    """One thread that watches all runs of a Reactor; it sleeps while there are none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guards: set[_Guard] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="reactor-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watching thread. Runs under way are no longer stopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def run(self, seconds: float, work: Callable[[], Result]) -> Result:
        """`work()`, or `Interrupted` if it takes longer. Adds about 2 µs."""
        guard = _Guard(threading.get_ident(), self._clock.monotonic_seconds() + seconds)
        try:
            try:
                self._enter(guard)
                return work()
            finally:
                self._leave(guard)
        except Interrupted:
            # It may have arrived inside `_leave`, which then has not done its work.
            self._leave(guard)
            raise

    def _enter(self, guard: _Guard) -> None:
        with self._changed:
            self._guards.add(guard)
            if len(self._guards) == 1:
                self._changed.notify()

    def _leave(self, guard: _Guard) -> None:
        with self._changed:
            self._guards.discard(guard)
        if guard.sent:
            # Nothing more is sent now; one that is on its way arrives at the next backward jump.
            for _ in range(8):
                pass

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                if not self._guards:
                    self._changed.wait()
                    continue
                now = self._clock.monotonic_seconds()
                for guard in self._guards:
                    if now >= guard.ends:
                        guard.sent = True
                        # Again after a while, should the code have swallowed it.
                        guard.ends = now + 10 * _POLL_SECONDS
                        _set_async_exception(guard.thread_id, ctypes.py_object(Interrupted))
                self._changed.wait(_POLL_SECONDS)
