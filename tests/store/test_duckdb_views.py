"""What a person sees who opens the database file with SQL."""

from __future__ import annotations

import base64
import math
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from reactor.errors import StoreUnavailable
from reactor.store.base import ColumnDescription, TableDescription
from reactor.store.duckdb import DuckDBStore
from tests.store.test_contract import TABLE, commit, write


def table(name: str = "events", number: int = TABLE, /, **kinds: str) -> TableDescription:
    columns = tuple(ColumnDescription(column, kind) for column, kind in kinds.items())
    return TableDescription(name, number, columns)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    made = DuckDBStore(tmp_path / "d.duckdb")
    made.open()
    yield made
    made.close()


def rows(store: DuckDBStore, sql: str) -> list[tuple[object, ...]]:
    """What a reader of the closed file gets."""
    store.close()
    with duckdb.connect(store.path, read_only=True) as connection:
        found = connection.execute(sql).fetchall()
    store.open()
    return found


def integer(number: int) -> bytes:
    return b'{"$integer":"%s"}' % base64.b64encode(number.to_bytes(8, "little", signed=True))


def float64(number: float) -> bytes:
    return b'{"$float":"%s"}' % base64.b64encode(struct.pack("<d", number))


def column(store: DuckDBStore, kind: str, *values: bytes) -> list[object]:
    """The values that documents with these fields `x` show in a column of this kind."""
    documents = (b'{"n":%d,"x":%s}' % (n, value) for n, value in enumerate(values))
    store.append([commit(1, *(write(n, document) for n, document in enumerate(documents)))], 0)
    store.describe([table(n="number", x=kind)])
    return [value for (value,) in rows(store, "SELECT x FROM events ORDER BY n")]


def test_a_view_shows_the_newest_version_of_each_living_document(store: DuckDBStore) -> None:
    store.append([commit(1, write(1, b'{"x":"old"}'), write(2, b'{"x":"deleted"}'))], 0)
    store.append([commit(2, write(1, b'{"x":"new"}')), commit(3, write(2, None))], 1)
    store.describe([table(x="string")])
    assert rows(store, "SELECT x FROM events") == [("new",)]


def test_the_id_and_the_creation_time_come_first(store: DuckDBStore) -> None:
    document = b'{"_creationTime":1700000000000.25,"_id":"k57","x":"a"}'
    store.append([commit(1, write(1, document))], 0)
    store.describe([table(x="string")])
    assert rows(store, "SELECT * FROM events") == [("k57", 1700000000000.25, "a")]
    assert [name for name, *_ in rows(store, "DESCRIBE events")] == ["_id", "_creationTime", "x"]


