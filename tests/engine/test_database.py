"""Durability, snapshots and retention of a database, with a store that fails or waits at will."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reactor.data.intervals import EVERYTHING
from reactor.engine.commit_log import Conflict
from reactor.engine.database import Database
from reactor.engine.transaction import Transaction
from reactor.errors import OutOfRetention, StoreUnavailable
from reactor.runtime import SystemClock, SystemEntropy
from reactor.types import Timestamp
from tests.engine.databases import HandClock, begin, items, meter, open_database
from tests.engine.faulty_store import FaultyStore

Body = Callable[[Database, FaultyStore], Awaitable[None]]


def run(body: Body, *, retention_seconds: float = 30.0, clock: HandClock | None = None) -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(
            store, retention_seconds=retention_seconds, clock=clock
        ) as database:
            try:
                await body(database, store)
            finally:
                store.release()
            database.check()

    asyncio.run(main())


def insert(database: Database, a: int) -> Timestamp:
    transaction = begin(database)
    transaction.insert(items(database), {"a": a})
    return committed(database, transaction)


def committed(database: Database, transaction: Transaction) -> Timestamp:
    ts = database.commit(transaction)
    assert isinstance(ts, int)
    return ts


async def insert_durably(database: Database, a: int) -> Timestamp:
    ts = insert(database, a)
    await database.wait_durable(ts)
    return ts


def seen(transaction: Transaction, index: str = "by_a") -> list[object]:
    """The values of `a` that a transaction sees, in the order of an index."""
    table = transaction.table("items")
    if table is None:
        return []
    rows = transaction.scan(table, table.indexes[index], EVERYTHING)
    return [document.value["a"] for _, document in rows]


def queried(database: Database, at: Timestamp | None = None) -> list[object]:
    return seen(database.begin_query(meter(), at=at))


async def fail_pending(database: Database, store: FaultyStore, *values: int) -> list[Timestamp]:
    """Commit these, let the store fail, and return once they were taken back."""
    store.block()
    stamps = [insert(database, a) for a in values]
    store.fail()
    store.release()
    with pytest.raises(StoreUnavailable):
        await database.wait_durable(stamps[0])
    return stamps


# -- a failing store ------------------------------------------------------------------------------


def test_what_is_not_durable_is_taken_back_when_an_append_fails() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await insert_durably(database, 1)
        await fail_pending(database, store, 2, 3)
        assert seen(begin(database)) == [1]

    run(body)


def test_a_taken_back_commit_leaves_no_trace_in_any_index() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await insert_durably(database, 1)
        await fail_pending(database, store, 2)
        for index in items(database).indexes.values():
            assert begin(database).count(items(database), index, EVERYTHING) == 1

    run(body)


def test_a_taken_back_replacement_and_deletion_bring_the_documents_back() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        table, setup = items(database), begin(database)
        first = setup.insert(table, {"a": 1}).internal_id
        second = setup.insert(table, {"a": 2}).internal_id
        await database.wait_durable(committed(database, setup))
        store.block()
        change = begin(database)
        change.replace(table, first, {"a": 9})
        change.delete(table, second)
        ts = committed(database, change)
        store.fail()
        store.release()
        with pytest.raises(StoreUnavailable):
            await database.wait_durable(ts)
        assert seen(begin(database)) == [1, 2]

    run(body)


def test_every_caller_of_a_failed_group_gets_the_error_of_the_store() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        waiting = [database.wait_durable(insert(database, a)) for a in range(3)]
        store.fail(StoreUnavailable("No space left on /data."))
        gathering = asyncio.gather(*waiting, return_exceptions=True)
        store.release()
        assert [str(error) for error in await gathering] == ["No space left on /data."] * 3

    run(body)


def test_an_unforeseen_error_of_the_store_is_told_as_store_unavailable_with_its_cause() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.fail(OSError("input/output error"))
        with pytest.raises(StoreUnavailable, match="input/output error"):
            await insert_durably(database, 1)

    run(body)


def test_commits_handed_over_before_the_failure_is_known_fail_with_it() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        first = insert(database, 1)
        await store.blocked()
        second = insert(database, 2)  # goes to the next group
        store.fail()
        waiting = asyncio.gather(
            database.wait_durable(first), database.wait_durable(second), return_exceptions=True
        )
        store.release()
        assert [type(error) for error in await waiting] == [StoreUnavailable] * 2
        assert first not in sum(store.groups, ()) and second not in sum(store.groups, ())

    run(body)


def test_mutations_after_a_failure_work() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await fail_pending(database, store, 1)
        await insert_durably(database, 2)
        assert queried(database) == [2]

    run(body)


def test_a_store_that_fails_again_and_again_loses_nothing_durable() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        for a in range(6):
            if a % 2:
                await fail_pending(database, store, a)
            else:
                await insert_durably(database, a)
        assert queried(database) == [0, 2, 4]

    run(body)


def test_a_restart_after_a_failure_finds_exactly_what_was_durable() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            await insert_durably(database, 1)
            await fail_pending(database, store, 2)
            await insert_durably(database, 3)
        async with open_database(store) as database:
            assert queried(database) == [1, 3]
            database.check()

    asyncio.run(main())


def test_a_transaction_begun_on_a_taken_back_state_conflicts() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        ts = insert(database, 1)
        transaction = begin(database)
        assert seen(transaction) == [1]
        transaction.insert(items(database), {"a": 2})
        store.fail()
        store.release()
        with pytest.raises(StoreUnavailable):
            await database.wait_durable(ts)
        assert isinstance(database.commit(transaction), Conflict)
        assert seen(begin(database)) == []

    run(body)


def test_a_transaction_without_writes_on_a_taken_back_state_conflicts_too() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        ts = insert(database, 1)
        transaction = begin(database)
        assert seen(transaction) == [1]
        store.fail()
        store.release()
        with pytest.raises(StoreUnavailable):
            await database.wait_durable(ts)
        assert isinstance(database.commit(transaction), Conflict)

    run(body)


def test_waiting_for_what_was_taken_back_already_raises_at_once() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        first, second = await fail_pending(database, store, 1, 2)
        for ts in (first, second):
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(database.wait_durable(ts), 5)

    run(body)


def test_a_commit_after_a_failure_does_not_answer_for_what_was_taken_back() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        (lost,) = await fail_pending(database, store, 1)
        await insert_durably(database, 2)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(database.wait_durable(lost), 5)

    run(body)


def test_a_caller_that_gave_up_waiting_disturbs_no_other() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        ts = insert(database, 1)
        impatient = asyncio.create_task(database.wait_durable(ts))
        patient = asyncio.create_task(database.wait_durable(ts))
        await store.blocked()
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        store.release()
        await asyncio.wait_for(patient, 5)

    run(body)


def test_a_table_whose_creation_failed_can_be_created_again() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            store.fail()
            database.create_tables(["late"])
            with pytest.raises(StoreUnavailable):
                await database.wait_durable(database.head)
            assert database.tables.named("late") is None
            database.create_tables(["late"])
            table = database.tables.named("late")
            assert table is not None
            transaction = begin(database)
            transaction.insert(table, {"a": 1})
            await database.wait_durable(committed(database, transaction))
        async with open_database(store) as database:
            table = database.tables.named("late")
            assert table is not None
            assert database.begin_query(meter()).count(table, table.by_id, EVERYTHING) == 1

    asyncio.run(main())


def test_an_index_built_on_a_pending_commit_forgets_it_when_it_is_taken_back() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await insert_durably(database, 1)
        store.block()
        ts = insert(database, 2)
        database.define_indexes({"items": {"by_a": ("a",), "late": ("a",)}})
        store.fail()
        store.release()
        with pytest.raises(StoreUnavailable):
            await database.wait_durable(ts)
        assert seen(begin(database), "late") == [1]

    run(body)


# -- what is durable and who may see it -----------------------------------------------------------


def test_nothing_is_visible_to_queries_before_it_is_durable() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        ts = insert(database, 1)
        await store.blocked()
        assert queried(database) == []
        store.release()
        await database.wait_durable(ts)
        assert queried(database) == [1]

    run(body)


def test_a_mutation_sees_commits_that_are_not_durable_yet() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        insert(database, 1)
        assert seen(begin(database)) == [1]

    run(body)


def test_a_snapshot_that_is_not_durable_yet_cannot_be_asked_for() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        store.block()
        ts = insert(database, 1)
        with pytest.raises(OutOfRetention, match="ahead of this database's newest"):
            database.begin_query(meter(), at=ts)

    run(body)


def test_listeners_hear_of_durable_commits_in_order_and_of_no_others() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        heard: list[Timestamp] = []
        database.on_publish(lambda entries: heard.extend(entry.ts for entry in entries))
        first = await insert_durably(database, 1)
        await fail_pending(database, store, 2)
        second = await insert_durably(database, 3)
        assert heard == [first, second]

    run(body)


def test_a_callers_answer_is_due_before_listeners_push() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        order: list[str] = []

        def listener(entries: object) -> None:
            asyncio.get_running_loop().call_soon(order.append, "push")

        database.on_publish(listener)

        async def call() -> None:
            await insert_durably(database, 1)
            order.append("answer")

        await asyncio.create_task(call())
        await asyncio.sleep(0)
        assert order == ["answer", "push"]

    run(body)


def test_closing_finishes_what_was_committed() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            store.block()
            insert(database, 1)
            closing = asyncio.create_task(database.close())
            await store.blocked()
            store.release()
            await closing
        async with open_database(store) as database:
            assert queried(database) == [1]

    asyncio.run(main())


def test_a_closed_database_refuses_commits() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        transaction = begin(database)
        transaction.insert(items(database), {"a": 1})
        await database.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            database.commit(transaction)

    run(body)


def test_closing_twice_closes_the_store_once() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await database.close()
        await database.close()
        assert store.closed_times == 1

    run(body)


def test_a_store_that_cannot_be_replayed_is_closed_again() -> None:
    async def main() -> None:
        store = FaultyStore()
        store.replay_error = StoreUnavailable("The log is damaged.")
        database = Database(store, clock=SystemClock(), entropy=SystemEntropy())
        with pytest.raises(StoreUnavailable, match="damaged"):
            await database.open()
        store.replay_error = None
        async with open_database(store) as reopened:
            assert queried(reopened) == []

    asyncio.run(main())


# -- conflicts ------------------------------------------------------------------------------------


def test_the_later_of_two_transactions_that_read_what_the_other_wrote_conflicts() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        first, second = begin(database), begin(database)
        for transaction in (first, second):
            number = len(seen(transaction))
            transaction.insert(items(database), {"a": number})
        committed(database, first)
        conflict = database.commit(second)
        assert isinstance(conflict, Conflict) and conflict.written is not None
        assert seen(begin(database)) == [0]

    run(body)


def test_a_transaction_that_wrote_nothing_commits_at_its_snapshot() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        transaction = begin(database)
        seen(transaction)
        insert(database, 1)
        assert database.commit(transaction) == transaction.begin_ts

    run(body)


def test_a_transaction_older_than_the_log_conflicts() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        transaction = begin(database)
        transaction.insert(items(database), {"a": 1})
        await insert_durably(database, 2)
        database.trim()
        assert database.commit(transaction) == Conflict(database.log.floor, None)

    run(body, retention_seconds=0.0)


# -- timestamps -----------------------------------------------------------------------------------


def test_timestamps_ascend_while_the_clock_stands_still() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        stamps = [insert(database, a) for a in range(5)]
        assert stamps == sorted(set(stamps))

    run(body, clock=HandClock())


def test_timestamps_never_go_back_across_a_restart_with_an_earlier_clock() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store, clock=HandClock(5_000_000)) as database:
            before = await insert_durably(database, 1)
        async with open_database(store, clock=HandClock(1_000_000)) as database:
            assert database.durable == before
            assert await insert_durably(database, 2) > before

    asyncio.run(main())


def test_creation_times_never_go_back_across_a_restart_with_an_earlier_clock() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store, clock=HandClock(5_000_000_000)) as database:
            await insert_durably(database, 1)
        async with open_database(store, clock=HandClock(1_000_000_000)) as database:
            await insert_durably(database, 2)
            assert seen(begin(database), "by_creation_time") == [1, 2]

    asyncio.run(main())


def test_a_restart_gives_tables_their_numbers_and_documents_again() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with open_database(store) as database:
            number = items(database).number
            for a in (3, 1, 2):
                await insert_durably(database, a)
        async with open_database(store) as database:
            assert items(database).number == number
            assert queried(database) == [1, 2, 3]
            database.check()

    asyncio.run(main())


# -- retention ------------------------------------------------------------------------------------


def test_a_past_snapshot_within_the_retention_reads_as_it_was() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        before = await insert_durably(database, 1)
        await insert_durably(database, 2)
        database.trim()
        assert queried(database, at=before) == [1]

    run(body)


def test_a_snapshot_older_than_the_retention_is_refused_after_a_trim() -> None:
    clock = HandClock()

    async def body(database: Database, store: FaultyStore) -> None:
        before = await insert_durably(database, 1)
        clock.ns += 10_000_000_000
        await insert_durably(database, 2)
        clock.ns += 1_500_000_000
        database.trim()
        with pytest.raises(OutOfRetention, match="2 s"):
            queried(database, at=before)

    run(body, retention_seconds=2.0, clock=clock)


def test_the_newest_snapshot_stays_readable_however_old_it_is() -> None:
    clock = HandClock()

    async def body(database: Database, store: FaultyStore) -> None:
        newest = await insert_durably(database, 1)
        clock.ns += 3_600_000_000_000
        database.trim()
        assert queried(database, at=newest) == [1]

    run(body, retention_seconds=1.0, clock=clock)


def test_a_held_snapshot_stays_readable_beyond_the_retention() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        held = await insert_durably(database, 1)
        database.hold(held)
        await insert_durably(database, 2)
        database.trim()
        assert queried(database, at=held) == [1]

    run(body, retention_seconds=0.0)


def test_a_snapshot_held_twice_stays_until_it_was_released_twice() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        held = await insert_durably(database, 1)
        database.hold(held)
        database.hold(held)
        await insert_durably(database, 2)
        database.release(held)
        database.trim()
        assert queried(database, at=held) == [1]
        database.release(held)
        database.trim()
        with pytest.raises(OutOfRetention):
            queried(database, at=held)

    run(body, retention_seconds=0.0)


def test_trimming_forgets_versions_that_no_snapshot_needs() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        table, setup = items(database), begin(database)
        document = setup.insert(table, {"a": 0}).internal_id
        committed(database, setup)
        for a in range(1, 5):
            change = begin(database)
            change.replace(table, document, {"a": a})
            await database.wait_durable(committed(database, change))
        database.trim()
        assert [len(list(index.versions.chains())) for index in table.indexes.values()] == [1] * 4
        assert all(version.previous is None for version in table.by_id.versions.chains())

    run(body, retention_seconds=0.0)


def test_trimming_forgets_a_deleted_document_altogether() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        table, setup = items(database), begin(database)
        document = setup.insert(table, {"a": 0}).internal_id
        committed(database, setup)
        change = begin(database)
        change.get(table, document)
        change.delete(table, document)
        await database.wait_durable(committed(database, change))
        database.trim()
        assert [len(list(index.versions.chains())) for index in table.indexes.values()] == [0] * 4

    run(body, retention_seconds=0.0)


def test_trimming_does_not_pass_what_is_not_durable() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        durable = await insert_durably(database, 1)
        store.block()
        insert(database, 2)
        database.trim()
        assert database.log.floor == durable
        assert queried(database) == [1]

    run(body, retention_seconds=0.0)


def test_old_versions_are_trimmed_in_passing() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        first = await insert_durably(database, 0)
        for a in range(1, 70):
            await insert_durably(database, a)
        with pytest.raises(OutOfRetention):
            queried(database, at=first)

    run(body, retention_seconds=0.0)


def test_a_deployed_index_is_trimmed_like_the_others() -> None:
    async def body(database: Database, store: FaultyStore) -> None:
        await insert_durably(database, 1)
        database.define_indexes({"items": {"late": ("a",)}})
        await insert_durably(database, 2)
        database.trim()
        assert not items(database).indexes["late"].versions.needs_trim

    run(body, retention_seconds=0.0)
