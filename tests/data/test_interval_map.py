"""An `IntervalMap` is checked against a plain list of (owner, index, range)."""

from __future__ import annotations

import sys
from math import log2

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reactor.data.ids import InternalId
from reactor.data.interval_map import IntervalMap, _home_of
from reactor.data.intervals import EVERYTHING, KeyRange
from reactor.data.keys import KeyField, encode_key, field_ends, prefix_range, successor
from reactor.data.values import UNDEFINED, Int64

INDEXES = ("by_project", "by_time")
SOME_ID = InternalId(bytes(16))

# Values whose encodings resemble each other: prefixes of each other, with the bytes that strings
# escape and end with, fixed-width ones full of 00 and ff, nested ones that hold the others.
fields: st.SearchStrategy[KeyField] = st.sampled_from(
    [
        UNDEFINED,
        None,
        True,
        "",
        "a",
        "a\0",
        "a\0\xff",
        "a\1",
        "ab",
        b"\xff",
        0.0,
        -1.5,
        2.0**53,
        Int64(0),
        Int64(-1),
        [],
        ["a"],
        [["a"], "b"],
        {"a": "a"},
        SOME_ID,
        InternalId(b"\xff" * 16),
    ]
)
keys = st.lists(fields, min_size=1, max_size=3).map(encode_key)
prefixes = st.lists(fields, max_size=2).map(encode_key)

#: Bounds no encoder made: keys cut anywhere and continued with anything, and plain bytes.
pieces = st.builds(lambda key, size: key[: size % (len(key) + 1)], keys, st.integers(0, 60))
tails = st.one_of(st.just(b""), st.sampled_from([b"\0", b"\xff", b"\xff\xff", b"\1"]), st.binary())
bounds = st.one_of(st.builds(bytes.__add__, pieces, tails), st.binary(max_size=4), keys)
arbitrary_ranges = st.builds(KeyRange, bounds, bounds)


@st.composite
def read_ranges(draw: st.DrawFn) -> KeyRange:
    """A range that a query records: some equalities, then perhaps a bounded or early ended scan."""
    prefix = draw(prefixes)
    start, end = prefix_range(prefix)
    low, high = sorted(draw(st.tuples(prefixes, prefixes)))
    match draw(
        st.sampled_from(["all", "point", "from", "above", "to", "until", "rest", "between"])
    ):
        case "point":
            return KeyRange(prefix, successor(prefix))
        case "from":
            return KeyRange(prefix + low, end)
        case "above":
            return KeyRange(prefix_range(prefix + low).end, end)
        case "to":
            return KeyRange(start, prefix + high)
        case "until":  # An ascending scan that stopped at a key,
            return KeyRange(start, successor(prefix + high))
        case "rest":  # and the one that went on behind it.
            return KeyRange(successor(prefix + low), end)
        case "between":
            return KeyRange(prefix + low, prefix_range(prefix + high).end)
    return KeyRange(start, end)


all_ranges = st.one_of(arbitrary_ranges, read_ranges())


def point(*values: KeyField) -> KeyRange:
    key = encode_key(values)
    return KeyRange(key, successor(key))


def depth_of(owners: IntervalMap[int], index: str, home: bytes) -> int:
    return owners._indexes[index][home].height


def key_of(number: int) -> bytes:
    return encode_key(["p", float(number)])


@given(all_ranges, keys)
@example(KeyRange(encode_key(["a"]), encode_key(["a"]) + b"\xff"), encode_key(["a\0"]))
@example(KeyRange(encode_key(["a"]), b"\xff"), encode_key(["a\0"]))
@settings(max_examples=300)
def test_the_home_of_a_range_is_a_whole_field_prefix_of_every_key_in_it(
    within: KeyRange, key: bytes
) -> None:
    home = _home_of(within)
    if within.contains(key):
        assert home in [key[:end] for end in (0, *field_ends(key))]


@given(keys, bounds)
@settings(max_examples=300)
def test_the_home_holds_for_the_keys_near_a_bound(key: bytes, bound: bytes) -> None:
    for within in (KeyRange(key, bound), KeyRange(key[:-1], bound), KeyRange(bound, key + b"\0")):
        if within.contains(key):
            assert _home_of(within) in [key[:end] for end in (0, *field_ends(key))]


@pytest.mark.parametrize(
    ("within", "home"),
    [
        (point("x", 5.0, SOME_ID), ["x", 5.0, SOME_ID]),
        (prefix_range(encode_key(["x"])), ["x"]),
        (KeyRange(encode_key(["x", 1.0]), encode_key(["x", 2.0])), ["x"]),
        (KeyRange(encode_key(["x", 1.0]) + b"\xff", encode_key(["x"]) + b"\xff"), ["x"]),
        (KeyRange(encode_key(["x"]), encode_key(["x", 9.0, SOME_ID]) + b"\0"), ["x"]),
        (KeyRange(encode_key(["x", 9.0, SOME_ID]) + b"\0", encode_key(["x"]) + b"\xff"), ["x"]),
        (KeyRange(encode_key(["x"]), encode_key(["y"])), []),
        (EVERYTHING, []),
        (KeyRange(encode_key(["x"])[:2], encode_key(["x"])), []),
    ],
)
def test_a_range_lives_at_its_equalities(within: KeyRange, home: list[KeyField]) -> None:
    assert _home_of(within) == encode_key(home)


def test_a_key_finds_points_prefixes_and_scans_around_it() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("point", "i", [point("x", 5.0)])
    owners.add("prefix", "i", [prefix_range(encode_key(["x"]))])
    owners.add("scan", "i", [KeyRange(encode_key(["x", 4.0]), encode_key(["x", 6.0]))])
    owners.add("index", "i", [EVERYTHING])
    owners.add("elsewhere", "i", [prefix_range(encode_key(["y"])), point("x", 6.0)])
    assert owners.stab("i", encode_key(["x", 5.0])) == {"point", "prefix", "scan", "index"}


