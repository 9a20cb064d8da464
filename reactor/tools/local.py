"""Calls to an app whose store no server holds: the store is opened in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from reactor.data.wire import decode
from reactor.engine.outcome import Outcome
from reactor.functions.loader import load_app
from reactor.identity import Identity
from reactor.reactor import Reactor
from reactor.tools.answers import Answer, Arguments
from reactor.tools.console import Printer
from reactor.tools.serve import open_app
from reactor.tools.targets import Target


class LocalApp:
    """One app, open in this process; nobody else can open its store meanwhile."""

    def __init__(self, reactor: Reactor, stack: AsyncExitStack) -> None:
        self._reactor = reactor
        self._stack = stack

    @classmethod
    async def open(cls, target: Target, printer: Printer) -> LocalApp:
        """Load the app and open its store."""
        loaded = await asyncio.to_thread(load_app, target.folder)
        async with AsyncExitStack() as stack:
            reactor = await stack.enter_async_context(open_app(target, loaded, printer))
            reactor.echo = False  # log lines come with the answer
            return cls(reactor, stack.pop_all())

    async def call(self, path: str, args: Arguments) -> Answer:
        return _answer(await self._reactor.run_any(path, dict(args), Identity.ADMIN))

    async def watch(self, path: str, args: Arguments) -> AsyncIterator[Answer]:
        dirty = asyncio.Event()
        client = self._reactor.open_live_client(dirty.set)
        try:
            client.set_identity(Identity.ADMIN)
            client.add(0, path, dict(args))
            dirty.set()
            while True:
                await dirty.wait()
                dirty.clear()
                for _, outcome in (await client.advance()).results:
                    yield _answer(outcome)
        finally:
            client.close()

    async def close(self) -> None:
        await self._stack.aclose()


def _answer(outcome: Outcome) -> Answer:
    return Answer(
        value=None if outcome.value is None else decode(outcome.value),
        error=None if outcome.error is None else outcome.error.message,
        log_lines=outcome.log_lines,
    )
