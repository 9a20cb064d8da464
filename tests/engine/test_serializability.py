"""Transactions that overlap leave what some serial order of them leaves: that of their timestamps.

Each program decides what it writes by what it reads, so a read that was recorded too small shows as
a different state. They begin at different heads, run early or late, commit in any order, and begin
again on a conflict.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data.intervals import EVERYTHING, KeyRange
from reactor.data.keys import encode_key, prefix_range
from reactor.engine.commit_log import Conflict
from reactor.engine.database import Database
from reactor.engine.documents import Document
from reactor.engine.transaction import Transaction
from reactor.store.memory import MemoryStore
from reactor.types import Timestamp
from tests.engine.databases import HandClock, items, meter, open_database

A_MAX = 4


class Step(NamedTuple):
    what: str
    a: int
    b: int


class Program(NamedTuple):
    steps: tuple[Step, ...]
    runs_late: bool  # at its commit, when others have committed after its snapshot


STEPS = st.builds(
    Step,
    st.sampled_from(
        ["insert", "count", "sum", "insert_if_absent", "move", "bump", "delete", "last", "undone"]
    ),
    st.integers(0, A_MAX),
    st.integers(0, A_MAX),
)
PROGRAMS = st.lists(
    st.builds(Program, st.lists(STEPS, min_size=1, max_size=3).map(tuple), st.booleans()),
    min_size=1,
    max_size=6,
)


def number(document: Document, name: str) -> int:
    value = document.value[name]
    assert isinstance(value, int | float)
    return int(value)


def first_with(transaction: Transaction, a: int) -> Document | None:
    table = transaction.table("items")
    assert table is not None
    rows = transaction.scan(table, table.indexes["by_a_b"], prefix_range(encode_key((a,))))
    return next((document for _, document in rows), None)


def take_step(transaction: Transaction, step: Step) -> None:
    table = transaction.table("items")
    assert table is not None
    by_a, by_a_b = table.indexes["by_a"], table.indexes["by_a_b"]
    within = prefix_range(encode_key((step.a,)))
    match step.what:
        case "insert":
            transaction.insert(table, {"a": step.a, "b": step.b})
        case "count":
            upto = KeyRange(b"", encode_key((step.a,)))
            transaction.insert(table, {"a": step.b, "b": transaction.count(table, by_a, upto)})
        case "insert_if_absent":
            if not transaction.count(table, by_a, within):
                transaction.insert(table, {"a": step.a, "b": step.b})
        case "sum":
            total = sum(number(d, "b") for _, d in transaction.scan(table, by_a, within))
            transaction.insert(table, {"a": step.b, "b": total})
        case "last":
            for _, document in transaction.scan(table, by_a_b, EVERYTHING, reverse=True):
                transaction.insert(table, {"a": step.b, "b": number(document, "b") + 1})
                break
        case "undone":
            mark = transaction.savepoint()
            take_step(transaction, Step("delete", step.a, 0))
            left = transaction.count(table, by_a, within)
            transaction.rollback(mark)
            transaction.insert(table, {"a": step.b, "b": left})
        case _:
            found = first_with(transaction, step.a)
            if found is None:
                return
            internal_id, a, b = found.internal_id, step.a, number(found, "b")
            if step.what == "delete":
                transaction.delete(table, internal_id)
            elif step.what == "move":
                transaction.replace(table, internal_id, {"a": step.b, "b": b})
            else:
                transaction.replace(table, internal_id, {"a": a, "b": b + 1})


class Worker:
    """One program on its way to a commit."""

    def __init__(self, database: Database, which: int, program: Program) -> None:
        self.database = database
        self.which = which
        self.program = program
        self.transaction = self.begin()
        if not program.runs_late:
            self.run()

    def begin(self) -> Transaction:
        # A program makes the same ids however often, and in whichever database, it runs.
        return self.database.begin_mutation(meter(), seed=b"program %d" % self.which)

    def run(self) -> None:
        for step in self.program.steps:
            take_step(self.transaction, step)

    def commit(self) -> Timestamp:
        if self.program.runs_late:
            self.run()
        committed = self.database.commit(self.transaction)
        while isinstance(committed, Conflict):
            self.transaction = self.begin()
            self.run()
            committed = self.database.commit(self.transaction)
        return committed


def interleave(database: Database, programs: list[Program], order: list[int]) -> list[int]:
    """Begin a program where `order` names it first and commit it where it does so again.

    Returns the programs in the order of their timestamps.
    """
    workers: dict[int, Worker] = {}
    finished: list[tuple[Timestamp, int]] = []
    for which in order:
        worker = workers.get(which)
        if worker is None:
            workers[which] = Worker(database, which, programs[which])
            continue
        ts = worker.commit()
        if list(worker.transaction.changes()):
            finished.append((ts, which))
    return [which for _, which in sorted(finished)]


def state(database: Database) -> dict[str, tuple[int, int]]:
    transaction = database.begin_query(meter())
    rows = transaction.scan(items(database), items(database).by_id, EVERYTHING)
    return {d.id: (number(d, "a"), number(d, "b")) for _, d in rows}


def indexes(database: Database) -> dict[str, list[tuple[bytes, bytes]]]:
    transaction, table = database.begin_query(meter()), items(database)
    return {
        name: [(key, d.encoded) for key, d in transaction.scan(table, index, EVERYTHING)]
        for name, index in table.indexes.items()
    }


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[Program], list[int]]:
    programs = draw(PROGRAMS)
    return programs, draw(st.permutations(list(range(len(programs))) * 2))


@settings(max_examples=150, deadline=None)
@given(schedules())
def test_overlapping_transactions_leave_what_they_leave_one_after_another(
    schedule: tuple[list[Program], list[int]],
) -> None:
    programs, order = schedule

    async def main() -> None:
        async with open_database(clock=HandClock()) as database:
            serial = interleave(database, programs, order)
            await database.wait_durable(database.head)
            database.check()
            overlapped = state(database)
        async with open_database(clock=HandClock()) as database:
            for which in serial:
                Worker(database, which, programs[which]).commit()
            await database.wait_durable(database.head)
            assert state(database) == overlapped

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_a_replay_of_the_log_gives_the_same_documents_and_indexes(
    schedule: tuple[list[Program], list[int]],
) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with open_database(store, clock=HandClock()) as database:
            interleave(database, *schedule)
            await database.wait_durable(database.head)
            before = indexes(database)
        async with open_database(store, clock=HandClock()) as database:
            assert indexes(database) == before
            database.check()

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_every_snapshot_on_the_way_stays_as_it_was(
    schedule: tuple[list[Program], list[int]],
) -> None:
    async def main() -> None:
        async with open_database(clock=HandClock()) as database:
            shown: dict[Timestamp, dict[str, tuple[int, int]]] = {}
            database.on_publish(lambda _: shown.update({database.durable: state(database)}))
            interleave(database, *schedule)
            await database.wait_durable(database.head)
            for ts, expected in shown.items():
                rows = database.begin_query(meter(), at=ts).scan(
                    items(database), items(database).indexes["by_a_b"], EVERYTHING
                )
                assert {d.id: (number(d, "a"), number(d, "b")) for _, d in rows} == expected

    asyncio.run(main())
