"""Making a version of an app the one that runs.

Deploying creates the tables that are new, builds the indexes that are new, swaps the code, and
writes the digest of each code module as a row of `_modules`. Every function run reads the row of
its module, so the commit of those rows re-runs exactly the live queries whose code changed: live
reload needs no signal of its own.
"""

from __future__ import annotations

from reactor.data.intervals import EVERYTHING
from reactor.data.schema import Schema, TableSchema
from reactor.data.values import Value
from reactor.engine.database import Database
from reactor.engine.documents import Document
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.tables import MODULES
from reactor.errors import StoreProblem
from reactor.functions.execution import module_row_id
from reactor.functions.loader import LoadedApp
from reactor.functions.runner import Runner
from reactor.store.base import ColumnDescription, TableDescription
from reactor.types import BY_CREATION_TIME, BY_ID, Timestamp


async def deploy(database: Database, runner: Runner, app: LoadedApp) -> None:
    """Swap `app` in, in one step of the event loop, once its tables are there for good.

    If the store fails, the version before goes on.
    """
    tables = app.schema.tables
    database.create_tables(tables)
    await database.wait_durable(database.head)
    await database.describe([_description(database, table) for table in tables.values()])
    previous = runner.app
    # The code first: who begins on a state with the new modules must run the new functions.
    runner.app = app
    database.define_indexes(_indexes(app.schema))
    try:
        await database.wait_durable(max(_write_modules(database, app), database.head))
    except StoreProblem:
        runner.app = previous
        database.define_indexes(_indexes(previous.schema))
        raise


def _indexes(schema: Schema) -> dict[str, dict[str, tuple[str, ...]]]:
    return {
        table.name: {
            index.name: index.fields
            for index in table.indexes.values()
            if index.name not in (BY_ID, BY_CREATION_TIME)
        }
        for table in schema.tables.values()
    }


def _write_modules(database: Database, app: LoadedApp) -> Timestamp:
    transaction = database.begin_mutation(Meter(TransactionLimits()))
    table = database.tables.named(MODULES)
    assert table is not None
    stale = {str(document.value["path"]) for document in _rows(database)}
    for path, digest in app.module_digests.items():
        stale.discard(path)
        row_id = module_row_id(path)
        fields: dict[str, Value] = {"path": path, "digest": digest}
        if transaction.get(table, row_id) is None:
            transaction.insert(table, fields, internal_id=row_id)
        else:
            transaction.replace(table, row_id, fields)
    for path in stale:
        transaction.delete(table, module_row_id(path))
    committed = database.commit(transaction)
    assert isinstance(committed, int), "nothing runs between begin and commit"
    return committed


def _rows(database: Database) -> list[Document]:
    table = database.tables.named(MODULES)
    assert table is not None
    transaction = database.begin_mutation(Meter(TransactionLimits()))
    return [document for _, document in transaction.scan(table, table.by_id, EVERYTHING)]


def _description(database: Database, schema: TableSchema) -> TableDescription:
    state = database.tables.named(schema.name)
    assert state is not None
    columns = tuple(ColumnDescription(name, kind) for name, kind in schema.columns)
    return TableDescription(schema.name, state.number, columns)
