"""The writer thread: commits in order, made durable in groups.

The event loop hands over commits; the thread takes all that have gathered while it was busy and
appends them to the store in one call, so that one sync to disk serves them all. It reports back to
the loop, in order, how far the log is durable.

If an append fails, nothing of it is durable, and neither may be anything handed over after it,
because later commits were made on top of the failed ones. `generation` sorts that out: the thread
refuses everything of a failed generation until the loop, having taken the commits back in memory,
hands over commits of a new one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from reactor.errors import StoreUnavailable
from reactor.store.base import Commit, Store
from reactor.types import Timestamp

Result = TypeVar("Result")

_GROUP_MAX = 1024


class _Job:
    """Work for the thread that is not a commit, such as `describe` or `compact`."""

    __slots__ = ("done", "run")

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run


class LogWriter:
    """Owns every call to the store between `start` and `stop`."""

    def __init__(
        self,
        store: Store,
        head: Timestamp,
        *,
        on_durable: Callable[[Timestamp], None],
        on_failed: Callable[[int, Exception], None],
    ) -> None:
        self._store = store
        self._head = head
        self._on_durable = on_durable
        self._on_failed = on_failed
        self._queue: queue.SimpleQueue[tuple[int, Commit] | _Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="reactor-log", daemon=True)
        self._failed_generation = -1

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def submit(self, generation: int, commit: Commit) -> None:
        """Hand over a commit; `on_durable` follows on the loop."""
        self._queue.put((generation, commit))

    async def call(self, function: Callable[[], Result]) -> Result:
        """Run something in the writer thread, between groups."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            try:
                result = function()
            except Exception as error:
                self._report(settle, None, error)
            else:
                self._report(settle, result, None)

        self._queue.put(_Job(run))
        return await future

    async def stop(self) -> None:
        """Finish what was handed over, then end the thread. The store stays open."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            group: list[tuple[int, Commit]] = []
            while isinstance(item, tuple):
                group.append(item)
                if len(group) >= _GROUP_MAX or self._queue.empty():
                    break
                item = self._queue.get()
            if group:
                self._append(group)
            if isinstance(item, _Job):
                item.run()
            elif item is None:
                return

    def _append(self, group: list[tuple[int, Commit]]) -> None:
        commits = [commit for generation, commit in group if generation > self._failed_generation]
        if not commits:
            return
        try:
            behind = self._store.append(commits, self._head)
            if behind is not None:
                raise StoreUnavailable(
                    "Another process wrote to this store, which only one process may open. "
                    "Stop the other process and start this one again."
                )
        except Exception as error:
            self._failed_generation = max(generation for generation, _ in group)
            self._report(self._on_failed, self._failed_generation, error)
            return
        self._head = commits[-1].ts
        self._report(self._on_durable, self._head)

    def _report(self, callback: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop is gone: the process is ending and nobody waits for this any more.
            return
