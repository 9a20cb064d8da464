"""The few queries under `_system/` that tools need: which tables there are, and what is in them.

Administrators only; the door checks that. They read every table of the database, declared or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from reactor.data import wire
from reactor.data.intervals import EVERYTHING
from reactor.data.values import Value
from reactor.engine.database import Database
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.outcome import FunctionFailure, Outcome
from reactor.engine.tables import FIRST_USER_TABLE
from reactor.engine.transaction import Transaction
from reactor.errors import DocumentProblem, FunctionNotFound, Problem, ReactorError
from reactor.functions.loader import LoadedApp
from reactor.functions.pagination import PaginationOptions, Walk, check_options
from reactor.types import BY_CREATION_TIME

_SystemQuery = Callable[[Database, Transaction, dict[str, Value]], Value]


def run(database: Database, app: LoadedApp, path: str, args: dict[str, Value]) -> Outcome:
    """Run one of them at the newest durable timestamp."""
    transaction = database.begin_query(Meter(TransactionLimits()))
    try:
        query = _QUERIES.get(path)
        if query is None:
            known = ", ".join(sorted(_QUERIES))
            raise FunctionNotFound(
                f"Could not find function for '{path}' in app {app.name!r}. "
                f"The system queries are: {known}."
            )
        value = wire.encode(query(database, transaction, args))
    except (Problem, ReactorError) as problem:
        return Outcome.of(transaction.begin_ts, error=FunctionFailure(str(problem)))
    return Outcome.of(transaction.begin_ts, value=value)


def _tables(database: Database, transaction: Transaction, args: dict[str, Value]) -> Value:
    names = sorted(t.name for t in database.tables if t.number >= FIRST_USER_TABLE)
    page: list[Value] = [
        {"name": name, "documents": _size(database, transaction, name)} for name in names
    ]
    return {"page": page, "isDone": True, "continueCursor": ""}


def _size(database: Database, transaction: Transaction, name: str) -> int:
    state = database.tables.named(name)
    assert state is not None
    return transaction.count(state, state.by_id, EVERYTHING)


def _table_data(database: Database, transaction: Transaction, args: dict[str, Value]) -> Value:
    name, order = args.get("table"), args.get("order", "desc")
    state = database.tables.named(name) if isinstance(name, str) else None
    if state is None or state.number < FIRST_USER_TABLE:
        known = ", ".join(sorted(t.name for t in database.tables if t.number >= FIRST_USER_TABLE))
        raise DocumentProblem(f"There is no table {name!r}. The tables are: {known or 'none yet'}.")
    if order not in ("asc", "desc"):
        raise DocumentProblem(f"`order` must be asc or desc, not {order!r}.")
    options = PaginationOptions.model_validate(args.get("paginationOpts"))
    check_options(options, transaction.meter.limits.documents_read)
    index = state.indexes[BY_CREATION_TIME]
    walk = Walk(index.id, index.fields, EVERYTHING, order == "desc", 0)
    within = walk.between(options.cursor, options.endCursor)
    page: list[Value] = []
    last: bytes | None = None
    for key, document in transaction.scan(state, index, within, reverse=walk.reverse):
        page.append(cast(Value, document.value))
        last = key
        if len(page) >= options.numItems:
            break
    done = len(page) < options.numItems
    return {"page": page, "isDone": done, "continueCursor": walk.cursor(None if done else last)}


_QUERIES: dict[str, _SystemQuery] = {
    "_system/cli/tables": _tables,
    "_system/cli/tableData": _table_data,
}
