"""`ctx.db`: typed reads and writes over one transaction.

Documents go in and come out as instances of the app's tables. What is read is immutable; what is
written is validated against the table before it reaches the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

from reactor.data.ids import InternalId, decode_id
from reactor.data.schema import Schema, TableSchema
from reactor.data.tables import Id, Table
from reactor.data.values import Value, check_value
from reactor.engine.documents import Document
from reactor.engine.tables import FIRST_USER_TABLE, Tables, TableState
from reactor.engine.transaction import Transaction
from reactor.errors import DocumentProblem, InvalidId, SchemaMismatch
from reactor.functions.query_builder import PageJournal, Query, QuerySource

Row = TypeVar("Row", bound=Table)

#: Deepest nesting of a document's values (protocol section 3.4).
_DOCUMENT_NESTING_MAX = 16


class DatabaseReader:
    """Reads of one transaction."""

    def __init__(
        self, transaction: Transaction, schema: Schema, tables: Tables, journal: PageJournal
    ) -> None:
        self._transaction = transaction
        self._schema = schema
        self._tables = tables
        self._journal = journal

    def query(self, table: type[Row]) -> Query[Row]:
        """Start a read of one table."""
        schema = self._schema.table_of(table)
        state = self._tables.named(schema.name)
        return Query(QuerySource(self._transaction, schema, state, self._journal))

    @overload
    def get(self, id: Id[Row]) -> Row | None: ...
    @overload
    def get(self, table: type[Row], id: str) -> Row | None: ...
    def get(self, *arguments: Any, **named: Any) -> Any:
        """The document with an id, or None: `get(id)`, or `get(Table, id)` to insist on a table.

        Raises DocumentProblem for text that is no id, or an id of another table.
        """
        table, id = _table_and_id(arguments, named)
        state, schema, internal_id = self._locate("db.get", id, table)
        document = self._transaction.get(state, internal_id)
        return None if document is None else schema.load(document)

    def normalize_id(self, table: type[Row], text: str) -> Id[Row] | None:
        """`text` as an id of `table`, or None if it is not one. Nothing is read."""
        state = self._tables.named(self._schema.table_of(table).name)
        try:
            number, _ = decode_id(text)
        except InvalidId:
            return None
        return cast("Id[Row]", text) if state is not None and state.number == number else None

    def _locate(
        self, operation: str, id: object, table: type[Table] | None = None
    ) -> tuple[TableState, TableSchema, InternalId]:
        if not isinstance(id, str):
            raise DocumentProblem(
                f"Invalid argument `id` for `{operation}`: expected a document id, "
                f"got {type(id).__name__} {id!r}. Pass `document.id`."
            )
        try:
            number, internal_id = decode_id(id)
        except InvalidId as error:
            raise DocumentProblem(f"Invalid argument `id` for `{operation}`: {error}") from None
        if number < FIRST_USER_TABLE:
            raise DocumentProblem("System tables can only be accessed with db.system.")
        state = self._tables.numbered(number)
        schema = None if state is None else self._schema.tables.get(state.name)
        if table is not None:
            expected = self._schema.table_of(table).name
            if state is None or state.name != expected:
                got = "an unknown table" if state is None else f'Id<"{state.name}">'
                raise DocumentProblem(
                    f"Invalid argument `id` for `{operation}`: expected to be an "
                    f'Id<"{expected}">, got {got} instead.'
                )
        if state is None or schema is None:
            raise DocumentProblem(
                f"Invalid argument `id` for `{operation}`: {id} belongs to no table of this app's "
                "schema. Pass an id that this database gave out."
            )
        return state, schema, internal_id


class DatabaseWriter(DatabaseReader):
    """Reads and writes of one mutation."""

    @overload
    def insert(self, row: Row, /) -> Id[Row]: ...
    @overload
    def insert(
        self, table: type[Row], row: Mapping[str, Any] = ..., /, **fields: Any
    ) -> Id[Row]: ...
    def insert(self, target: Any, row: Mapping[str, Any] | None = None, /, **fields: Any) -> Any:
        """Add a document: `insert(Event(…))`, `insert(Event, project_name="p", …)` or
        `insert(Event, {"project_name": "p", …})`.

        Returns its id. Raises SchemaMismatch, with the path, if it does not match the table.
        """
        if isinstance(target, Table):
            if fields or row is not None:
                raise TypeError("insert() takes a document, or a table and fields, not both")
            model, given = type(target), cast("Table | Mapping[str, object]", target)
        else:
            model, given = target, {**(row or {}), **fields}
        schema = self._schema.table_of(model)
        state = self._tables.named(schema.name)
        assert state is not None, "deploying a schema creates its tables"
        value = schema.dump(given, ids=self._tables)
        _check_document(schema, value)
        return self._transaction.insert(state, value).id

    def patch(
        self, id: Id[Any], changes: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> None:
        """Change some fields; `MISSING` removes one. An unchanged document is not written.

        Raises DocumentProblem if there is no such document, SchemaMismatch if it would not match.
        """
        state, schema, internal_id = self._locate("db.patch", id)
        stored = self._existing(state, internal_id, "Update", id).value
        value = schema.patched(stored, {**(changes or {}), **fields}, ids=self._tables)
        _check_document(schema, value)
        self._transaction.replace(state, internal_id, value)

    def replace(self, id: Id[Row], row: Row | Mapping[str, object], /) -> None:
        """Put new fields in place of all old ones; id and creation time stay."""
        state, schema, internal_id = self._locate("db.replace", id)
        stored = self._existing(state, internal_id, "Replace", id).value
        value = schema.dump(row, ids=self._tables, stored=stored)
        _check_document(schema, value)
        self._transaction.replace(state, internal_id, value)

    def delete(self, id: Id[Any], /) -> None:
        """Remove a document. Raises DocumentProblem if there is none."""
        state, _, internal_id = self._locate("db.delete", id)
        self._existing(state, internal_id, "Delete", id)
        self._transaction.delete(state, internal_id)

    def _existing(self, state: TableState, internal_id: InternalId, verb: str, id: str) -> Document:
        document = self._transaction.get(state, internal_id)
        if document is None:
            raise DocumentProblem(f"{verb} on nonexistent document ID {id}")
        return document


def _table_and_id(
    arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[type[Table] | None, object]:
    values = [*arguments, *named.values()]
    if len(values) == 1:
        return None, values[0]
    if len(values) == 2 and isinstance(values[0], type):
        return values[0], values[1]
    raise TypeError("get() takes an id, or a table and an id: ctx.db.get(Event, id)")


def _check_document(schema: TableSchema, value: dict[str, Value]) -> None:
    """Sizes and names that hold for every document (protocol sections 3.2 and 3.4)."""
    size = check_value(value, nesting_max=_DOCUMENT_NESTING_MAX)
    if size > 1 << 20:
        raise SchemaMismatch(
            f'Failed to insert or update a document in table "{schema.name}": Value is too large '
            f"({size / (1 << 20):.2f} MiB > maximum size 1 MiB). Split it over several documents."
        )
