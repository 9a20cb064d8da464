"""A store for tests and scratch work: a list of commits that lives as long as the object.

Closing and opening the same object again finds everything, which is how tests restart an engine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from reactor.data.ids import InternalId
from reactor.errors import StoreLocked, StoreUnavailable
from reactor.store.base import Behind, Commit, DocumentWrite, TableDescription, check_append
from reactor.types import Timestamp


class MemoryStore:
    """`memory:`. Nothing outlives the process; "durable" means in the list."""

    def __init__(self) -> None:
        self._commits: list[Commit] = []  # ascending by ts; replaced, never changed, by compact
        self._head: Timestamp = 0
        self._is_open = False

    def open(self) -> Timestamp:
        if self._is_open:
            raise StoreLocked(
                "This memory store is already open: close its first user, or give each application "
                "a store of its own."
            )
        self._is_open = True
        return self._head

    def replay(self, after: Timestamp) -> Iterator[Commit]:
        self._check_open()
        commits = self._commits
        first = bisect_right(commits, after, key=attrgetter("ts"))
        return iter(commits[first:])

    def append(self, commits: Sequence[Commit], after: Timestamp) -> Behind | None:
        self._check_open()
        check_append(commits, self._head)
        if commits:
            self._commits.extend(commits)
            self._head = commits[-1].ts
        return None

    def follow(self, after: Timestamp) -> Iterator[Commit]:
        self._check_open()
        return iter(())

    def compact(self, horizon: Timestamp) -> None:
        self._check_open()
        latest: dict[tuple[int, InternalId], Timestamp] = {}
        for commit in self._commits:
            if commit.ts <= horizon:
                for write in commit.writes:
                    latest[write.table_number, write.id] = commit.ts

        def is_visible(ts: Timestamp, write: DocumentWrite) -> bool:
            if ts > horizon:
                return True
            return write.document is not None and latest[write.table_number, write.id] == ts

        kept = (
            Commit(commit.ts, tuple(w for w in commit.writes if is_visible(commit.ts, w)))
            for commit in self._commits
        )
        self._commits = [commit for commit in kept if commit.writes]

    def describe(self, tables: Sequence[TableDescription]) -> None:
        self._check_open()

    def close(self) -> None:
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("This memory store is closed: call open() first.")
