"""What people see in the database file: SQL for one view and one table macro per table.

    SELECT * FROM "order";                                   -- the newest version of each document
    SELECT * FROM order_at(epoch_ns(TIMESTAMP '2026-01-31 12:00:00'));     -- as it was then (UTC)

Both read the log `_reactor_log` and decode fields from the documents' JSON by the kind of their
validator. A field that is absent is NULL; so is one that is null, except in columns of type JSON,
where it is the JSON value null. `_id` and `_creationTime` come first.

Names in SQL ignore case and app names do not: when two tables (or two fields) differ only in case,
the later one gets its table number (or its position) as a suffix. A macro finds the log in the
*current* database, so that after ATTACH it needs a USE; views need nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reactor.store.base import ColumnDescription, TableDescription

LOG_TABLE = "_reactor_log"

# The x makes anything but eight bytes an error for from_hex, which TRY turns into NULL.
_FLIP = r"'^x(..)(..)(..)(..)(..)(..)(..)(..)$', '\8\7\6\5\4\3\2\1'"
_EIGHT_BYTES = (
    "CAST(from_hex(regexp_replace('x' || hex(from_base64("
    f"json_extract_string(document, pointer || '/$%s'))), {_FLIP})) AS BIT)"
)

#: Scalar macros that the views use: they keep a view's text readable.
DECODER_MACROS: tuple[str, ...] = (
    "CREATE OR REPLACE MACRO _reactor_bigint(document, pointer) AS "
    f"TRY(CAST({_EIGHT_BYTES % 'integer'} AS BIGINT))",
    "CREATE OR REPLACE MACRO _reactor_number(document, pointer) AS coalesce("
    "TRY_CAST(json_extract_string(document, pointer) AS DOUBLE), "
    f"TRY(CAST({_EIGHT_BYTES % 'float'} AS DOUBLE)))",
    "CREATE OR REPLACE MACRO _reactor_bytes(document, pointer) AS "
    "TRY(from_base64(json_extract_string(document, pointer || '/$bytes')))",
)

_DECODERS = {
    "string": "json_extract_string(document, {pointer})",
    "id": "json_extract_string(document, {pointer})",
    "number": "_reactor_number(document, {pointer})",
    "bigint": "_reactor_bigint(document, {pointer})",
    "boolean": "TRY_CAST(json_extract_string(document, {pointer}) AS BOOLEAN)",
    "bytes": "_reactor_bytes(document, {pointer})",
}
_JSON_DECODER = "json_extract(document, {pointer})"
_SYSTEM_COLUMNS = (
    ColumnDescription("_id", "id"),
    ColumnDescription("_creationTime", "number"),
)


class ViewSql(NamedTuple):
    """The statements that show one table, and the name under which it is shown."""

    name: str
    view: str
    macro: str

    @property
    def text(self) -> str:
        """Equal texts need no new view."""
        return f"{self.view};\n{self.macro};"


def view_sql(tables: Sequence[TableDescription]) -> list[ViewSql]:
    """The statements for `tables`, in the order given."""
    names: set[str] = set()
    views = []
    for table in tables:
        name = _free_name(table.name, str(table.table_number), names)
        columns = _columns(table.columns)
        macro_name = quoted(macro_of(name))
        views.append(
            ViewSql(
                name,
                f"CREATE OR REPLACE VIEW {quoted(name)} AS {_select(table, columns, '')}",
                f'CREATE OR REPLACE MACRO {macro_name}("ts_ns") AS TABLE '
                + _select(table, columns, ' AND ts <= "ts_ns"'),
            )
        )
    return views


def macro_of(view_name: str) -> str:
    """The name of the table macro that shows a past version of a view."""
    return f"{view_name}_at"


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _select(table: TableDescription, columns: str, condition: str) -> str:
    # arg_max skips NULL, which deletes must not be: the struct around the document is never NULL.
    return (
        f"SELECT {columns} FROM (SELECT latest.document AS document FROM ("
        f"SELECT arg_max(struct_pack(document := document), ts) AS latest FROM {LOG_TABLE} "
        f"WHERE table_number = {int(table.table_number)}{condition} GROUP BY id)) "
        "WHERE document IS NOT NULL"
    )


def _columns(columns: Sequence[ColumnDescription]) -> str:
    system = {column.name for column in _SYSTEM_COLUMNS}
    fields = [*_SYSTEM_COLUMNS, *(column for column in columns if column.name not in system)]
    names: set[str] = set()
    parts = []
    for position, column in enumerate(fields, start=1):
        name = _free_name(column.name, str(position), names)
        decoder = _DECODERS.get(column.kind, _JSON_DECODER)
        parts.append(f"{decoder.format(pointer=_pointer(column.name))} AS {quoted(name)}")
    return ", ".join(parts)


def _pointer(field: str) -> str:
    """A JSON pointer to a top-level field, as an SQL string literal."""
    return "'/" + field.replace("~", "~0").replace("/", "~1").replace("'", "''") + "'"


def _free_name(name: str, suffix: str, taken: set[str]) -> str:
    """`name`, or with a suffix when `taken` has it in any case; adds it to `taken`."""
    while name.lower() in taken:
        name = f"{name}_{suffix}"
    taken.add(name.lower())
    return name
