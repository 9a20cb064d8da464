"""Single interleavings of live queries that are hard to meet by chance, and real worker threads."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from reactor.data import wire
from reactor.data.values import Value
from reactor.errors import StoreUnavailable
from reactor.live.live_queries import LiveQueries
from tests.engine.databases import begin, items, open_database
from tests.engine.faulty_store import FaultyStore
from tests.functions.running_apps import run, running
from tests.live.test_live_queries import Live, Told, live, page, settled


async def let_run(it: Live, path: str, asking: asyncio.Task[Value]) -> Value:
    it.scripted.slow.pop(path).set()
    return await asking


def test_a_result_whose_watcher_left_during_the_re_run_is_still_invalidated_later() -> None:
    async def main() -> None:
        async with live() as it:
            watcher = Told()
            query = it.watch("one", watcher)
            await it.value(query)
            it.scripted.slow["one"] = asyncio.Event()
            await it.insert(1)
            await it.scripted.begun.wait()
            it.unwatch(query, watcher)
            it.scripted.slow.pop("one").set()
            await settled(it)
            await it.insert(1)
            assert await it.ask("one") == [1, 1]

    run(main())


def test_a_first_page_that_was_stale_when_it_was_born_is_not_a_newcomers_first_page() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            query = it.watch("page", Told())
            it.scripted.slow["page"] = asyncio.Event()
            asking = asyncio.create_task(it.value(query))
            await it.scripted.begun.wait()
            await it.insert(15)
            assert await let_run(it, "page", asking) == [10, 20]
            await settled(it)
            assert await it.value(query) == [10, 15, 20]
            assert await it.ask("page") == [10, 15]

    run(main())


def test_a_stale_first_page_keeps_being_shared_by_those_who_bring_its_journal() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            query = it.watch("page", Told())
            it.scripted.slow["page"] = asyncio.Event()
            asking = asyncio.create_task(it.value(query))
            await it.scripted.begun.wait()
            await it.insert(15)
            await let_run(it, "page", asking)
            await settled(it)
            assert it.find("page", journal="20") is query

    run(main())


def test_a_volatile_query_is_still_watched_after_a_re_run_under_another_watcher() -> None:
    async def main() -> None:
        async with live() as it:

            def chance(run: object) -> Value:
                run.volatile = True  # type: ignore[attr-defined]
                return cast("list[Value]", run.values(1))  # type: ignore[attr-defined]

            it.scripted.queries["chance"] = chance
            watcher = Told()
            query = it.watch("chance", watcher)
            await it.value(query)
            for times in (1, 2):
                await it.insert(1)
                await settled(it)
                assert watcher.times == times

    run(main())


def test_cancelling_one_who_waits_for_anothers_run_does_not_cancel_the_run() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.slow["all"] = asyncio.Event()
            first = asyncio.create_task(it.ask("all"))
            await it.scripted.begun.wait()
            second = asyncio.create_task(it.ask("all"))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            assert await let_run(it, "all", first) == []
            assert it.runs == 1

    run(main())


def test_a_commit_that_the_store_refuses_is_told_to_nobody_and_changes_no_result() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            it = Live(database)
            watcher = Told()
            query = it.watch("all", watcher)
            await it.value(query)
            transaction = begin(database)
            transaction.insert(items(database), {"a": 1})
            store.fail()
            committed = database.commit(transaction)
            assert isinstance(committed, int)
            with pytest.raises(StoreUnavailable):
                await database.wait_durable(committed)
            assert (watcher.times, await it.value(query), it.runs) == (0, [], 1)
            await it.queries.close()

    run(main())


def test_live_queries_go_on_after_the_store_failed() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            it = Live(database)
            watcher = Told()
            query = it.watch("all", watcher)
            await it.value(query)
            store.fail()
            with pytest.raises(StoreUnavailable):
                await it.insert(1)
            await it.insert(2)
            await settled(it)
            assert (watcher.times, await it.value(query)) == (1, [2])
            await it.queries.close()

    run(main())


def test_closing_with_a_run_under_way_leaves_no_snapshot_held() -> None:
    async def main() -> None:
        async with live() as it:
            query = it.watch("all", Told())
            await it.value(query)
            it.scripted.slow["all"] = asyncio.Event()
            await it.insert(1)
            await it.scripted.begun.wait()
            await it.queries.close()
            assert it.database._held == {} and query.flight is None

    run(main())


# -- worker threads ------------------------------------------------------------------------------

APP = """
class Entry(Table, name="entries"):
    amount: int

@query
def amounts(ctx: QueryCtx) -> list[int]:
    return [row.amount for row in ctx.db.query(Entry)]

@query(slow=True)
def total(ctx: QueryCtx) -> int:
    return sum(row.amount for row in ctx.db.query(Entry))

@query
def entries(ctx: QueryCtx) -> int:
    return ctx.db.query(Entry).count()

@mutation
def add(ctx: MutationCtx, amount: int) -> None:
    ctx.db.insert(Entry, {"amount": amount})

@mutation(slow=True)
def double(ctx: MutationCtx) -> None:
    for row in ctx.db.query(Entry).collect():
        ctx.db.patch(row.id, {"amount": row.amount * 2})
"""


def test_all_queries_of_a_client_hold_at_one_timestamp_while_threads_read_and_write() -> None:
    async def main() -> None:
        async with running(APP) as application:
            client = application.open_live_client(lambda: None)
            for query_id, name in enumerate(("amounts", "total", "entries")):
                client.add(query_id, f"app:{name}", {})
            shown: dict[int, Value] = {}
            done = asyncio.Event()

            async def write(which: int) -> None:
                for step in range(15):
                    await application.mutation("app:add", amount=step + which)
                    if step % 5 == which:
                        await application.mutation("app:double")

            async def watch() -> None:
                while True:
                    last = done.is_set()
                    for query_id, outcome in (await client.advance()).results:
                        assert outcome.value is not None, outcome.error
                        shown[query_id] = wire.decode(outcome.value)
                    amounts = cast("list[int]", shown[0])
                    assert (shown[1], shown[2]) == (sum(amounts), len(amounts))
                    if last:
                        return
                    await asyncio.sleep(0)

            watching = asyncio.create_task(watch())
            await asyncio.gather(*(write(which) for which in range(3)))
            done.set()
            await watching
            assert shown[2] == 45
            client.close()

    run(main())


def test_a_result_of_a_worker_thread_that_was_given_up_is_kept_by_nobody() -> None:
    async def main() -> None:
        async with running(APP) as application:
            client = application.open_live_client(lambda: None)
            client.add(0, "app:total", {})
            advancing = asyncio.create_task(client.advance())
            await asyncio.sleep(0)
            advancing.cancel()
            await asyncio.gather(advancing, return_exceptions=True)
            client.close()
            await application.mutation("app:add", amount=7)
            assert await application.query("app:total") == 7
            assert isinstance(application._live, LiveQueries) and not application._database._held

    run(main())
