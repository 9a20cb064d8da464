"""The tables of a database: their numbers, their indexes, and the keys a write touches.

A table exists once it has a number; numbers are rows of the system table `_tables`, so they travel
in the log like everything else. Index definitions come from the deployed schema. Every table has
`by_id` and `by_creation_time`; a further index is built from the chains of `by_id`, every retained
version of them, so that a snapshot taken before the build may read it too.

System tables have numbers below `FIRST_USER_TABLE` and names that start with `_`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from reactor.data.ids import InternalId
from reactor.data.index_keys import index_key
from reactor.data.keys import encode_key
from reactor.engine.documents import Document
from reactor.engine.versions import Version, VersionedIndex
from reactor.types import BY_CREATION_TIME, BY_ID, IndexId, Timestamp

#: User tables start here, as in the document ids of the protocol (section 4).
FIRST_USER_TABLE = 10_001

TABLES = "_tables"
MODULES = "_modules"
SESSION_REQUESTS = "_session_requests"
SYSTEM_TABLES = {TABLES: 1, MODULES: 2, SESSION_REQUESTS: 3}


@dataclass(slots=True)
class Index:
    """One index: what it sorts by, and its versions."""

    id: IndexId
    fields: tuple[str, ...]
    versions: VersionedIndex

    def key(self, document: Document, internal_id: InternalId) -> bytes:
        if self.id.name == BY_ID:
            return encode_key((internal_id,))
        return index_key(self.fields, document.value, document.creation_time, internal_id)


@dataclass(slots=True)
class TableState:
    """One table of the database."""

    name: str
    number: int
    indexes: dict[str, Index] = field(default_factory=dict)

    @property
    def by_id(self) -> Index:
        return self.indexes[BY_ID]

    def written_keys(
        self, internal_id: InternalId, before: Document | None, after: Document | None
    ) -> Iterator[tuple[Index, bytes, Document | None, bool]]:
        """(index, key, document or None, membership changed) for one changed document."""
        for index in self.indexes.values():
            old = None if before is None else index.key(before, internal_id)
            new = None if after is None else index.key(after, internal_id)
            if old == new:
                assert new is not None
                yield index, new, after, False
                continue
            if old is not None:
                yield index, old, None, True
            if new is not None:
                yield index, new, after, True


class Tables:
    """All tables, by name and by number."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._by_name: dict[str, TableState] = {}
        self._by_number: dict[int, TableState] = {}
        for name, number in SYSTEM_TABLES.items():
            self.add(name, number)

    def __iter__(self) -> Iterator[TableState]:
        return iter(self._by_number.values())

    def named(self, name: str) -> TableState | None:
        return self._by_name.get(name)

    def numbered(self, number: int) -> TableState | None:
        return self._by_number.get(number)

    def table_name(self, number: int) -> str | None:
        """The name behind a table number; what id validation asks."""
        table = self._by_number.get(number)
        return None if table is None else table.name

    def next_number(self) -> int:
        return max(FIRST_USER_TABLE - 1, *self._by_number) + 1

    def add(self, name: str, number: int) -> TableState:
        """Give a table its number. Idempotent for an equal pair."""
        existing = self._by_number.get(number)
        if existing is not None:
            assert existing.name == name, f"table number {number} is {existing.name!r}"
            return existing
        table = TableState(name, number)
        for built_in in (BY_ID, BY_CREATION_TIME):
            table.indexes[built_in] = self._new_index(number, built_in, ())
        self._by_name[name] = self._by_number[number] = table
        return table

    def keep_only(self, names: Collection[str]) -> None:
        """Drop the user tables without a row in the catalogue: their creation was taken back."""
        for table in list(self._by_number.values()):
            if table.number >= FIRST_USER_TABLE and table.name not in names:
                del self._by_name[table.name], self._by_number[table.number]

    def define_indexes(
        self, name: str, definitions: Mapping[str, Sequence[str]], floor: Timestamp
    ) -> None:
        """Make a table's user indexes exactly `definitions` (name to dotted field paths).

        New and changed ones are built from the documents, O(n log n); others stay as they are. No
        snapshot below `floor` is read any more.
        """
        table = self._by_name[name]
        # A new dict, because transactions in worker threads iterate over the present one.
        indexes = {n: table.indexes[n] for n in (BY_ID, BY_CREATION_TIME)}
        for index_name, fields in definitions.items():
            index = table.indexes.get(index_name)
            if index is None or index.fields != tuple(fields):
                index = self._new_index(table.number, index_name, tuple(fields))
                _build(index, table.by_id.versions, floor)
            indexes[index_name] = index
        table.indexes = indexes

    def load(self, number: int, rows: Mapping[InternalId, tuple[Timestamp, Document]]) -> None:
        """Fill an empty table's indexes with the newest version of each of its documents."""
        for index in self._by_number[number].indexes.values():
            index.versions.load(
                (index.key(document, internal_id), ts, document)
                for internal_id, (ts, document) in rows.items()
            )

    def _new_index(self, number: int, name: str, fields: tuple[str, ...]) -> Index:
        return Index(IndexId(number, name), fields, VersionedIndex(self._lock))


def _build(index: Index, by_id: VersionedIndex, floor: Timestamp) -> None:
    """Fill a new index from the retained versions of a table, in timestamp order.

    Only a version that every snapshot sees may be loaded without history: the others must count for
    no snapshot before them, and go away if they are taken back.
    """
    single: list[tuple[bytes, Timestamp, Document]] = []
    moves: list[tuple[Timestamp, InternalId, Document | None, Document | None]] = []
    for newest in by_id.chains():
        if newest.previous is None and newest.document is not None and newest.ts <= floor:
            document = newest.document
            key = index.key(document, document.internal_id)
            single.append((key, newest.ts, document))
        else:
            moves.extend(_moves(newest))
    index.versions.load(single)
    for ts, internal_id, before, after in sorted(moves, key=lambda move: move[0]):
        old = None if before is None else index.key(before, internal_id)
        new = None if after is None else index.key(after, internal_id)
        if old is not None and old != new:
            index.versions.write(old, ts, None)
        if new is not None:
            index.versions.write(new, ts, after)


def _moves(
    newest: Version,
) -> Iterator[tuple[Timestamp, InternalId, Document | None, Document | None]]:
    chain: list[Version] = []
    version: Version | None = newest
    while version is not None:
        chain.append(version)
        version = version.previous
    some = next((v.document for v in chain if v.document is not None), None)
    if some is None:
        return
    before: Document | None = None
    for link in reversed(chain):
        yield link.ts, some.internal_id, before, link.document
        before = link.document
