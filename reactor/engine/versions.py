"""Multi-version indexes: sorted keys, each with a chain of versions, newest first.

A snapshot is nothing but a timestamp: a reader at `ts` sees, for each key, the newest version whose
timestamp is not above `ts`; a version without a document is a deletion. Nothing is ever changed in
place, so a reader needs no lock for a chain; only the sorted list of keys is guarded, for one batch
of keys at a time, because it is a structure of several lists.

Invariants (see `check`):
- timestamps along a chain strictly decrease, and writes arrive in timestamp order;
- `_keys` holds exactly the keys that have a chain, `_dead` those whose newest version is a
  deletion;
- `_history` lists every write that `trim` has not passed, in order: `trim` takes from its left,
  `truncate` from its right, so both cost what was written since, not what is stored;
- `_membership` lists the writes that made a key appear (+1) or disappear (-1), for `count`.

The same class holds a database index (timestamps are commit timestamps) and the writes of one
transaction on an index (timestamps are its statement numbers, `truncate` is a savepoint's
rollback).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

from sortedcontainers import SortedList

from reactor.data.intervals import KeyRange
from reactor.engine.documents import Document
from reactor.types import Timestamp

_BATCH_MIN = 16
_BATCH_MAX = 512


class Version:
    """A document, or its absence, since `ts`."""

    __slots__ = ("document", "previous", "ts")

    def __init__(self, ts: Timestamp, document: Document | None, previous: Version | None) -> None:
        self.ts = ts
        self.document = document
        self.previous = previous


class VersionedIndex:
    """Keys to version chains. Writes are O(log n), reads at a snapshot O(log n + rows)."""

    __slots__ = ("_chains", "_dead", "_history", "_keys", "_lock", "_membership")

    def __init__(self, lock: AbstractContextManager[object] | None = None) -> None:
        self._chains: dict[bytes, Version] = {}
        self._keys: SortedList[bytes] = SortedList()
        self._dead: SortedList[bytes] = SortedList()
        self._history: deque[tuple[Timestamp, bytes]] = deque()
        self._membership: deque[tuple[Timestamp, bytes, int]] = deque()
        self._lock = lock if lock is not None else nullcontext()

    def __len__(self) -> int:
        """Keys that are live in the newest version."""
        return len(self._keys) - len(self._dead)

    def load(self, rows: Iterable[tuple[bytes, Timestamp, Document]]) -> None:
        """Fill an empty index with one live version per key; sorts once, O(n log n)."""
        self._chains = {key: Version(ts, document, None) for key, ts, document in rows}
        self._keys = SortedList(self._chains)

    def write(self, key: bytes, ts: Timestamp, document: Document | None) -> None:
        """Put a version on top of a key's chain. `ts` is above every earlier one of that key."""
        newest = self._chains.get(key)
        assert newest is None or newest.ts < ts, "versions of one key must get newer"
        was_live = newest is not None and newest.document is not None
        with self._lock:
            if newest is None:
                self._keys.add(key)
                if document is None:
                    self._dead.add(key)
            elif was_live and document is None:
                self._dead.add(key)
            elif not was_live and document is not None:
                self._dead.remove(key)
            self._chains[key] = Version(ts, document, newest)
            self._history.append((ts, key))
            if was_live != (document is not None):
                self._membership.append((ts, key, -1 if was_live else 1))

    def find(self, key: bytes, ts: Timestamp) -> Version | None:
        """The version of one key visible at `ts` (a deletion included). O(newer versions)."""
        version = self._chains.get(key)
        while version is not None and version.ts > ts:
            version = version.previous
        return version

    def scan(
        self, within: KeyRange, ts: Timestamp, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, Version]]:
        """Versions visible at `ts` (deletions included) in key order, fetched in batches."""
        start, end = within
        size = _BATCH_MIN
        while start < end:
            with self._lock:
                keys = list(
                    islice(self._keys.irange(start, end, (True, False), reverse=reverse), size)
                )
            for key in keys:
                version = self.find(key, ts)
                if version is not None:
                    yield key, version
            if len(keys) < size:
                return
            if reverse:
                end = keys[-1]
            else:
                start = keys[-1] + b"\x00"
            size = min(size * 2, _BATCH_MAX)

    def count(self, within: KeyRange, ts: Timestamp) -> int:
        """Live keys in a range at `ts`. O(log n + membership changes after `ts`)."""
        start, end = within
        with self._lock:
            keys, dead = self._keys, self._dead
            live: int = keys.bisect_left(end) - keys.bisect_left(start)
            if dead:
                live -= dead.bisect_left(end) - dead.bisect_left(start)
            for changed_ts, key, delta in reversed(self._membership):
                if changed_ts <= ts:
                    break
                if start <= key < end:
                    live -= delta
        return live

    def trim(self, horizon: Timestamp) -> None:
        """Forget versions that no snapshot at or after `horizon` can see."""
        with self._lock:
            history = self._history
            while history and history[0][0] <= horizon:
                _, key = history.popleft()
                self._trim_chain(key, horizon)
            while self._membership and self._membership[0][0] <= horizon:
                self._membership.popleft()

    def _trim_chain(self, key: bytes, horizon: Timestamp) -> None:
        newer: Version | None = None
        version = self._chains.get(key)
        while version is not None and version.ts > horizon:
            newer, version = version, version.previous
        if version is None:
            return
        version.previous = None
        if version.document is not None:
            return
        if newer is not None:
            newer.previous = None
        else:
            del self._chains[key]
            self._keys.remove(key)
            self._dead.remove(key)

    def truncate(self, after: Timestamp) -> None:
        """Take back every write above `after`. O(writes taken back)."""
        with self._lock:
            while self._membership and self._membership[-1][0] > after:
                self._membership.pop()
            while self._history and self._history[-1][0] > after:
                _, key = self._history.pop()
                newest = self._chains.get(key)
                while newest is not None and newest.ts > after:
                    newest = newest.previous
                self._settle(key, newest)

    def _settle(self, key: bytes, newest: Version | None) -> None:
        self._dead.discard(key)
        if newest is None:
            if self._chains.pop(key, None) is not None:
                self._keys.remove(key)
            return
        self._chains[key] = newest
        if newest.document is None:
            self._dead.add(key)

    def chains(self) -> Iterator[Version]:
        """The newest version of every key, in no order."""
        return iter(list(self._chains.values()))

    @property
    def needs_trim(self) -> bool:
        return bool(self._history)

    def check(self) -> None:
        """Assert the invariants of the module's docstring. O(everything)."""
        assert list(self._keys) == sorted(self._chains)
        assert list(self._dead) == sorted(k for k, v in self._chains.items() if v.document is None)
        for version in self._chains.values():
            link: Version | None = version
            while link is not None and link.previous is not None:
                assert link.ts > link.previous.ts
                link = link.previous
        timestamps = [ts for ts, _ in self._history]
        assert timestamps == sorted(timestamps)
