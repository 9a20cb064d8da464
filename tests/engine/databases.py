"""Real databases on the memory store, for the engine's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reactor.engine.database import Database
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.tables import TableState
from reactor.engine.transaction import Transaction
from reactor.runtime import Clock, SystemClock, SystemEntropy
from reactor.store.base import Store
from reactor.store.memory import MemoryStore

INDEXES: dict[str, dict[str, tuple[str, ...]]] = {
    "items": {"by_a": ("a",), "by_a_b": ("a", "b")},
    "others": {"by_a": ("a",)},
}


class HandClock:
    """Wall time that moves only when told to."""

    def __init__(self, ns: int = 1_700_000_000_000_000_000) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns

    def monotonic_seconds(self) -> float:
        return self.ns / 1e9


@asynccontextmanager
async def open_database(
    store: Store | None = None, *, retention_seconds: float = 30.0, clock: Clock | None = None
) -> AsyncIterator[Database]:
    """A database with tables `items` and `others`, indexed by `a` and by `a, b`."""
    database = Database(
        store or MemoryStore(),
        clock=clock or SystemClock(),
        entropy=SystemEntropy(),
        retention_seconds=retention_seconds,
    )
    await database.open()
    database.create_tables(INDEXES)
    database.define_indexes(INDEXES)
    await database.wait_durable(database.head)
    try:
        yield database
    finally:
        await database.close()


def begin(database: Database) -> Transaction:
    """A mutation with generous limits."""
    return database.begin_mutation(meter())


def meter() -> Meter:
    return Meter(TransactionLimits())


def items(database: Database) -> TableState:
    table = database.tables.named("items")
    assert table is not None
    return table
