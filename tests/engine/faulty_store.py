"""A memory store whose appends fail or wait when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from reactor.errors import StoreUnavailable
from reactor.store.base import Behind, Commit
from reactor.store.memory import MemoryStore
from reactor.types import Timestamp

_PATIENCE_SECONDS = 20.0


class FaultyStore(MemoryStore):
    """`groups` lists the timestamps of each append that succeeded."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[tuple[Timestamp, ...]] = []
        self.closed_times = 0
        self.replay_error: Exception | None = None
        self.behind: Behind | None = None
        self._failures: deque[Exception | None] = deque()
        self._open_gate = threading.Event()
        self._open_gate.set()
        self._entered = threading.Event()

    def fail(self, *errors: Exception | None) -> None:
        """Each of the next appends raises one of `errors` (by default one StoreUnavailable), None
        lets one pass."""
        self._failures.extend(errors or (StoreUnavailable("The disk is full."),))

    def block(self) -> None:
        """Appends wait from now on, before they do anything."""
        self._entered.clear()
        self._open_gate.clear()

    async def blocked(self) -> None:
        """Return once an append waits."""
        assert await asyncio.to_thread(self._entered.wait, _PATIENCE_SECONDS)

    def release(self) -> None:
        """Let the waiting append, and all later ones, go on."""
        self._open_gate.set()

    def replay(self, after: Timestamp) -> Iterator[Commit]:
        if self.replay_error is not None:
            raise self.replay_error
        return super().replay(after)

    def append(self, commits: Sequence[Commit], after: Timestamp) -> Behind | None:
        self._entered.set()
        assert self._open_gate.wait(_PATIENCE_SECONDS), "the test never released the store"
        if self._failures and (error := self._failures.popleft()) is not None:
            raise error
        if self.behind is not None:
            return self.behind
        answer = super().append(commits, after)
        self.groups.append(tuple(commit.ts for commit in commits))
        return answer

    def close(self) -> None:
        self.closed_times += 1
        super().close()
