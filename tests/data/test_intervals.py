"""An `IntervalSet` is checked against a plain list of the ranges that were added to it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data.intervals import EVERYTHING, IntervalSet, KeyRange

# Few and short strings, so that ranges meet, touch and nest all the time.
strings = st.lists(st.sampled_from([0, 1, 0x7F, 0xFF]), max_size=3).map(bytes)
ranges = st.builds(KeyRange, strings, strings)
range_lists = st.lists(ranges, max_size=12)

#: Every string of `strings`: enough to tell two unions of such ranges apart.
UNIVERSE = [
    bytes(letters) for size in range(4) for letters in product((0, 1, 0x7F, 0xFF), repeat=size)
]


def span(start: str, end: str) -> KeyRange:
    return KeyRange(start.encode(), end.encode())


def keys_in(added: list[KeyRange]) -> list[bytes]:
    return [key for key in UNIVERSE if any(within.start <= key < within.end for within in added)]


def test_a_range_holds_its_start_and_not_its_end() -> None:
    assert span("b", "d").contains(b"b")
    assert span("b", "d").contains(b"c\xff")
    assert not span("b", "d").contains(b"d")
    assert not span("b", "d").contains(b"a\xff")


def test_a_range_is_empty_unless_it_starts_below_its_end() -> None:
    assert not span("a", "b").is_empty
    assert span("a", "a").is_empty
    assert span("b", "a").is_empty


def test_everything_holds_the_least_and_the_greatest_key() -> None:
    assert EVERYTHING.contains(b"")
    assert EVERYTHING.contains(b"\xfe\xff\xff")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (span("a", "c"), span("b", "d"), True),
        (span("a", "d"), span("b", "c"), True),
        (span("a", "b"), span("b", "c"), False),
        (span("a", "b"), span("c", "d"), False),
        (span("b", "b"), span("a", "c"), False),
    ],
)
def test_ranges_overlap_when_they_share_a_string(
    one: KeyRange, other: KeyRange, expected: bool
) -> None:
    assert one.overlaps(other) is expected
    assert other.overlaps(one) is expected


def test_overlapping_ranges_become_one() -> None:
    assert list(IntervalSet([span("a", "c"), span("b", "d")])) == [span("a", "d")]


def test_ranges_that_touch_become_one() -> None:
    assert list(IntervalSet([span("c", "d"), span("a", "c")])) == [span("a", "d")]


def test_one_range_swallows_all_that_it_covers() -> None:
    merged = IntervalSet([span("a", "b"), span("c", "d"), span("e", "f"), span("a", "f")])
    assert list(merged) == [span("a", "f")]


def test_an_empty_range_adds_nothing() -> None:
    assert list(IntervalSet([span("b", "b"), span("d", "c")])) == []


def test_a_set_without_ranges_is_false() -> None:
    assert not IntervalSet()
    assert IntervalSet([span("a", "b")])


def test_an_empty_range_overlaps_no_set() -> None:
    assert not IntervalSet([span("a", "z")]).overlaps(span("c", "c"))


def test_a_union_leaves_both_sides_alone() -> None:
    left, right = IntervalSet([span("a", "b")]), IntervalSet([span("b", "c"), span("x", "y")])
    assert list(left | right) == [span("a", "c"), span("x", "y")]
    assert list(left) == [span("a", "b")]
    assert list(right) == [span("b", "c"), span("x", "y")]


def test_a_set_shows_its_ranges() -> None:
    assert repr(IntervalSet([span("a", "b")])) == "IntervalSet([KeyRange(start=b'a', end=b'b')])"


def test_a_set_is_not_hashable_and_equals_only_sets() -> None:
    assert IntervalSet() != []
    with pytest.raises(TypeError, match="unhashable"):
        hash(IntervalSet())


@given(range_lists)
def test_a_set_holds_exactly_the_keys_of_the_ranges_added(added: list[KeyRange]) -> None:
    merged = IntervalSet()
    for within in added:
        merged.add(within)
        merged._check()
    assert [key for key in UNIVERSE if merged.contains(key)] == keys_in(added)


@given(range_lists, ranges)
def test_a_set_overlaps_what_one_of_the_ranges_added_overlaps(
    added: list[KeyRange], asked: KeyRange
) -> None:
    expected = any(within.overlaps(asked) for within in added)
    assert IntervalSet(added).overlaps(asked) is expected


@given(range_lists, range_lists)
def test_a_union_equals_adding_all_to_one_set(left: list[KeyRange], right: list[KeyRange]) -> None:
    union = IntervalSet(left) | IntervalSet(right)
    union._check()
    assert union == IntervalSet(left + right)


@given(range_lists.flatmap(lambda added: st.tuples(st.just(added), st.permutations(added))))
@settings(max_examples=50)
def test_the_order_of_adding_does_not_matter(orders: tuple[list[KeyRange], list[KeyRange]]) -> None:
    one, other = orders
    assert IntervalSet(one) == IntervalSet(other)
