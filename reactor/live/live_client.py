"""The watched queries of one client, advanced together.

`advance` picks the newest durable timestamp and brings every watched query to it, so that whatever
the client is shown holds at one moment. It reports the queries that are new or whose outcome
differs from what was last reported, ordered by query id.

Invariants: `_Watched.reported` is the digest of the outcome that the last `advance` which mentioned
the query returned; a query without one is new to the client. Outside of `advance`, `on_dirty` was
called since the last one began if the newest evaluation of some query is another one.
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
        self._advancing = False
        self._changed_meanwhile = False

    def __len__(self) -> int:
        return len(self._watched)

    def query_changed(self) -> None:
        if self._advancing:
            self._changed_meanwhile = True  # `advance` may yet report it
        else:
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
        """Bring every watched query to the newest durable timestamp. Runs what is stale.

        If it fails or is cancelled, the next one reports what this one would have.
        """
        assert not self._advancing, "one advance at a time"
        database = self._database
        ts = database.durable
        database.hold(ts)
        self._advancing, self._changed_meanwhile = True, False
        try:
            results = await self._results_at(ts)
            self._changed_meanwhile = self._is_behind()
        finally:
            database.release(ts)
            self._advancing = False
            if self._changed_meanwhile:
                self._on_dirty()
        return Advance(ts, results)

    async def _results_at(self, ts: Timestamp) -> tuple[tuple[int, Outcome], ...]:
        clock = self._database.clock
        turn_ends = clock.monotonic_seconds() + _TURN_SECONDS
        found: list[tuple[int, _Watched, Outcome]] = []
        for query_id, watched in sorted(self._watched.items()):
            if self._watched.get(query_id) is not watched:
                continue
            outcome = await self._outcome(query_id, watched, ts)
            if outcome is None:
                continue
            if outcome.digest != watched.reported or outcome.journal != watched.journal:
                found.append((query_id, watched, outcome))
            if clock.monotonic_seconds() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = clock.monotonic_seconds() + _TURN_SECONDS
        results = []
        # Only now, when nothing can come between: what is noted as reported will be reported.
        for query_id, watched, outcome in found:
            if self._watched.get(query_id) is watched:
                watched.journal = outcome.journal
                watched.reported = outcome.digest
                results.append((query_id, outcome))
        return tuple(results)

    async def _outcome(self, query_id: int, watched: _Watched, ts: Timestamp) -> Outcome | None:
        """The outcome at `ts`; None if the query was removed meanwhile."""
        while self._watched.get(query_id) is watched:
            query = watched.query
            if query is None or not query.serves(self._identity):
                query = self._attach(watched)
            identity = self._identity
            evaluation = await self._live.evaluation_at(query, ts)
            if not evaluation.identity_observed or query.call.identity == identity:
                return evaluation.outcome
            # It turned out to look at the identity, and this outcome is another caller's.
            if query.serves(identity):
                # It did so in the past only: nobody else needs that.
                return (await self._live.run(self._call(watched), ts)).outcome
        return None

    def _is_behind(self) -> bool:
        """Has a query moved on from what was reported? Then nobody else will tell us of it."""
        behind = False
        for watched in self._watched.values():
            query = watched.query
            if query is None or query.evaluation is None:
                continue
            self._live.keep_fresh(query)
            if query.evaluation.outcome.digest != watched.reported or not query.serves(
                self._identity
            ):
                behind = True
        return behind

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
