"""The shared cache of query results, on a real database with queries written as plain callables.

`Scripted` is the evaluator: each path is a Python function over a transaction, and one that is
declared slow suspends until the test lets it go, as a query in a worker thread does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from reactor.data import wire
from reactor.data.intervals import EVERYTHING
from reactor.data.keys import encode_key, prefix_range
from reactor.data.values import Value
from reactor.engine.database import Database
from reactor.engine.outcome import Evaluation, Outcome
from reactor.engine.transaction import Transaction
from reactor.errors import Overloaded
from reactor.identity import Identity
from reactor.live import live_queries
from reactor.live.live_queries import LiveQueries
from reactor.live.live_query import LiveQuery, QueryCall
from reactor.types import Timestamp
from tests.engine.databases import begin, items, meter, open_database

ANN = Identity.of_user({"tokenIdentifier": "ann"})
BEN = Identity.of_user({"tokenIdentifier": "ben"})


class Run:
    """What one scripted evaluation may look at."""

    def __init__(self, transaction: Transaction, call: QueryCall) -> None:
        self.transaction = transaction
        self.args = call.args
        self.identity_observed = False
        self.volatile = False
        self.journal: str | None = call.journal
        self._identity = call.identity

    def who(self) -> str:
        self.identity_observed = True
        user = self._identity.user()
        return "nobody" if user is None else str(user["tokenIdentifier"])

    def values(self, a: int | None = None) -> list[Value]:
        table = self.transaction.table("items")
        assert table is not None
        within = EVERYTHING if a is None else prefix_range(encode_key((a,)))
        rows = self.transaction.scan(table, table.indexes["by_a"], within)
        return [document.value["a"] for _, document in rows]


class Scripted:
    """An `EvaluateQuery` over callables; `runs` are the (path, ts) that were evaluated."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queries: dict[str, Callable[[Run], Value]] = {}
        self.slow: dict[str, asyncio.Event] = {}
        self.begun = asyncio.Event()
        self.failing = False
        self.runs: list[tuple[str, Timestamp]] = []

    async def __call__(self, call: QueryCall, ts: Timestamp) -> Evaluation:
        self.runs.append((call.path, ts))
        run = Run(self._database.begin_query(meter(), at=ts), call)
        value = self.queries[call.path](run)
        self._database.hold(ts)
        try:
            if call.path in self.slow:
                self.begun.set()
                await self.slow[call.path].wait()
        finally:
            self._database.release(ts)
        if self.failing:
            raise Overloaded("no thread is free")
        outcome = Outcome.of(ts, value=wire.encode(value), journal=run.journal)
        reads = run.transaction.reads()
        return Evaluation(outcome, reads, run.identity_observed, run.volatile, 0.0)


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.times = 0
        self.event = asyncio.Event()

    def query_changed(self) -> None:
        self.times += 1
        self.event.set()


