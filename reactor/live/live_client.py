"""The watched queries of one client, advanced together.

`advance` picks the newest durable timestamp and brings every watched query to it, so that whatever
the client is shown holds at one moment. It reports the queries that are new or whose outcome
differs from what was last reported, ordered by query id.

Invariant: `_reported[query_id]` is the digest of the outcome that the last `advance` which
mentioned the query reported; a query without one is new to the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.database import Database
from reactor.engine.outcome import Outcome
from reactor.identity import Identity
from reactor.live.live_queries import LiveQueries
from reactor.live.live_query import LiveQuery, QueryCall
from reactor.types import Timestamp

#: How long one client's advance may keep the event loop before others get a turn.
_TURN_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Advance:
    """At `ts` every watched query holds what the client knows after applying `results`."""

    ts: Timestamp
    results: tuple[tuple[int, Outcome], ...]


class _Watched:
    __slots__ = ("args", "journal", "path", "query", "reported")

    def __init__(self, path: str, args: dict[str, Value], journal: str | None) -> None:
        self.path = path
        self.args = args
        self.journal = journal
        self.query: LiveQuery | None = None
        self.reported: bytes | None = None


class LiveClient:
    """`on_dirty` is called, on the loop, when `advance` would report something."""

    def __init__(self, database: Database, live: LiveQueries, on_dirty: Callable[[], None]) -> None:
        self._database = database
        self._live = live
        self._on_dirty = on_dirty
        self._identity = Identity.ANONYMOUS
        self._watched: dict[int, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def query_changed(self) -> None:
        self._on_dirty()

    def add(
        self, query_id: int, path: str, args: dict[str, Value], journal: str | None = None
    ) -> None:
        """Watch a query; the next `advance` reports it. `query_id` is not watched yet."""
        assert query_id not in self._watched
        self._watched[query_id] = _Watched(path, args, journal)

    def remove(self, query_id: int) -> None:
        """Stop watching; unknown ids are ignored."""
        watched = self._watched.pop(query_id, None)
        if watched is not None:
            self._detach(watched)

    def set_identity(self, identity: Identity) -> None:
        """Run every query under `identity` from the next `advance` on."""
        if identity == self._identity:
            return
        self._identity = identity
        for watched in self._watched.values():
            self._detach(watched)

    async def advance(self) -> Advance:
        """Bring every watched query to the newest durable timestamp. Runs what is stale."""
        database = self._database
        ts = database.durable
        database.hold(ts)
        results: list[tuple[int, Outcome]] = []
        turn_ends = database.clock.monotonic_seconds() + _TURN_SECONDS
        try:
            for query_id, watched in sorted(self._watched.items()):
                if self._watched.get(query_id) is not watched:
                    continue
                outcome = await self._outcome(watched, ts)
                if outcome.digest != watched.reported or outcome.journal != watched.journal:
                    watched.journal = outcome.journal
                    watched.reported = outcome.digest
                    results.append((query_id, outcome))
                if database.clock.monotonic_seconds() > turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = database.clock.monotonic_seconds() + _TURN_SECONDS
        finally:
            database.release(ts)
        return Advance(ts, tuple(results))

    async def _outcome(self, watched: _Watched, ts: Timestamp) -> Outcome:
        query = watched.query
        if query is None or not query.serves(self._identity):
            query = self._attach(watched)
        evaluation = await self._live.evaluation_at(query, ts)
        if evaluation.identity_observed and query.call.identity != self._identity:
            # A shared query turned out to look at the identity: this outcome is another caller's.
            evaluation = await self._live.run(self._call(watched), ts)
        return evaluation.outcome

    def _call(self, watched: _Watched) -> QueryCall:
        return QueryCall(
            watched.path,
            watched.args,
            wire.canonical(watched.args),
            self._identity,
            watched.journal,
        )

    def _attach(self, watched: _Watched) -> LiveQuery:
        self._detach(watched)
        query = self._live.find(self._call(watched))
        query.watch(self)
        self._live.watched(query)
        watched.query = query
        return query

    def _detach(self, watched: _Watched) -> None:
        query, watched.query = watched.query, None
        if query is None:
            return
        query.unwatch(self)
        if not query.watchers:
            self._live.unwatched(query)

    def close(self) -> None:
        """Stop watching everything. Idempotent."""
        for query_id in list(self._watched):
            self.remove(query_id)