def test_indexes_are_apart() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("a", "i", [EVERYTHING])
    assert owners.stab("j", encode_key(["x"])) == set()


def test_an_empty_range_finds_nobody_and_makes_no_owner() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("a", "i", [KeyRange(b"\x30", b"\x30"), KeyRange(b"\x31", b"\x30")])
    owners._check()
    assert len(owners) == 0


def test_adding_the_same_range_twice_is_adding_it_once() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("a", "i", [point("x")])
    owners.add("a", "i", [point("x")])
    owners._check()
    owners.remove("a")
    assert owners.stab("i", encode_key(["x"])) == set()


def test_removing_an_owner_leaves_others_on_the_same_range() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("a", "i", [point("x")])
    owners.add("b", "i", [point("x")])
    owners.remove("a")
    owners._check()
    assert owners.stab("i", encode_key(["x"])) == {"b"}


def test_removing_an_unknown_owner_is_nothing() -> None:
    IntervalMap[str]().remove("nobody")


def test_removing_everyone_leaves_nothing_behind() -> None:
    owners: IntervalMap[int] = IntervalMap()
    for owner in range(50):
        owners.add(owner, "i", [point(float(owner)), prefix_range(encode_key([f"{owner % 7}"]))])
    for owner in range(50):
        owners.remove(owner)
        owners._check()
    assert not owners._indexes
    assert len(owners) == 0


def test_the_answer_belongs_to_the_caller() -> None:
    owners: IntervalMap[str] = IntervalMap()
    owners.add("a", "i", [point("x")])
    owners.stab("i", encode_key(["x"])).clear()
    assert owners.stab("i", encode_key(["x"])) == {"a"}


@pytest.mark.parametrize("step", [1, -1, 389])
def test_a_home_stays_shallow_in_whatever_order_ranges_come_and_go(step: int) -> None:
    owners: IntervalMap[int] = IntervalMap()
    count = 2_000
    for turn in range(count):
        number = turn * step % count
        owners.add(number, "i", [KeyRange(key_of(number), key_of(number + 1))])
    owners._check()
    assert depth_of(owners, "i", encode_key(["p"])) <= 1.45 * log2(count + 2)
    for number in range(0, count, 2):
        owners.remove(number)
    owners._check()
    assert depth_of(owners, "i", encode_key(["p"])) <= 1.45 * log2(count // 2 + 2)


def steps_of_a_stab(owners: IntervalMap[int], index: str, key: bytes) -> int:
    """Lines of Python that one stab runs: its cost without a clock."""
    steps = 0

    def count_lines(_frame: object, event: str, _argument: object) -> object:
        nonlocal steps
        steps += event == "line"
        return count_lines

    before = sys.gettrace()
    sys.settrace(count_lines)  # type: ignore[arg-type]
    try:
        owners.stab(index, key)
    finally:
        sys.settrace(before)
    return steps


def test_owners_of_other_prefixes_cost_a_stab_nothing() -> None:
    owners: IntervalMap[int] = IntervalMap()
    owners.add(-1, "i", [prefix_range(encode_key(["mine"]))])
    alone = steps_of_a_stab(owners, "i", encode_key(["mine", 1.0]))
    for owner in range(2_000):
        owners.add(owner, "i", [prefix_range(encode_key([f"other {owner}"]))])
    assert steps_of_a_stab(owners, "i", encode_key(["mine", 1.0])) == alone


def test_disjoint_ranges_of_the_same_prefix_cost_a_stab_a_logarithm() -> None:
    costs = []
    for count in (100, 10_000):
        owners: IntervalMap[int] = IntervalMap()
        for owner in range(count):
            owners.add(owner, "i", [KeyRange(key_of(owner), key_of(owner + 1))])
        costs.append(steps_of_a_stab(owners, "i", key_of(count // 3)))
    assert costs[1] < 3 * costs[0]


class AgainstAList(RuleBasedStateMachine):
    """Adds, removes and stabs in any order; the list is the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: IntervalMap[int] = IntervalMap()
        self.truth: list[tuple[int, str, KeyRange]] = []

    @rule(owner=st.integers(0, 5), index=st.sampled_from(INDEXES), ranges=st.lists(all_ranges))
    def add(self, owner: int, index: str, ranges: list[KeyRange]) -> None:
        self.owners.add(owner, index, ranges)
        self.truth.extend((owner, index, within) for within in ranges)

    @rule(owner=st.integers(0, 5))
    def remove(self, owner: int) -> None:
        self.owners.remove(owner)
        self.truth = [entry for entry in self.truth if entry[0] != owner]

    @rule(index=st.sampled_from(INDEXES), key=keys)
    def stab(self, index: str, key: bytes) -> None:
        expected = {o for o, i, within in self.truth if i == index and within.contains(key)}
        assert self.owners.stab(index, key) == expected

    @invariant()
    def is_sound(self) -> None:
        self.owners._check()


AgainstAList.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
test_a_map_answers_like_a_list_after_any_history = AgainstAList.TestCase


@given(st.lists(read_ranges(), max_size=25), st.lists(keys, min_size=1, max_size=10))
@settings(max_examples=200)
def test_the_ranges_of_queries_are_found_like_in_a_list(
    ranges: list[KeyRange], written: list[bytes]
) -> None:
    owners: IntervalMap[int] = IntervalMap()
    for owner, within in enumerate(ranges):
        owners.add(owner, "i", [within])
    owners._check()
    for key in written:
        expected = {owner for owner, within in enumerate(ranges) if within.contains(key)}
        assert owners.stab("i", key) == expected