class Live:
    """Live queries over a database with table `items`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.scripted = Scripted(database)
        self.scripted.queries = {
            "all": lambda run: run.values(),
            "one": lambda run: run.values(1),
            "mine": lambda run: run.who(),
        }
        self.queries = LiveQueries(database, self.scripted)

    @property
    def runs(self) -> int:
        return len(self.scripted.runs)

    def find(
        self, path: str, identity: Identity = Identity.ANONYMOUS, journal: str | None = None
    ) -> LiveQuery:
        return self.queries.find(QueryCall(path, {}, b"{}", identity, journal))

    def watch(self, path: str, watcher: Told, identity: Identity = Identity.ANONYMOUS) -> LiveQuery:
        query = self.find(path, identity)
        query.watch(watcher)
        self.queries.watched(query)
        return query

    def unwatch(self, query: LiveQuery, watcher: Told) -> None:
        query.unwatch(watcher)
        if not query.watchers:
            self.queries.unwatched(query)

    async def value(self, query: LiveQuery, ts: Timestamp | None = None) -> Value:
        at = self.database.durable if ts is None else ts
        evaluation = await self.queries.evaluation_at(query, at)
        assert evaluation.outcome.value is not None
        return wire.decode(evaluation.outcome.value)

    async def ask(self, path: str, identity: Identity = Identity.ANONYMOUS) -> Value:
        return await self.value(self.find(path, identity))

    async def insert(self, a: int) -> Timestamp:
        transaction = begin(self.database)
        transaction.insert(items(self.database), {"a": a})
        committed = self.database.commit(transaction)
        assert isinstance(committed, int)
        await self.database.wait_durable(committed)
        return committed


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    async with asyncio.timeout(30), open_database() as database:
        opened = Live(database)
        try:
            yield opened
            opened.queries.check()
        finally:
            await opened.queries.close()


async def settled(live: Live) -> None:
    """Let background re-runs end."""
    while live.queries._tasks:
        await asyncio.gather(*live.queries._tasks)


# -- sharing -------------------------------------------------------------------------------------


def test_concurrent_callers_of_a_slow_query_share_one_run() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.slow["all"] = asyncio.Event()
            asking = [asyncio.create_task(it.ask("all")) for _ in range(10)]
            await it.scripted.begun.wait()
            it.scripted.slow["all"].set()
            assert await asyncio.gather(*asking) == [[]] * 10
            assert it.runs == 1

    asyncio.run(main())


def test_callers_go_on_when_the_one_whose_run_they_share_is_cancelled() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.slow["all"] = asyncio.Event()
            first = asyncio.create_task(it.ask("all"))
            await it.scripted.begun.wait()
            second = asyncio.create_task(it.ask("all"))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            it.scripted.slow["all"].set()
            assert await second == []
            assert it.find("all").flight is None

    asyncio.run(main())


def test_a_run_that_fails_leaves_the_query_to_the_next_caller() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.failing = True
            with pytest.raises(Overloaded):
                await it.ask("all")
            it.scripted.failing = False
            assert await it.ask("all") == []

    asyncio.run(main())


def test_a_query_that_ignores_the_identity_is_shared_by_all_identities() -> None:
    async def main() -> None:
        async with live() as it:
            await it.ask("all", ANN)
            await it.ask("all", BEN)
            await it.ask("all")
            assert it.runs == 1

    asyncio.run(main())


def test_a_query_that_looks_at_the_identity_is_shared_by_one_identity_only() -> None:
    async def main() -> None:
        async with live() as it:
            assert await it.ask("mine", ANN) == "ann"
            assert await it.ask("mine", BEN) == "ben"
            assert await it.ask("mine") == "nobody"
            assert await it.ask("mine", ANN) == "ann"
            assert it.runs == 3

    asyncio.run(main())


def test_a_query_that_starts_to_look_at_the_identity_is_shared_no_longer() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["late"] = lambda run: run.who() if run.values(1) else "open"
            watcher = Told()
            query = it.watch("late", watcher, ANN)
            assert await it.value(query) == "open"
            assert it.find("late", BEN) is query
            await it.insert(1)
            await settled(it)
            assert await it.value(query) == "ann"
            assert not query.serves(BEN)
            assert it.find("late", BEN) is not query
            assert await it.ask("late", BEN) == "ben"

    asyncio.run(main())


def test_watchers_are_told_that_a_query_began_to_look_at_the_identity() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["late"] = lambda run: (run.values(1) and run.who() and None) or None
            watcher = Told()
            query = it.watch("late", watcher, ANN)
            await it.value(query)
            await it.insert(1)
            await settled(it)
            assert watcher.times == 1

    asyncio.run(main())


def test_a_volatile_result_is_not_shared_with_a_later_caller() -> None:
    async def main() -> None:
        async with live() as it:

            def chance(run: Run) -> Value:
                run.volatile = True
                return it.runs

            it.scripted.queries["chance"] = chance
            assert await it.ask("chance") == 1
            assert await it.ask("chance") == 2
            assert len(it.queries) == 0

    asyncio.run(main())


def test_a_query_that_becomes_volatile_is_not_found_by_newcomers() -> None:
    async def main() -> None:
        async with live() as it:

            def chance(run: Run) -> Value:
                run.volatile = bool(run.values(1))
                return it.runs

            it.scripted.queries["chance"] = chance
            watcher = Told()
            query = it.watch("chance", watcher)
            await it.value(query)
            await it.insert(1)
            await settled(it)
            assert it.find("chance") is not query

    asyncio.run(main())


# -- invalidation --------------------------------------------------------------------------------


def test_a_cached_result_is_not_run_again_while_nothing_it_read_changes() -> None:
    async def main() -> None:
        async with live() as it:
            await it.ask("one")
            await it.insert(2)
            assert await it.ask("one") == []
            assert it.runs == 1

    asyncio.run(main())


def test_a_cached_result_that_nobody_watches_is_dropped_by_a_write() -> None:
    async def main() -> None:
        async with live() as it:
            await it.ask("one")
            await it.insert(1)
            assert len(it.queries) == 0
            assert await it.ask("one") == [1]

    asyncio.run(main())


def test_watchers_are_told_of_a_changed_result_once() -> None:
    async def main() -> None:
        async with live() as it:
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            await it.insert(1)
            await settled(it)
            assert (watcher.times, it.runs) == (1, 2)

    asyncio.run(main())


def test_an_equal_result_is_told_to_nobody() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["some"] = lambda run: len(run.values()) > 0
            watcher = Told()
            query = it.watch("some", watcher)
            await it.insert(1)
            await it.value(query)
            await it.insert(2)
            await settled(it)
            assert (watcher.times, it.runs) == (0, 2)

    asyncio.run(main())


def test_all_watchers_are_told_when_one_of_them_had_the_query_run_again() -> None:
    async def main() -> None:
        async with live() as it:
            query = it.watch("one", Told())
            other = Told()
            query.watch(other)
            await it.value(query)
            # It goes on as soon as the commit is durable, before any background run.
            await it.insert(1)
            await it.value(query)
            await settled(it)
            assert other.times == 1

    asyncio.run(main())


def test_a_commit_during_a_run_makes_its_result_stale() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.slow["one"] = asyncio.Event()
            watcher = Told()
            query = it.watch("one", watcher)
            asking = asyncio.create_task(it.value(query))
            await it.scripted.begun.wait()
            await it.insert(1)
            it.scripted.slow["one"].set()
            assert await asking == []
            await settled(it)
            assert await it.value(query) == [1]
            assert watcher.times == 1

    asyncio.run(main())


def test_a_result_dropped_while_a_second_caller_waited_for_it_is_still_invalidated_later() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.slow["one"] = asyncio.Event()
            first = asyncio.create_task(it.ask("one"))
            await it.scripted.begun.wait()
            await it.insert(1)  # stale before it is born, and nobody watches
            second = asyncio.create_task(it.ask("one"))
            await asyncio.sleep(0)
            it.scripted.slow["one"].set()
            assert (await first, await second) == ([], [1])
            it.queries.check()
            await it.insert(1)
            assert await it.ask("one") == [1, 1]

    asyncio.run(main())


def test_a_background_run_that_fails_is_told_to_the_watchers() -> None:
    async def main() -> None:
        async with live() as it:
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            it.scripted.failing = True
            await it.insert(1)
            await settled(it)
            assert watcher.times == 1
            it.scripted.failing = False
            assert await it.value(query) == [1]

    asyncio.run(main())


# -- timestamps ----------------------------------------------------------------------------------


def test_the_result_before_the_newest_one_answers_for_its_time_without_a_run() -> None:
    async def main() -> None:
        async with live() as it:
            before = it.database.durable
            it.database.hold(before)
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            await it.insert(1)
            await settled(it)
            runs = it.runs
            assert await it.value(query, before) == []
            assert await it.value(query) == [1]
            assert it.runs == runs
            it.database.release(before)

    asyncio.run(main())


def test_a_time_before_all_kept_results_is_run_for_its_caller_alone() -> None:
    async def main() -> None:
        async with live() as it:
            before = it.database.durable
            it.database.hold(before)
            await it.insert(1)
            watcher = Told()
            query = it.watch("one", watcher)
            assert await it.value(query) == [1]
            assert await it.value(query, before) == []
            assert await it.value(query) == [1]
            assert it.runs == 2
            it.database.release(before)

    asyncio.run(main())


# -- journals ------------------------------------------------------------------------------------


def page(run: Run) -> Value:
    """The rows up to the journal, or the first two; the journal is the last of them."""
    rows = run.values()
    end = len(rows) if run.journal is None else int(run.journal)
    shown = rows[:2] if run.journal is None else [a for a in rows if a <= end]  # type: ignore[operator]
    run.journal = run.journal or str(shown[-1] if shown else 0)
    return shown


def test_first_pages_without_a_journal_share_a_run_until_a_write() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            query = it.watch("page", Told())
            assert await it.value(query) == [10, 20]
            assert it.find("page") is query

    asyncio.run(main())


def test_a_page_that_was_run_again_within_its_journal_is_not_a_newcomers_first_page() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            query = it.watch("page", Told())
            await it.value(query)
            await it.insert(15)
            await settled(it)
            assert await it.value(query) == [10, 15, 20]
            assert await it.ask("page") == [10, 15]

    asyncio.run(main())


def test_a_client_that_brings_the_journal_of_a_page_shares_it() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            query = it.watch("page", Told())
            await it.value(query)
            await it.insert(15)
            await settled(it)
            assert it.find("page", journal="20") is query

    asyncio.run(main())


# -- memory --------------------------------------------------------------------------------------


def test_the_result_asked_for_longest_ago_is_evicted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_queries, "CACHED_QUERIES_MAX", 2)

    async def main() -> None:
        async with live() as it:
            it.scripted.queries |= {"x": lambda run: 1, "y": lambda run: 2}
            await it.ask("x")
            await it.ask("all")
            await it.ask("x")
            await it.ask("y")
            runs = it.runs
            await it.ask("x")
            await it.ask("y")
            assert it.runs == runs
            await it.ask("all")
            assert it.runs == runs + 1
            assert len(it.queries) == 2

    asyncio.run(main())


def test_results_are_evicted_by_their_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_queries, "CACHED_BYTES_MAX", 1_000)

    async def main() -> None:
        async with live() as it:
            it.scripted.queries |= {"big": lambda run: "x" * 900, "other": lambda run: "y" * 900}
            await it.ask("big")
            await it.ask("other")
            assert len(it.queries) == 1

    asyncio.run(main())


def test_a_watched_result_is_never_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_queries, "CACHED_QUERIES_MAX", 0)

    async def main() -> None:
        async with live() as it:
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            await it.ask("all")
            assert it.find("one") is query
            await it.insert(1)
            await settled(it)
            assert watcher.times == 1

    asyncio.run(main())


def test_nothing_is_left_of_a_query_that_became_stale_unwatched() -> None:
    async def main() -> None:
        async with live() as it:
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            it.unwatch(query, watcher)
            await it.insert(1)
            assert len(it.queries) == 0 and len(it.queries._ranges) == 0

    asyncio.run(main())


# -- load ----------------------------------------------------------------------------------------


def test_an_expensive_query_is_not_run_again_for_every_write() -> None:
    async def main() -> None:
        async with live() as it:
            query = it.watch("all", Told())
            await it.value(query)
            query.refresh_after_seconds = 0.05
            for a in range(20):
                await it.insert(a)
            assert it.runs == 1
            await settled(it)
            assert it.runs == 2
            assert await it.value(query) == list(range(20))

    asyncio.run(main())


def test_whoever_needs_the_value_of_an_expensive_query_does_not_wait_for_its_pause() -> None:
    async def main() -> None:
        async with live() as it:
            query = it.watch("all", Told())
            await it.value(query)
            query.refresh_after_seconds = 1_000.0
            await it.insert(1)
            assert await it.value(query) == [1]

    asyncio.run(main())


def test_closing_ends_the_background_runs() -> None:
    async def main() -> None:
        async with live() as it:
            query = it.watch("all", Told())
            await it.value(query)
            query.refresh_after_seconds = 1_000.0
            await it.insert(1)
            await it.queries.close()
            assert not it.queries._tasks

    asyncio.run(main())
