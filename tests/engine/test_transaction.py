"""One transaction: its own writes, its savepoints, and what it records as read."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data.intervals import EVERYTHING, KeyRange
from reactor.data.keys import encode_key, prefix_range
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.reads import WrittenKey
from reactor.engine.transaction import Transaction
from reactor.errors import LimitExceeded
from tests.engine.databases import begin, items, open_database


def run(body: Any) -> None:
    async def main() -> None:
        async with open_database() as database:
            await body(database)

    asyncio.run(main())


def values(transaction: Transaction, index: str, within: KeyRange = EVERYTHING) -> list[object]:
    table = transaction.table("items")
    assert table is not None
    return [
        document.value["a"] for _, document in transaction.scan(table, table.indexes[index], within)
    ]


OPERATION = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "savepoint", "rollback"]),
    st.integers(0, 5),
    st.integers(0, 30),
)


@settings(max_examples=60)
@given(st.lists(OPERATION, max_size=25), st.lists(st.integers(0, 5), max_size=6))
def test_reads_of_a_transaction_equal_a_model_with_its_writes_and_rollbacks(
    operations: list[tuple[str, int, int]], committed: list[int]
) -> None:
    async def body(database: Any) -> None:
        table = items(database)
        first = begin(database)
        model = {}
        for a in committed:
            document = first.insert(table, {"a": a})
            model[document.internal_id] = a
        database.commit(first)
        transaction = begin(database)
        marks: list[tuple[int, dict[Any, int]]] = [(transaction.savepoint(), dict(model))]
        for operation, a, pick in operations:
            ids = sorted(model)
            if operation == "insert":
                model[transaction.insert(table, {"a": a}).internal_id] = a
            elif operation == "savepoint":
                marks.append((transaction.savepoint(), dict(model)))
            elif operation == "rollback":
                mark, state = marks[pick % len(marks)]
                del marks[pick % len(marks) + 1 :]
                transaction.rollback(mark)
                model = dict(state)
            elif ids:
                chosen = ids[pick % len(ids)]
                if operation == "replace":
                    transaction.replace(table, chosen, {"a": a})
                    model[chosen] = a
                else:
                    transaction.delete(table, chosen)
                    del model[chosen]
            transaction.check()
            assert values(transaction, "by_a") == sorted(model.values())
            wanted = prefix_range(encode_key((a,)))
            assert transaction.count(table, table.indexes["by_a"], wanted) == list(
                model.values()
            ).count(a)

    run(body)


def test_a_scan_does_not_meet_what_is_written_while_it_runs() -> None:
    async def body(database: Any) -> None:
        table = items(database)
        transaction = begin(database)
        for a in range(3):
            transaction.insert(table, {"a": a})
        seen = []
        for _, document in transaction.scan(table, table.indexes["by_a"], EVERYTHING):
            seen.append(document.value["a"])
            transaction.replace(table, document.internal_id, {"a": document.value["a"] + 10})
        assert seen == [0, 1, 2]
        assert values(transaction, "by_a") == [10, 11, 12]

    run(body)


def written(database: Any, a: int, *, membership: bool = True) -> WrittenKey:
    index = items(database).indexes["by_a"]
    return WrittenKey(index.id, encode_key((a, 0.0)), membership)


def test_a_scan_that_stops_early_has_read_only_up_to_its_last_document() -> None:
    async def body(database: Any) -> None:
        table = items(database)
        setup = begin(database)
        for a in (1, 3, 5):
            setup.insert(table, {"a": a})
        database.commit(setup)
        transaction = begin(database)
        scan = transaction.scan(table, table.indexes["by_a"], EVERYTHING)
        next(scan), next(scan)
        reads = transaction.reads()
        assert reads.touched_by(written(database, 2))
        assert not reads.touched_by(written(database, 4))

    run(body)


def test_a_descending_scan_that_stops_early_has_read_the_upper_part() -> None:
    async def body(database: Any) -> None:
        table = items(database)
        setup = begin(database)
        for a in (1, 3, 5):
            setup.insert(table, {"a": a})
        database.commit(setup)
        transaction = begin(database)
        next(transaction.scan(table, table.indexes["by_a"], EVERYTHING, reverse=True))
        reads = transaction.reads()
        assert reads.touched_by(written(database, 6))
        assert not reads.touched_by(written(database, 4))

    run(body)


def test_a_count_is_touched_by_membership_and_not_by_contents() -> None:
    async def body(database: Any) -> None:
        table = items(database)
        transaction = begin(database)
        transaction.count(table, table.indexes["by_a"], EVERYTHING)
        reads = transaction.reads()
        assert reads.touched_by(written(database, 1))
        assert not reads.touched_by(written(database, 1, membership=False))

    run(body)


def test_creation_times_strictly_increase_within_a_transaction() -> None:
    async def body(database: Any) -> None:
        transaction = begin(database)
        times = [transaction.insert(items(database), {"a": 1}).creation_time for _ in range(100)]
        assert all(earlier < later for earlier, later in itertools.pairwise(times))

    run(body)


def test_a_replacement_by_an_equal_document_is_no_change() -> None:
    async def body(database: Any) -> None:
        table = items(database)
        setup = begin(database)
        document = setup.insert(table, {"a": 1, "b": {"x": [1, 2]}})
        database.commit(setup)
        transaction = begin(database)
        transaction.replace(table, document.internal_id, {"b": {"x": [1, 2]}, "a": 1.0})
        assert list(transaction.changes()) == []

    run(body)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (TransactionLimits(documents_read=2), "Too many documents read"),
        (TransactionLimits(bytes_read=10), "Too many bytes read"),
        (TransactionLimits(ranges_read=0), "Too many reads"),
    ],
)
def test_a_broken_read_limit_names_the_scan_that_broke_it(
    limits: TransactionLimits, text: str
) -> None:
    async def body(database: Any) -> None:
        table = items(database)
        setup = begin(database)
        for a in range(5):
            setup.insert(table, {"a": a})
        database.commit(setup)
        transaction = database.begin_mutation(Meter(limits))
        with pytest.raises(LimitExceeded, match=text) as caught:
            list(transaction.scan(table, table.indexes["by_a"], EVERYTHING))
        assert "items.by_a" in caught.value.message

    run(body)
