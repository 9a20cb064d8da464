"""What a function read: the one currency of reactivity.

A `ReadSet` is a set of half-open key ranges per watched aspect of an index. Two aspects exist: the
*documents* behind the keys (any write to a key in the range matters) and only the *membership* of
keys (a write matters if a key appears or disappears), which is all that `count()` depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reactor.data.intervals import IntervalSet, KeyRange
from reactor.types import IndexId


class Aspect(NamedTuple):
    """What of an index was read: its documents, or only which keys exist."""

    index_id: IndexId
    membership_only: bool


class WrittenKey(NamedTuple):
    """One index key that a commit wrote."""

    index_id: IndexId
    key: bytes
    membership_changed: bool


class ReadSet:
    """Ranges per aspect. `add` is O(log ranges)."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: dict[Aspect, IntervalSet] = {}

    def add(self, index: IndexId, within: KeyRange, *, membership_only: bool = False) -> None:
        aspect = Aspect(index, membership_only)
        ranges = self._ranges.get(aspect)
        if ranges is None:
            ranges = self._ranges[aspect] = IntervalSet()
        ranges.add(within)

    def touched_by(self, written: WrittenKey) -> bool:
        """The one overlap rule: does this written key change what was read?"""
        ranges = self._ranges.get(Aspect(written.index_id, False))
        if ranges is not None and ranges.contains(written.key):
            return True
        if not written.membership_changed:
            return False
        ranges = self._ranges.get(Aspect(written.index_id, True))
        return ranges is not None and ranges.contains(written.key)

    def items(self) -> Iterator[tuple[Aspect, IntervalSet]]:
        return iter(self._ranges.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadSet) and self._ranges == other._ranges

    __hash__ = None  # type: ignore[assignment]
