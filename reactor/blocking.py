"""A Reactor for scripts and notebooks: no event loop of one's own, ordinary blocking calls.

The Reactor runs on an event loop in a thread; every call here hands work to it and waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from reactor.functions.context import FunctionReference
from reactor.functions.loader import LoadedApp
from reactor.reactor import Reactor
from reactor.store.base import Store

Result = TypeVar("Result")


class BlockingReactor:
    """``with BlockingReactor("apps/events") as reactor: reactor.query("events:listEvents")``."""

    def __init__(
        self,
        app: Path | str | ModuleType | LoadedApp,
        *,
        store: str | Store = "memory:",
        redact: bool = False,
    ) -> None:
        self._reactor = Reactor(app, store=store, redact=redact)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> BlockingReactor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Open the store; returns when the Reactor answers."""
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="reactor-blocking", daemon=True
        )
        self._thread.start()
        try:
            self._wait(self._reactor.start())
        except BaseException:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Close the store and end the thread. Idempotent."""
        if self._loop is None:
            return
        try:
            self._wait(self._reactor.stop())
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None and self._thread is not None
        asyncio.run_coroutine_threadsafe(_finish(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def query(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a query and return its result."""
        return self._wait(self._reactor.query(function, **args))

    def mutation(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a mutation; durable when this returns."""
        return self._wait(self._reactor.mutation(function, **args))

    def action(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run an action and return its result."""
        return self._wait(self._reactor.action(function, **args))

    def subscribe(self, function: FunctionReference, /, **args: Any) -> Iterator[Any]:
        """The query's result now, then each changed one; blocks until there is one."""
        results = self._reactor.subscribe(function, **args)
        try:
            while True:
                try:
                    yield self._wait(_next(results))
                except StopAsyncIteration:
                    return
        finally:
            if self._loop is not None:
                self._wait(_close(results))

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            work.close()
            raise RuntimeError("This Reactor is not running: use `with BlockingReactor(...)`.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C, for one, ends the waiting; then the work is not wanted any more.
            future.cancel()
            raise


async def _finish() -> None:
    """End whatever is left on the loop: other threads wait for it."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


async def _next(results: Any) -> Any:
    return await anext(results)


async def _close(results: Any) -> None:
    await results.aclose()
