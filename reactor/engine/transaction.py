"""A transaction: one snapshot, the writes on top of it, and the only recorder of reads.

Reads see the snapshot at `begin_ts` overlaid with the transaction's own writes. Writes are numbered
statements kept per document; `savepoint` is a statement number and `rollback` takes back what came
after it. A scan sees the state at the moment its iteration began, so a function may write while it
iterates and never meets its own writes.

Reads are recorded as ranges of index keys: a point read is the range of one key, a scan records
only the part it walked, `count` records membership only. What a rolled back part had read stays
recorded, because the function's later course may depend on it.

Invariants (see `check`): the last statement of a document's chain is its current state; an overlay
index exists only for an index that was scanned after a write, and holds exactly the keys that the
statements wrote to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from reactor.data import wire
from reactor.data.ids import InternalId, encode_id
from reactor.data.intervals import KeyRange
from reactor.data.keys import encode_key, successor
from reactor.data.values import Value
from reactor.engine.documents import Document
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.reads import ReadSet
from reactor.engine.row_identity import RowIdentities
from reactor.engine.scan import Scan
from reactor.engine.tables import Index, Tables, TableState
from reactor.engine.versions import VersionedIndex
from reactor.types import IndexId, Timestamp


class DocumentChange(NamedTuple):
    """One document that the transaction changed: as the snapshot had it, and as it is now."""

    table: TableState
    internal_id: InternalId
    before: Document | None
    after: Document | None


class _Written:
    """The statements that wrote one document, oldest first."""

    __slots__ = ("before", "statements", "table")

    def __init__(self, table: TableState, before: Document | None) -> None:
        self.table = table
        self.before = before
        self.statements: list[tuple[int, Document | None]] = []

    @property
    def current(self) -> Document | None:
        return self.statements[-1][1] if self.statements else self.before


class Transaction:
    """Not thread-safe; used by one function call at a time."""

    def __init__(
        self,
        tables: Tables,
        begin_ts: Timestamp,
        meter: Meter,
        identities: RowIdentities,
        generation: int,
    ) -> None:
        self.begin_ts = begin_ts
        self.generation = generation
        self.meter = meter
        self._tables = tables
        self._identities = identities
        self._statement = 0
        self._written: dict[tuple[int, InternalId], _Written] = {}
        self._overlays: dict[IndexId, VersionedIndex] = {}
        self._reads = ReadSet()
        self._scans: list[Scan] = []

    # -- reading ---------------------------------------------------------------------------------

    def table(self, name: str) -> TableState | None:
        """A table by name; None reads as empty."""
        return self._tables.named(name)

    def get(self, table: TableState, internal_id: InternalId) -> Document | None:
        """The document as this transaction sees it. O(log ranges) to record, O(1) to find."""
        return self.get_version(table, internal_id)[1]

    def get_version(
        self, table: TableState, internal_id: InternalId
    ) -> tuple[Timestamp | None, Document | None]:
        """The document and the timestamp of its commit (None for one written here, or absent)."""
        key = encode_key((internal_id,))
        self.meter.range_read(f"{table.name}.by_id")
        self._reads.add(table.by_id.id, KeyRange(key, successor(key)))
        own = self._written.get((table.number, internal_id))
        if own is not None and own.statements:
            return None, own.current
        version = table.by_id.versions.find(key, self.begin_ts)
        if version is None or version.document is None:
            return None, None
        self.meter.document_read(len(version.document.encoded), f"{table.name}.by_id")
        return version.ts, version.document

    def depend_on(self, table: TableState, internal_id: InternalId) -> None:
        """Record a point read without reading or metering: what the framework itself depends on."""
        key = encode_key((internal_id,))
        self._reads.add(table.by_id.id, KeyRange(key, successor(key)))

    @contextmanager
    def unmetered(self) -> Iterator[None]:
        """Reads and writes of the framework's own, which no limit of a function counts."""
        meter, self.meter = self.meter, Meter(TransactionLimits.NONE)
        try:
            yield
        finally:
            self.meter = meter

    def scan(
        self, table: TableState, index: Index, within: KeyRange, *, reverse: bool = False
    ) -> Scan:
        """Iterate (key, document) of a range; records what was walked."""
        where = f"{table.name}.{index.id.name}"
        self.meter.range_read(where)
        scan = Scan(
            index.versions, self._overlay(table, index), within, self.begin_ts, self._statement,
            reverse=reverse, meter=self.meter, where=where, index_id=index.id,
        )  # fmt: skip
        self._scans.append(scan)
        return scan

    def count(self, table: TableState, index: Index, within: KeyRange) -> int:
        """Documents in a range. O(log n + own writes in the range)."""
        self.meter.range_read(f"{table.name}.{index.id.name}")
        self._reads.add(index.id, within, membership_only=True)
        total = index.versions.count(within, self.begin_ts)
        overlay = self._overlay(table, index)
        if overlay is not None:
            for key, version in overlay.scan(within, self._statement):
                base = index.versions.find(key, self.begin_ts)
                had = base is not None and base.document is not None
                total += (version.document is not None) - had
        return total

    def reads(self) -> ReadSet:
        """Everything read so far, open scans included."""
        for scan in self._scans:
            walked = scan.walked()
            if walked is not None:
                self._reads.add(scan.index_id, walked)
        self._scans = [scan for scan in self._scans if not scan.finished]
        return self._reads

    # -- writing ---------------------------------------------------------------------------------

    def insert(
        self, table: TableState, fields: dict[str, Value], *, internal_id: InternalId | None = None
    ) -> Document:
        """Add a document; `_id` and `_creationTime` are made here. Returns the stored form."""
        internal_id = internal_id or self._identities.next_id()
        value: dict[str, Value] = {
            "_id": encode_id(table.number, internal_id),
            "_creationTime": self._identities.next_creation_time(),
            **fields,
        }
        document = Document(wire.encode(value), value)
        self._write(table, internal_id, document)
        return document

    def replace(
        self, table: TableState, internal_id: InternalId, fields: dict[str, Value]
    ) -> Document:
        """Put new fields in place of a document's; its id and creation time stay.

        The document must exist (the caller has read it). An equal document is not written.
        """
        existing = self._existing(table, internal_id)
        value = {
            "_id": existing.value["_id"],
            "_creationTime": existing.value["_creationTime"],
            **fields,
        }
        document = Document(wire.encode(value), value)
        if wire.canonical(value) != wire.canonical(existing.value):
            self._write(table, internal_id, document)
        return document

    def delete(self, table: TableState, internal_id: InternalId) -> None:
        """Remove a document that exists (the caller has read it)."""
        self._existing(table, internal_id)
        self._write(table, internal_id, None)

    def _existing(self, table: TableState, internal_id: InternalId) -> Document:
        document = self.get(table, internal_id)
        assert document is not None, "the caller reads a document before it changes it"
        return document

    def _write(self, table: TableState, internal_id: InternalId, document: Document | None) -> None:
        written = self._written.get((table.number, internal_id))
        if written is None:
            version = table.by_id.versions.find(encode_key((internal_id,)), self.begin_ts)
            written = _Written(table, None if version is None else version.document)
            self._written[table.number, internal_id] = written
        before = written.current
        self.meter.document_written(0 if document is None else len(document.encoded), table.name)
        self._statement += 1
        written.statements.append((self._statement, document))
        for name, index in table.indexes.items():
            overlay = self._overlays.get(IndexId(table.number, name))
            if overlay is not None:
                _write_overlay(overlay, index, internal_id, self._statement, before, document)

    def _overlay(self, table: TableState, index: Index) -> VersionedIndex | None:
        """The own writes on an index, built when they are first scanned."""
        overlay = self._overlays.get(index.id)
        if overlay is not None:
            return overlay
        writes = [
            (statement, internal_id, written, document)
            for (number, internal_id), written in self._written.items()
            if number == table.number
            for statement, document in written.statements
        ]
        if not writes:
            return None
        overlay = self._overlays[index.id] = VersionedIndex()
        current: dict[InternalId, Document | None] = {}
        for statement, internal_id, written, document in sorted(writes, key=lambda w: w[0]):
            before = current.get(internal_id, written.before)
            _write_overlay(overlay, index, internal_id, statement, before, document)
            current[internal_id] = document
        return overlay

    # -- savepoints and the end ------------------------------------------------------------------

    def savepoint(self) -> int:
        """A mark for `rollback`."""
        return self._statement

    def rollback(self, savepoint: int) -> None:
        """Take back every write after the mark; reads stay recorded. O(writes taken back)."""
        for key, written in list(self._written.items()):
            while written.statements and written.statements[-1][0] > savepoint:
                written.statements.pop()
            if not written.statements:
                del self._written[key]
        for overlay in self._overlays.values():
            overlay.truncate(savepoint)

    def changes(self) -> Iterator[DocumentChange]:
        """The documents that differ from the snapshot, in the order they were first written."""
        for (_, internal_id), written in self._written.items():
            before, after = written.before, written.current
            if before is after or (
                before is not None and after is not None and before.encoded == after.encoded
            ):
                continue
            yield DocumentChange(written.table, internal_id, before, after)

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        for written in self._written.values():
            statements = [statement for statement, _ in written.statements]
            assert statements and statements == sorted(set(statements))
            assert statements[-1] <= self._statement
        for overlay in self._overlays.values():
            overlay.check()


def _write_overlay(
    overlay: VersionedIndex,
    index: Index,
    internal_id: InternalId,
    statement: int,
    before: Document | None,
    after: Document | None,
) -> None:
    old = None if before is None else index.key(before, internal_id)
    new = None if after is None else index.key(after, internal_id)
    if old is not None and old != new:
        overlay.write(old, statement, None)
    if new is not None:
        overlay.write(new, statement, after)
