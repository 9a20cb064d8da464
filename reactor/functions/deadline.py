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

An interrupt between taking a lock and the `try` that gives it back would leave the lock taken for
ever. A `with` on a lock made in C has no such gap, which is why there is no `Condition` here; where
the standard library has one (imports, `logging`), the interrupt waits until the thread is past it.
It waits a little for a finaliser too: Python prints what one raises, and goes on.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import logging
import queue
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from reactor.functions import logs
from reactor.runtime import Clock

Result = TypeVar("Result")

#: How precisely deadlines are kept while something is guarded.
_POLL_SECONDS = 0.01

#: How many polls an interrupt waits for finalisers to end.
_FINALISER_POLLS = 20

#: A half done import can't be repeated (extension modules), and holds the module's lock.
_IMPORTING: Final = "<frozen importlib"
_LOCK_FILES: Final = frozenset({logging.__file__, threading.__file__, logs.__file__})
_LOCK_FUNCTIONS: Final = frozenset(
    {"acquire", "release", "_acquireLock", "_releaseLock", "__enter__", "__exit__"}
    | {"addHandler", "removeHandler", "acquire_root", "release_root"}
)

#: Where weak references call back to when an object is gone.
_FINALISER_FILES: Final = frozenset({weakref.__file__, inspect.getfile(weakref.WeakSet)})

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exception.restype = ctypes.c_int


class Interrupted(BaseException):
    """The guarded code ran too long. Not an `Exception`, so that user code does not catch it."""


class _Guard:
    __slots__ = ("ends", "finalising", "sent", "thread_id")

    def __init__(self, thread_id: int, ends: float) -> None:
        self.thread_id = thread_id
        self.ends = ends
        self.sent = False
        self.finalising = 0


class Watchdog:
    """One thread that watches all runs of a Reactor; it sleeps while there are none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._guards: set[_Guard] = set()
        # Threads in a garbage collection, whose callbacks would swallow an interrupt.
        self._collecting: set[int] = set()
        self._sleeping = False
        self._stopped = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopped = False
        gc.callbacks.insert(0, self._collection_starts)
        gc.callbacks.append(self._collection_stops)
        self._thread = threading.Thread(target=self._watch, name="reactor-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watching thread, once the runs under way have ended or were stopped."""
        with self._lock:
            self._stopped = True
            idle = not self._guards
        for callback in (self._collection_starts, self._collection_stops):
            if callback in gc.callbacks:
                gc.callbacks.remove(callback)
        self._wake.put(None)
        thread, self._thread = self._thread, None
        if thread is not None and idle:
            thread.join()

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

    def _collection_starts(self, phase: str, info: object) -> None:
        if phase == "start":
            self._collecting.add(threading.get_ident())

    def _collection_stops(self, phase: str, info: object) -> None:
        if phase == "stop":
            self._collecting.discard(threading.get_ident())

    def _enter(self, guard: _Guard) -> None:
        with self._lock:
            self._guards.add(guard)
            if self._sleeping:
                self._sleeping = False
                self._wake.put(None)

    def _leave(self, guard: _Guard) -> None:
        with self._lock:
            self._guards.discard(guard)
        if guard.sent:
            # Nothing more is sent now; one that is on its way arrives at the next backward jump.
            for _ in range(8):
                pass

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._send_interrupts()
                self._sleeping = not self._guards
                if self._stopped and self._sleeping:
                    return
                timeout_seconds = None if self._sleeping else _POLL_SECONDS
            try:
                self._wake.get(timeout=timeout_seconds)
            except queue.Empty:
                continue

    def _send_interrupts(self) -> None:
        now = self._clock.monotonic_seconds()
        due = [guard for guard in self._guards if now >= guard.ends]
        frames = sys._current_frames() if due else {}
        for guard in due:
            frame = frames.get(guard.thread_id)
            if _holds_a_lock(frame):
                continue
            if guard.finalising < _FINALISER_POLLS and (
                guard.thread_id in self._collecting or _is_finalising(frame)
            ):
                guard.finalising += 1
                continue
            guard.sent = True
            # Again after a while, should the code have swallowed it.
            guard.ends = now + 10 * _POLL_SECONDS
            _set_async_exception(guard.thread_id, ctypes.py_object(Interrupted))


def _holds_a_lock(frame: FrameType | None) -> bool:
    """Is this thread at a place where an exception would leave a lock taken?"""
    code = None if frame is None else frame.f_code
    if code and code.co_name in _LOCK_FUNCTIONS and code.co_filename in _LOCK_FILES:
        return True
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False


def _is_finalising(frame: FrameType | None) -> bool:
    """Is this thread inside a finaliser, where an exception would be lost?"""
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename in _FINALISER_FILES:
            return True
        frame = frame.f_back
    return False
