"""Half-open ranges of index keys, and merged sets of them.

Keys are byte strings in their natural order. Three facts make half-open ranges the one shape that
is needed: there is a least string (`b""`), every string has a next one (`key + b"\\x00"`), and
nothing needs a predecessor. So a point, a prefix, a scan that stopped early and "everything" are
all `[start, end)`, and the end of one range can be the start of the next with neither gap nor
overlap. Tag bytes of keys are 0x01..0xfe, so `b"\\xff"` lies above every key and ends `EVERYTHING`.

An `IntervalSet` is a union of such ranges in its only normal form. Its invariants: no range is
empty, starts ascend, and every end lies strictly below the next start (ranges that touch are one).
Two sets that hold the same keys are therefore equal lists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple


class KeyRange(NamedTuple):
    """The keys `start <= key < end` of one index. A range with `start >= end` holds no key."""

    start: bytes
    end: bytes

    @property
    def is_empty(self) -> bool:
        """Whether no key can lie in this range."""
        return self.start >= self.end

    def contains(self, key: bytes) -> bool:
        """Whether `key` lies in this range. O(1)."""
        return self.start <= key < self.end

    def overlaps(self, other: KeyRange) -> bool:
        """Whether some byte string lies in both ranges; touching ends do not overlap. O(1)."""
        return max(self.start, other.start) < min(self.end, other.end)


EVERYTHING: Final = KeyRange(b"", b"\xff")


class IntervalSet:
    """A union of key ranges, iterated as the fewest ranges that hold the same keys, ascending."""

    __slots__ = ("_ends", "_starts")
    # Mutable and compared by content, so not hashable.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, ranges: Iterable[KeyRange] = ()) -> None:
        # Two parallel lists rather than one of ranges: bisect then compares plain bytes.
        self._starts: list[bytes] = []
        self._ends: list[bytes] = []
        for within in ranges:
            self.add(within)

    def add(self, within: KeyRange) -> None:
        """Include every key of `within`. O(log n), plus moving the ranges behind it."""
        start, end = within
        if start >= end:
            return
        starts, ends = self._starts, self._ends
        # The ranges first..last-1 overlap or touch the new one and become one with it.
        first = bisect_left(ends, start)
        last = bisect_right(starts, end)
        if first < last:
            start = min(start, starts[first])
            end = max(end, ends[last - 1])
        starts[first:last] = (start,)
        ends[first:last] = (end,)

    def contains(self, key: bytes) -> bool:
        """Whether some range holds `key`. O(log n)."""
        place = bisect_right(self._starts, key) - 1
        return place >= 0 and key < self._ends[place]

    def overlaps(self, other: KeyRange) -> bool:
        """Whether some byte string lies in `other` and in this set. O(log n)."""
        if other.is_empty:
            return False
        place = bisect_right(self._ends, other.start)
        return place < len(self._starts) and self._starts[place] < other.end

    def __or__(self, other: IntervalSet) -> IntervalSet:
        """A new set with the keys of both. Copies the larger and adds the smaller to it."""
        small, large = sorted((self, other), key=len)
        union = IntervalSet()
        union._starts = large._starts.copy()
        union._ends = large._ends.copy()
        for within in small:
            union.add(within)
        return union

    def __iter__(self) -> Iterator[KeyRange]:
        return map(KeyRange, self._starts, self._ends)

    def __len__(self) -> int:
        """The number of ranges, so that an empty set is false."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def _check(self) -> None:
        """Assert the invariants of the module docstring."""
        assert len(self._starts) == len(self._ends)
        for within in self:
            assert not within.is_empty, within
        for before, behind in pairwise(self):
            assert before.end < behind.start, (before, behind)