def test_columns_have_the_types_of_their_validators(store: DuckDBStore) -> None:
    kinds = ("string", "number", "bigint", "boolean", "bytes", "id", "json", "array")
    store.describe([table(**{f"a_{kind}": kind for kind in kinds})])
    types = [kind for _, kind, *_ in rows(store, "DESCRIBE events")][2:]
    assert types == ["VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "BLOB", "VARCHAR", "JSON", "JSON"]


def test_numbers_are_decoded_with_their_special_values(store: DuckDBStore) -> None:
    special = [math.inf, -math.inf, math.nan, -0.0]
    plain = [b"1", b"-2.5", b"9007199254740993", b"5e-324", b"1.7976931348623157e308"]
    found = column(store, "number", *plain, *map(float64, special))
    assert found[:5] == [1.0, -2.5, 9007199254740992.0, 5e-324, 1.7976931348623157e308]
    assert [struct.pack("<d", f) for f in found[5:] if isinstance(f, float)] == [
        struct.pack("<d", f) for f in special
    ]


def test_bigints_are_decoded(store: DuckDBStore) -> None:
    numbers = [0, 1, -1, 2**63 - 1, -(2**63), 0x0102030405060708]
    assert column(store, "bigint", *map(integer, numbers)) == numbers


def test_bytes_are_decoded(store: DuckDBStore) -> None:
    encoded = (b'{"$bytes":"AAEC/w=="}', b'{"$bytes":""}')
    assert column(store, "bytes", *encoded) == [b"\0\1\2\xff", b""]


def test_strings_are_decoded(store: DuckDBStore) -> None:
    assert column(store, "string", b'"a\\u0000\\"b\xc3\xa9"', b'""') == ['a\0"bé', ""]


def test_booleans_are_decoded(store: DuckDBStore) -> None:
    assert column(store, "boolean", b"true", b"false") == [True, False]


def test_absent_fields_are_null_and_null_shows_only_in_json(store: DuckDBStore) -> None:
    store.append([commit(1, write(1, b'{"a":null,"b":null}'))], 0)
    store.describe([table(a="json", b="string", c="json", d="number")])
    assert rows(store, "SELECT a, b, c, d FROM events") == [("null", None, None, None)]


@pytest.mark.parametrize("kind", ["number", "bigint", "bytes", "boolean"])
def test_a_value_of_another_kind_is_null_and_not_an_error(store: DuckDBStore, kind: str) -> None:
    values = (b'"text"', b"[1]", b'{"$integer":"!!"}', b'{"$integer":"AA=="}', b'{"a":1}')
    assert column(store, kind, *values) == [None] * 5


@pytest.mark.parametrize("name", ["order", 'a"b', "Select", "x" * 64, "a;b--", "sqlite_master"])
def test_names_are_quoted(store: DuckDBStore, name: str) -> None:
    store.append([commit(1, write(1, b'{"group":"a"}'))], 0)
    store.describe([table(name, group="string")])
    quoted = name.replace('"', '""')
    assert rows(store, f'SELECT "group" FROM main."{quoted}"') == [("a",)]
    assert rows(store, f'SELECT "group" FROM "{quoted}_at"(1)') == [("a",)]
    store.describe([])


@pytest.mark.parametrize("field", ["a/b", "c~d", "e.f", "g'h", 'i"j', "$k", "*", "0", "ts", "id"])
def test_any_field_name_is_found_in_the_document(store: DuckDBStore, field: str) -> None:
    document = b'{"%s":"found"}' % field.replace('"', '\\"').encode()
    store.append([commit(1, write(1, document))], 0)
    store.describe([table(**{field: "string"})])
    assert [row[2] for row in rows(store, "SELECT * FROM events")] == ["found"]
    assert [row[2] for row in rows(store, "SELECT * FROM events_at(1)")] == ["found"]


def test_names_that_differ_only_in_case_are_told_apart(store: DuckDBStore) -> None:
    store.append([commit(1, write(1, b'{"user":"a","User":"b"}', 1), write(1, b"{}", 2))], 0)
    store.describe([table("box", 1, user="string", User="string"), table("Box", 2)])
    assert rows(store, "SELECT user, User_4 FROM box") == [("a", "b")]
    assert rows(store, "SELECT count(*) FROM Box_2") == [(1,)]


def test_a_past_version_can_be_queried(store: DuckDBStore) -> None:
    store.append([commit(10, write(1, b'{"x":"first"}')), commit(20, write(2, b'{"x":"b"}'))], 0)
    store.append([commit(30, write(1, b'{"x":"second"}')), commit(40, write(2, None))], 20)
    store.describe([table(x="string")])
    for ts, expected in ((9, []), (10, ["first"]), (29, ["b", "first"]), (40, ["second"])):
        found = rows(store, f"SELECT x FROM events_at({ts}) ORDER BY x")
        assert [x for (x,) in found] == expected


def test_views_of_tables_that_are_gone_are_dropped(store: DuckDBStore) -> None:
    store.describe([table("a", 1), table("b", 2)])
    store.describe([table("b", 2)])
    found = rows(store, "SELECT view_name FROM duckdb_views() WHERE NOT internal")
    assert found == [("b",)]
    macros = "SELECT function_name FROM duckdb_functions() WHERE function_type = 'table_macro'"
    assert ("a_at",) not in rows(store, macros)


def test_a_changed_description_changes_the_view(store: DuckDBStore) -> None:
    store.describe([table(x="string")])
    store.describe([table(y="number")])
    assert [name for name, *_ in rows(store, "DESCRIBE events")][2:] == ["y"]


def test_a_renamed_table_leaves_its_name_to_another(store: DuckDBStore) -> None:
    store.append([commit(1, write(1, b"{}", 1))], 0)
    store.describe([table("a", 1), table("b", 2)])
    store.describe([table("b", 1), table("a", 2)])
    assert rows(store, "SELECT count(*) FROM b") == [(1,)]
    assert rows(store, "SELECT count(*) FROM a") == [(0,)]


def test_what_reactor_did_not_make_is_not_replaced(store: DuckDBStore) -> None:
    with duckdb.connect(store.path) as connection:
        connection.execute("CREATE TABLE Events AS SELECT 5 AS x")
    with pytest.raises(StoreUnavailable, match=r"'events'.*Rename or drop"):
        store.describe([table("other", 1), table("events", 2)])
    assert rows(store, "SELECT x FROM events") == [(5,)]
    assert rows(store, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(0,)]


def test_views_may_be_described_while_the_mover_works(store: DuckDBStore) -> None:
    failures: list[BaseException] = []
    stop = threading.Event()

    def describe_until_stopped() -> None:
        try:
            while not stop.is_set():
                store.describe([table(x="string")])
                store.describe([table(y="number")])
        except BaseException as failure:
            failures.append(failure)

    describing = threading.Thread(target=describe_until_stopped)
    describing.start()
    for ts in range(1, 200):
        store.append([commit(ts * 100 + n) for n in range(50)], 0)
    stop.set()
    describing.join()
    assert not failures
    assert len(list(store.replay(0))) == 199 * 50


def test_the_views_work_from_another_database(store: DuckDBStore) -> None:
    store.append([commit(1, write(1, b'{"x":%s}' % integer(7)))], 0)
    store.describe([table(x="bigint")])
    store.close()
    with duckdb.connect() as other:
        other.execute(f"ATTACH '{store.path}' AS app (READ_ONLY)")
        assert other.execute("SELECT x FROM app.events").fetchall() == [(7,)]
        other.execute("USE app")
        assert other.execute("SELECT x FROM events_at(1)").fetchall() == [(7,)]


@pytest.mark.parametrize("name", ["reactor", "main", "temp", "system", "memory"])
def test_the_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    store = DuckDBStore(tmp_path / f"{name}.db")
    store.open()
    store.append([commit(1, write(1, b'{"x":"a"}'))], 0)
    store.describe([table(x="string")])
    assert rows(store, "SELECT x FROM events") == [("a",)]
    store.close()
