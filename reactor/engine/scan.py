"""Iteration over one index range: the snapshot merged with the transaction's own writes.

A scan knows how far it was walked, because that, and no more, is what the transaction has read: a
scan that stopped early depends on the keys from its start to the last one it gave out.

The own writes are taken at the statement at which the scan began, so later writes of the same
transaction neither appear in it nor disturb it.
"""

from __future__ import annotations

from collections.abc import Iterator

from reactor.data.intervals import KeyRange
from reactor.data.keys import successor
from reactor.engine.documents import Document
from reactor.engine.limits import Meter
from reactor.engine.versions import Version, VersionedIndex
from reactor.types import IndexId, Timestamp


class Scan:
    """An iterator of (key, document). Each step costs O(1) amortised after an O(log n) start."""

    def __init__(
        self,
        base: VersionedIndex,
        overlay: VersionedIndex | None,
        within: KeyRange,
        snapshot_ts: Timestamp,
        statement: int,
        *,
        reverse: bool,
        meter: Meter,
        where: str,
        index_id: IndexId,
    ) -> None:
        self.index_id = index_id
        self.finished = False
        self._within = within
        self._reverse = reverse
        self._meter = meter
        self._where = where
        self._last: bytes | None = None
        rows = base.scan(within, snapshot_ts, reverse=reverse)
        if overlay is not None:
            rows = _merged(rows, overlay.scan(within, statement, reverse=reverse), reverse)
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[bytes, Document]]:
        return self

    def __next__(self) -> tuple[bytes, Document]:
        for key, version in self._rows:
            document = version.document
            if document is not None:
                self._last = key
                self._meter.document_read(len(document.encoded), self._where)
                return key, document
        self.finished = True
        raise StopIteration

    def walked(self) -> KeyRange | None:
        """The part of the range that was read so far; None before the first step."""
        start, end = self._within
        if self.finished:
            return self._within if start < end else None
        if self._last is None:
            return None
        if self._reverse:
            return KeyRange(self._last, end)
        return KeyRange(start, successor(self._last))


def _merged(
    base: Iterator[tuple[bytes, Version]], own: Iterator[tuple[bytes, Version]], reverse: bool
) -> Iterator[tuple[bytes, Version]]:
    """Both in key order; where both have a key, the own write wins."""
    mine = next(own, None)
    for key, version in base:
        while mine is not None and ((mine[0] > key) if reverse else (mine[0] < key)):
            yield mine
            mine = next(own, None)
        if mine is not None and mine[0] == key:
            yield mine
            mine = next(own, None)
        else:
            yield key, version
    while mine is not None:
        yield mine
        mine = next(own, None)
