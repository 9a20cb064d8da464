"""The queries of one connection: wanted by the client, watched by the driver, told to the client.

A query passes through three hands. The client adds it (`_adds`) and later removes it (`_removes`);
with the next Advance it becomes watched, or stops being watched; results that the Advance gave
(`_fresh`) and removals (`_gone`) wait for the Transition that tells the client.

Lifecycle of the fields:
- `_adds`, `_removes`  filled by `add` and `remove`, emptied by `take_changes`
- `_watched`           changed by `take_changes` only; each query in it knows what was told last
- `_fresh`             filled by `computed` (and by `take_changes` with refused calls), emptied by
                       `take_news`; holds only what differs from what was told
- `_gone`              filled by `take_changes`, emptied by `take_news`
- `_wanted`            how many ids are in the set; `add` and `remove` count
"""

from __future__ import annotations

from collections.abc import Iterable

from reactor.data.wire import JsonTree
from reactor.errors import InvalidRequest
from reactor.sync.requests import RefusedCall, WatchQuery
from reactor.sync.server_messages import CallOutcome, query_removed, query_result


class _Watched:
    """`told` is what the client's value came from, None until it has one."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: tuple[bytes, str | None] | None = None


class QuerySet:
    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._adds: dict[int, WatchQuery | RefusedCall] = {}
        self._removes: dict[int, None] = {}
        self._watched: dict[int, _Watched] = {}
        self._fresh: dict[int, CallOutcome] = {}
        self._gone: dict[int, None] = {}
        self._wanted = 0

    def __len__(self) -> int:
        """How many queries the client wants."""
        return self._wanted

    def __contains__(self, query_id: int) -> bool:
        """Does the client want it?"""
        return query_id in self._adds or (
            query_id in self._watched and query_id not in self._removes
        )

    def add(self, query_id: int, query: WatchQuery | RefusedCall) -> None:
        """The client wants one more query. Raises InvalidRequest if it may not have it."""
        if query_id in self:
            raise InvalidRequest(
                f"Query id {query_id} is in use on this connection; remove it first",
                tag="DuplicateQueryId",
            )
        if self._wanted >= self._size_max:
            raise InvalidRequest(
                f"More than {self._size_max} queries on one connection, which is the limit. "
                "Subscribe to fewer, larger queries.",
                tag="TooManySubscriptions",
            )
        self._adds[query_id] = query
        self._wanted += 1

    def remove(self, query_id: int) -> None:
        """The client wants it no longer. Unknown ids are only answered."""
        self._wanted -= query_id in self
        self._adds.pop(query_id, None)
        self._removes[query_id] = None

    def take_changes(self) -> tuple[tuple[int, ...], tuple[WatchQuery, ...]]:
        """What an Advance that starts now must stop watching and start watching."""
        removes, adds = self._removes, self._adds
        self._removes, self._adds = {}, {}
        for query_id in removes:
            self._watched.pop(query_id, None)
            self._fresh.pop(query_id, None)
            self._gone[query_id] = None
        for query_id, query in adds.items():
            self._watched[query_id] = _Watched()
            if isinstance(query, RefusedCall):
                self._fresh[query_id] = query
        return tuple(removes), tuple(q for q in adds.values() if isinstance(q, WatchQuery))

    def computed(self, results: Iterable[tuple[int, CallOutcome]]) -> None:
        """An Advance gave these. What the client knows already is dropped."""
        for query_id, outcome in results:
            if self._watched[query_id].told == (outcome.digest, outcome.journal):
                self._fresh.pop(query_id, None)
            else:
                self._fresh[query_id] = outcome

    @property
    def has_news(self) -> bool:
        return bool(self._fresh or self._gone)

    def take_news(self) -> list[JsonTree]:
        """The modifications of the Transition that is sent now, removals first, then by id."""
        fresh, gone = self._fresh, self._gone
        self._fresh, self._gone = {}, {}
        modifications = [query_removed(query_id) for query_id in sorted(gone)]
        for query_id in sorted(fresh):
            outcome = fresh[query_id]
            self._watched[query_id].told = (outcome.digest, outcome.journal)
            modifications.append(query_result(query_id, outcome))
        return modifications

    def clear(self) -> None:
        """The connection ends; nothing is told any more."""
        for part in (self._adds, self._removes, self._watched, self._fresh, self._gone):
            part.clear()
        self._wanted = 0

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        kept = sum(query_id not in self._removes for query_id in self._watched)
        assert self._wanted == kept + len(self._adds) <= self._size_max
        for query_id in self._adds:
            assert query_id not in self._watched or query_id in self._removes
        for query_id, outcome in self._fresh.items():
            assert self._watched[query_id].told != (outcome.digest, outcome.journal)
