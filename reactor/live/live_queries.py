"""All live queries: the shared cache, and commits turned into re-runs.

Identical calls share one `LiveQuery`, so a query runs once and is encoded once for all who watch
it. Two calls are identical if path, canonical arguments, starting journal and, only if the function
looked at it, identity are equal.

Every kept evaluation has its read ranges in one `IntervalMap`. When commits become durable, each
written key is looked up there: the queries it hits become stale. A stale query that is watched is
re-run in the background; one that nobody watches is forgotten. So a kept, unwatched, not stale
query *is* the cache, bounded by count and bytes.

A query whose re-runs are expensive is re-run after a pause that grows with their cost, so that
heavy writing coalesces; whoever needs its value at a timestamp (`evaluation_at`) never waits for
the pause. Whoever had it re-run, all its watchers are told if the result differs.

Invariants (see `check`): a query is in the interval map exactly while it is kept and has an
evaluation; every registered key leads to its query and back; unwatched queries are in `_unwatched`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

from reactor.data.interval_map import IntervalMap
from reactor.engine.commit_log import LogEntry
from reactor.engine.database import Database
from reactor.engine.outcome import Evaluation
from reactor.engine.reads import Aspect
from reactor.errors import Problem
from reactor.live.live_query import EvaluateQuery, LiveQuery, QueryCall, QueryKey
from reactor.types import Timestamp

_LOGGER = logging.getLogger("reactor.live")

#: How many results that nobody watches are kept for the next caller, and of what total size.
CACHED_QUERIES_MAX = 1_000
CACHED_BYTES_MAX = 64 << 20

#: A re-run that took this long waits before it runs again: twice its own time, at most a second.
_CHEAP_SECONDS = 0.002
_PAUSE_FACTOR = 2.0
_PAUSE_MAX_SECONDS = 1.0


class LiveQueries:
    """Lives on the event loop. Register with `Database.on_publish` before use."""

    def __init__(self, database: Database, evaluate: EvaluateQuery) -> None:
        self._database = database
        self._evaluate = evaluate
        self._by_key: dict[QueryKey, LiveQuery] = {}
        self._ranges: IntervalMap[LiveQuery] = IntervalMap()
        # Least recently asked for first, each with the bytes it keeps.
        self._unwatched: OrderedDict[LiveQuery, int] = OrderedDict()
        self._unwatched_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.runs = 0
        database.on_publish(self._on_publish)

    def __len__(self) -> int:
        return len(set(self._by_key.values()))

    # -- finding and keeping ---------------------------------------------------------------------

    def find(self, call: QueryCall) -> LiveQuery:
        """The live query of a call, made if there is none. O(1)."""
        key = QueryKey(call.path, call.canonical_args, call.journal, None)
        query = self._by_key.get(key) or self._by_key.get(key._replace(identity=call.identity))
        if query is None:
            query = LiveQuery(call)
            self._register(query, key._replace(identity=call.identity))
            self._unwatched[query] = 0
        elif query in self._unwatched:
            self._unwatched.move_to_end(query)
        return query

    def _register(self, query: LiveQuery, key: QueryKey) -> None:
        if key not in self._by_key:
            self._by_key[key] = query
            query.keys.add(key)

    def watched(self, query: LiveQuery) -> None:
        """Somebody watches it, or it is forgotten: it is no longer the cache's to evict."""
        self._unwatched_bytes -= self._unwatched.pop(query, 0)

    def unwatched(self, query: LiveQuery) -> None:
        """Nobody watches it any more: keep it for the next caller, unless it is stale."""
        if query.stale_since is not None or not query.keys:
            self._forget(query)
            return
        self.watched(query)
        size = query.size_bytes()
        self._unwatched[query] = size
        self._unwatched_bytes += size
        while len(self._unwatched) > CACHED_QUERIES_MAX or self._unwatched_bytes > CACHED_BYTES_MAX:
            self._forget(next(iter(self._unwatched)))

    def _forget(self, query: LiveQuery) -> None:
        self.watched(query)
        self._unregister(query, set(query.keys))
        self._ranges.remove(query)
        query.mapped = False

    # -- evaluating ------------------------------------------------------------------------------

    async def evaluation_at(self, query: LiveQuery, ts: Timestamp) -> Evaluation:
        """The query at the durable timestamp `ts`, from the cache or by running it.

        The caller holds the snapshot at `ts` if it may be older than the newest durable one.
        """
        while True:
            evaluation = query.valid_at(ts)
            if evaluation is not None:
                return evaluation
            if query.flight is not None:
                await asyncio.shield(query.flight)
            elif query.evaluation is not None and query.evaluation.outcome.ts > ts:
                # The kept evaluation is younger than asked for: run once more, for this caller.
                return await self.run(query.call, ts)
            else:
                await self._fly(query, ts)

    async def run(self, call: QueryCall, ts: Timestamp) -> Evaluation:
        """Evaluate a call without keeping anything."""
        self.runs += 1
        return await self._evaluate(call, ts)

    async def _fly(self, query: LiveQuery, ts: Timestamp) -> None:
        flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        query.flight = flight
        try:
            self._keep(query, await self.run(query.call, ts))
        finally:
            query.flight = None
            flight.set_result(None)
            if not query.watchers:
                self.unwatched(query)

    def _keep(self, query: LiveQuery, evaluation: Evaluation) -> None:
        previous = query.evaluation
        conflict = self._database.conflict_since(evaluation.reads, evaluation.outcome.ts)
        query.settle(evaluation, None if conflict is None else conflict.ts)
        if not query.mapped or previous is None or previous.reads != evaluation.reads:
            self._ranges.remove(query)
            for aspect, ranges in evaluation.reads.items():
                self._ranges.add(query, aspect, ranges)
            query.mapped = True
        self._rekey(query, evaluation)
        self._pace(query)
        if query.stale_since is not None:
            self._part_from_newcomers(query)
            self.keep_fresh(query)
        # Here, and not where a re-run was asked for: whoever it was, all watchers must hear of it.
        if previous is not None and (
            previous.outcome.digest != evaluation.outcome.digest
            or previous.identity_observed != evaluation.identity_observed
        ):
            self._tell(query)

    def _rekey(self, query: LiveQuery, evaluation: Evaluation) -> None:
        """Register the keys under which others may share the newest evaluation."""
        call = query.call
        journal = evaluation.outcome.journal
        if journal is not None and call.journal != journal:
            # From now on the page is bounded by its journal; only the very first run is what a
            # newcomer without a journal would see.
            query.call = call._replace(journal=journal)
        if evaluation.volatile:
            self._unregister(query, set(query.keys))
            return
        if evaluation.identity_observed:
            # It may not have looked at the identity before: callers of other identities must part.
            self._unregister(query, {key for key in query.keys if key.identity is None})
        identity = call.identity if evaluation.identity_observed else None
        key = QueryKey(call.path, call.canonical_args, journal, identity)
        self._register(query, key)
        if call.journal is None:
            self._register(query, key._replace(journal=None))

    def _unregister(self, query: LiveQuery, keys: set[QueryKey]) -> None:
        for key in keys:
            del self._by_key[key]
        query.keys -= keys

    # -- commits ---------------------------------------------------------------------------------

    def _on_publish(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            for written in entry.written:
                hit = self._ranges.stab(Aspect(written.index_id, False), written.key)
                if written.membership_changed:
                    hit |= self._ranges.stab(Aspect(written.index_id, True), written.key)
                for query in hit:
                    self._invalidate(query, entry.ts)

    def _invalidate(self, query: LiveQuery, ts: Timestamp) -> None:
        evaluation = query.evaluation
        if evaluation is None or query.stale_since is not None or evaluation.outcome.ts >= ts:
            return
        query.stale_since = ts
        self._part_from_newcomers(query)
        if query.watchers:
            self.keep_fresh(query)
        elif query.flight is None:
            self._forget(query)

    def _part_from_newcomers(self, query: LiveQuery) -> None:
        """It will run again within its journal: who has none must see a first page of its own."""
        self._unregister(query, {k for k in query.keys if k.journal != query.call.journal})

    def keep_fresh(self, query: LiveQuery) -> None:
        """Re-run it in the background if it is stale and watched. Its watchers are told."""
        if query.stale_since is None or query.refreshing or not query.watchers:
            return
        query.refreshing = True
        task = asyncio.get_running_loop().create_task(self._refresh(query))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self, query: LiveQuery) -> None:
        """Re-run a stale query until it is fresh."""
        try:
            while query.stale_since is not None and query.watchers:
                if query.refresh_after_seconds:
                    await asyncio.sleep(query.refresh_after_seconds)
                    if query.stale_since is None or not query.watchers:
                        break
                ts = self._database.durable
                self._database.hold(ts)
                try:
                    await self.evaluation_at(query, ts)
                finally:
                    self._database.release(ts)
        except Problem as problem:
            _LOGGER.warning("re-running %s failed: %s", query.call.path, problem)
            self._tell(query)
        except Exception:
            _LOGGER.exception("re-running %s failed", query.call.path)
            self._tell(query)
        finally:
            query.refreshing = False

    @staticmethod
    def _pace(query: LiveQuery) -> None:
        seconds = query.evaluation.seconds if query.evaluation is not None else 0.0
        query.refresh_after_seconds = (
            0.0 if seconds < _CHEAP_SECONDS else min(seconds * _PAUSE_FACTOR, _PAUSE_MAX_SECONDS)
        )

    @staticmethod
    def _tell(query: LiveQuery) -> None:
        for watcher in list(query.watchers):
            watcher.query_changed()

    async def close(self) -> None:
        """Stop background re-runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        for key, query in self._by_key.items():
            assert key in query.keys
            query.check()
            assert bool(query.watchers) != (query in self._unwatched) or query.flight is not None
            assert query.mapped == (query.evaluation is not None)
        assert self._unwatched_bytes == sum(self._unwatched.values())
        for query in self._unwatched:
            assert not query.watchers
