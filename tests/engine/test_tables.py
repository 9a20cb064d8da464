"""Tables, and indexes that are built when documents are there already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data.ids import InternalId
from reactor.data.intervals import EVERYTHING
from reactor.data.keys import encode_key, prefix_range
from reactor.engine.database import Database
from reactor.engine.tables import FIRST_USER_TABLE, Tables
from reactor.store.memory import MemoryStore
from reactor.types import Timestamp
from tests.engine.databases import begin, items, meter, open_database

Body = Callable[[Database], Awaitable[None]]
NEW_INDEX = {"items": {"by_a": ("a",), "late": ("b", "a")}}


def run(body: Body, *, retention_seconds: float = 30.0) -> None:
    async def main() -> None:
        async with open_database(retention_seconds=retention_seconds) as database:
            await body(database)
            database.check()

    asyncio.run(main())


async def commit_durably(database: Database, *steps: tuple[str, int, int]) -> Timestamp:
    """One commit of (what, which document, new value of `b`); documents are told apart by `a`."""
    table, transaction = items(database), begin(database)
    ids = {
        document.value["a"]: document.internal_id
        for _, document in transaction.scan(table, table.by_id, EVERYTHING)
    }
    for what, a, b in steps:
        if what == "put" and a in ids:
            transaction.replace(table, ids[a], {"a": a, "b": b})
        elif what == "put":
            ids[a] = transaction.insert(table, {"a": a, "b": b}).internal_id
        elif a in ids:
            transaction.delete(table, ids.pop(a))
    ts = database.commit(transaction)
    assert isinstance(ts, int)
    await database.wait_durable(ts)
    return ts


def rows(database: Database, index: str, at: Timestamp | None = None) -> list[tuple[object, ...]]:
    transaction = database.begin_query(meter(), at=at)
    table = items(database)
    return [
        (document.value["b"], document.value["a"])
        for _, document in transaction.scan(table, table.indexes[index], EVERYTHING)
    ]


def count(database: Database, index: str, b: int, at: Timestamp) -> int:
    table = items(database)
    within = prefix_range(encode_key((b,)))
    return database.begin_query(meter(), at=at).count(table, table.indexes[index], within)


def test_an_index_built_on_existing_documents_finds_them_in_its_order() -> None:
    async def body(database: Database) -> None:
        await commit_durably(database, ("put", 1, 9), ("put", 2, 5), ("put", 3, 7))
        database.define_indexes(NEW_INDEX)
        assert rows(database, "late") == [(5, 2), (7, 3), (9, 1)]

    run(body)


def test_an_index_built_after_a_document_moved_has_it_at_its_new_place_only() -> None:
    async def body(database: Database) -> None:
        await commit_durably(database, ("put", 1, 1), ("put", 2, 5))
        await commit_durably(database, ("put", 1, 9))
        database.define_indexes(NEW_INDEX)
        assert rows(database, "late") == [(5, 2), (9, 1)]

    run(body)


def test_a_snapshot_older_than_the_build_sees_a_moved_document_at_its_old_place() -> None:
    async def body(database: Database) -> None:
        before = await commit_durably(database, ("put", 1, 1), ("put", 2, 5))
        await commit_durably(database, ("put", 1, 9))
        database.define_indexes(NEW_INDEX)
        assert rows(database, "late", before) == [(1, 1), (5, 2)]

    run(body)


def test_an_index_built_after_a_deletion_does_not_have_the_document() -> None:
    async def body(database: Database) -> None:
        await commit_durably(database, ("put", 1, 1), ("put", 2, 5))
        await commit_durably(database, ("delete", 1, 0))
        database.define_indexes(NEW_INDEX)
        assert rows(database, "late") == [(5, 2)]

    run(body)


def test_a_snapshot_older_than_the_build_still_sees_a_deleted_document() -> None:
    async def body(database: Database) -> None:
        before = await commit_durably(database, ("put", 1, 1), ("put", 2, 5))
        await commit_durably(database, ("delete", 1, 0))
        database.define_indexes(NEW_INDEX)
        assert rows(database, "late", before) == [(1, 1), (5, 2)]

    run(body)


def test_a_snapshot_older_than_the_build_does_not_count_later_documents() -> None:
    async def body(database: Database) -> None:
        before = await commit_durably(database, ("put", 1, 1))
        await commit_durably(database, ("put", 2, 1))
        database.define_indexes({"items": {"late": ("b",)}})
        assert count(database, "late", 1, before) == 1

    run(body)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete"]), st.integers(0, 3), st.integers(0, 2)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.lists(STEPS, max_size=3), st.integers(0, 5))
def test_an_index_built_late_equals_one_that_was_always_there(
    before: list[list[tuple[str, int, int]]],
    after: list[list[tuple[str, int, int]]],
    kept: int,
) -> None:
    async def body(database: Database) -> None:
        database.define_indexes({"items": {"always": ("b", "a")}})
        stamps = [await commit_durably(database, *steps) for steps in before]
        oldest = stamps[min(kept, len(stamps) - 1)]
        database.hold(oldest)
        database.trim()
        database.define_indexes({"items": {"always": ("b", "a"), "late": ("b", "a")}})
        stamps += [await commit_durably(database, *steps) for steps in after]
        for ts in stamps:
            if ts < oldest:
                continue
            assert rows(database, "late", ts) == rows(database, "always", ts)
            for b in range(3):
                assert count(database, "late", b, ts) == count(database, "always", b, ts)
        database.release(oldest)
        database.trim()
        assert rows(database, "late") == rows(database, "always")

    run(body, retention_seconds=0.0)


def test_an_index_with_other_fields_of_the_same_name_is_built_anew() -> None:
    async def body(database: Database) -> None:
        await commit_durably(database, ("put", 1, 9), ("put", 2, 5))
        database.define_indexes({"items": {"by_a": ("b",)}})
        assert rows(database, "by_a") == [(5, 2), (9, 1)]

    run(body)


def test_an_unchanged_index_is_not_built_again() -> None:
    async def body(database: Database) -> None:
        before = items(database).indexes["by_a"]
        database.define_indexes(NEW_INDEX)
        assert items(database).indexes["by_a"] is before

    run(body)


def test_an_index_that_is_no_longer_declared_is_gone() -> None:
    async def body(database: Database) -> None:
        database.define_indexes({"items": {}})
        assert sorted(items(database).indexes) == ["by_creation_time", "by_id"]

    run(body)


def test_a_transaction_begun_before_a_build_writes_to_the_new_index_too() -> None:
    async def body(database: Database) -> None:
        transaction = begin(database)
        transaction.insert(items(database), {"a": 1, "b": 2})
        database.define_indexes(NEW_INDEX)
        ts = database.commit(transaction)
        assert isinstance(ts, int)
        await database.wait_durable(ts)
        assert rows(database, "late") == [(2, 1)]

    run(body)


def test_defining_indexes_does_not_disturb_someone_who_goes_through_the_present_ones() -> None:
    async def body(database: Database) -> None:
        present = iter(items(database).indexes.items())
        next(present)
        database.define_indexes(NEW_INDEX)
        assert [name for name, _ in present] == ["by_creation_time", "by_a", "by_a_b"]

    run(body)


def test_a_new_table_gets_the_number_after_the_greatest() -> None:
    async def body(database: Database) -> None:
        numbers = [table.number for table in database.tables if table.number >= FIRST_USER_TABLE]
        assert numbers == [FIRST_USER_TABLE, FIRST_USER_TABLE + 1]
        assert database.tables.next_number() == FIRST_USER_TABLE + 2

    run(body)


def test_the_first_table_of_a_database_has_the_number_of_the_protocol() -> None:
    async def body(database: Database) -> None:
        assert Tables(database.lock).next_number() == 10_001

    run(body)


def test_creating_a_table_that_exists_writes_nothing() -> None:
    async def body(database: Database) -> None:
        before = database.head
        database.create_tables(["items", "others"])
        assert database.head == before

    run(body)


def test_a_dropped_index_definition_loses_no_document_across_a_restart() -> None:
    async def main() -> None:
        store = MemoryStore()
        async with open_database(store) as database:
            await commit_durably(database, ("put", 1, 1))
            database.define_indexes({"items": {}})
            await commit_durably(database, ("put", 2, 2))
        async with open_database(store) as database:
            assert rows(database, "by_a") == [(1, 1), (2, 2)]

    asyncio.run(main())


def test_a_written_document_names_every_index_key_that_appears_or_disappears() -> None:
    async def body(database: Database) -> None:
        table, transaction = items(database), begin(database)
        before = transaction.insert(table, {"a": 1, "b": 1})
        after = transaction.replace(table, before.internal_id, {"a": 1, "b": 2})
        changes = [
            (index.id.name, document is None, membership)
            for index, _, document, membership in table.written_keys(
                InternalId(before.internal_id), before, after
            )
        ]
        assert changes == [
            ("by_id", False, False),
            ("by_creation_time", False, False),
            ("by_a", False, False),
            ("by_a_b", True, True),
            ("by_a_b", False, True),
        ]

    run(body)
