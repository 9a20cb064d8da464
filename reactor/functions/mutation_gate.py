"""The way in for mutations: side by side as a rule, one alone when it kept losing.

A mutation in a worker thread that has conflicted a few times runs again *alone*: nobody begins and
nobody commits meanwhile, so it cannot conflict. Mutations on the event loop begin and commit
without suspending, so for them passing the gate costs one comparison while it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MutationGate:
    """Fair among those who want to be alone; the others wait until the gate is open."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()

    @asynccontextmanager
    async def entered(self, *, alone: bool) -> AsyncIterator[None]:
        if not alone:
            await self.passed()
            yield
            return
        async with self._alone:
            yield

    async def passed(self) -> None:
        """Return once nobody is alone inside."""
        while self._alone.locked():
            async with self._alone:
                pass
