"""Index keys order like the values they encode, by a comparison written from protocol 3.5."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reactor.data.ids import InternalId
from reactor.data.intervals import KeyRange
from reactor.data.keys import (
    KeyField,
    decode_key,
    encode_key,
    field_ends,
    prefix_range,
    successor,
)
from reactor.data.values import UNDEFINED, Int64, Value
from reactor.errors import InvalidValue

NEGATIVE_NAN = math.copysign(math.nan, -1.0)
TINY = 5e-324

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=3).filter(
    lambda name: not name.startswith("$")
)
texts = st.one_of(st.text(max_size=4), st.text("\0\1\2aé\uffff\U00010000", max_size=4))
blobs = st.one_of(st.binary(max_size=4), st.lists(st.sampled_from([0, 1, 2, 255])).map(bytes))
floats = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, math.nan, NEGATIVE_NAN, math.inf, -math.inf, TINY, -TINY]),
)
scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.integers(-2, 2),
    floats,
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.integers(-2, 2).map(Int64),
    texts,
    blobs,
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
fields: st.SearchStrategy[KeyField] = st.one_of(
    values, st.just(UNDEFINED), st.binary(min_size=16, max_size=16).map(InternalId)
)


def _compare(left: object, right: object) -> int:
    """-1, 0 or 1: the order of protocol 3.5, spelled out."""
    left_rank, right_rank = _rank(left), _rank(right)
    if left_rank != right_rank:
        return -1 if left_rank < right_rank else 1
    if isinstance(left, list) and isinstance(right, list):
        return _compare_sequences(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _compare_sequences(
            [part for name in sorted(left) for part in (name, left[name])],
            [part for name in sorted(right) for part in (name, right[name])],
        )
    left_key, right_key = _scalar_order(left), _scalar_order(right)
    return (left_key > right_key) - (left_key < right_key)


def _compare_sequences(left: list[object], right: list[object]) -> int:
    for left_part, right_part in zip(left, right, strict=False):
        if order := _compare(left_part, right_part):
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


def _rank(value: object) -> int:
    for rank, matches in enumerate(
        (
            value is UNDEFINED,
            value is None,
            isinstance(value, Int64),
            isinstance(value, (int, float)) and not isinstance(value, bool),
            isinstance(value, bool),
            isinstance(value, str),
            isinstance(value, bytes) and not isinstance(value, InternalId),
            isinstance(value, list),
            isinstance(value, dict),
            isinstance(value, InternalId),
        )
    ):
        if matches:
            return rank
    raise AssertionError(f"no rank for {value!r}")


def _scalar_order(value: object) -> tuple[int, bytes]:
    if value is None or value is UNDEFINED:
        return 0, b""
    if isinstance(value, (bool, Int64)):
        return int(value), b""
    if isinstance(value, (int, float)):
        return _total_order(float(value)), b""
    if isinstance(value, str):
        return 0, value.encode()
    assert isinstance(value, bytes)
    return 0, bytes(value)


def _total_order(number: float) -> int:
    (bits,) = struct.unpack(">q", struct.pack(">d", number))
    assert isinstance(bits, int)
    return bits if bits >= 0 else -(bits & (2**63 - 1)) - 1


CHAIN: list[KeyField] = [
    UNDEFINED,
    None,
    Int64(-(2**63)),
    Int64(-1),
    Int64(0),
    Int64(1),
    Int64(2**63 - 1),
    NEGATIVE_NAN,
    -math.inf,
    -1.0,
    -TINY,
    -0.0,
    0.0,
    TINY,
    1,
    1.5,
    2**53,
    math.inf,
    math.nan,
    False,
    True,
    "",
    "\0",
    "\0\0",
    "\1",
    "\2",
    "a",
    "a\0",
    "a\1",
    "aa",
    "é",
    "\uffff",
    "\U00010000",
    b"",
    b"\0",
    b"\0\xff",
    b"\1",
    b"a",
    b"\xff",
    [],
    [None],
    [Int64(1)],
    [1.0],
    [1.0, None],
    [2.0],
    [[]],
    [{}],
    {},
    {"": 1},
    {"a": None},
    {"a": 1.0},
    {"a": 1.0, "b": 0.0},
    {"a": 2.0},
    {"aa": 0.0},
    {"b": 0.0},
    InternalId(bytes(16)),
    InternalId(b"\xff" * 16),
]


@pytest.mark.parametrize(("lesser", "greater"), list(pairwise(CHAIN)), ids=repr)
def test_each_value_of_the_chain_sorts_before_the_next(lesser: KeyField, greater: KeyField) -> None:
    assert encode_key([lesser]) < encode_key([greater])


def test_the_comparison_of_this_test_agrees_with_the_chain() -> None:
    assert [_compare(lesser, greater) for lesser, greater in pairwise(CHAIN)] == [-1] * (
        len(CHAIN) - 1
    )


@settings(max_examples=300)
@given(fields, fields)
@example("a", "a\0")
def test_keys_order_like_values(left: KeyField, right: KeyField) -> None:
    left_key, right_key = encode_key([left]), encode_key([right])
    assert (left_key > right_key) - (left_key < right_key) == _compare(left, right)


@settings(max_examples=300)
@given(st.lists(fields, min_size=1, max_size=3), st.lists(fields, min_size=1, max_size=3))
def test_concatenations_order_field_by_field(left: list[KeyField], right: list[KeyField]) -> None:
    left_key, right_key = encode_key(left), encode_key(right)
    expected = _compare_sequences(list(left), list(right))
    assert (left_key > right_key) - (left_key < right_key) == expected


@given(st.lists(fields, max_size=3), st.lists(fields, max_size=3))
def test_a_key_is_the_concatenation_of_its_fields(
    left: list[KeyField], right: list[KeyField]
) -> None:
    assert encode_key(left + right) == encode_key(left) + encode_key(right)


@given(st.lists(fields, max_size=4))
def test_a_key_decodes_to_its_values(key_fields: list[KeyField]) -> None:
    decoded = decode_key(encode_key(key_fields))
    assert len(decoded) == len(key_fields)
    assert all(_compare(*pair) == 0 for pair in zip(decoded, key_fields, strict=True))


@given(st.lists(fields, max_size=4))
def test_a_decoded_key_encodes_to_itself(key_fields: list[KeyField]) -> None:
    key = encode_key(key_fields)
    assert encode_key(decode_key(key)) == key


@given(st.integers(-(2**53), 2**53))
def test_an_int_and_the_equal_float_have_one_key(number: int) -> None:
    assert encode_key([number]) == encode_key([float(number)])


def test_numbers_decode_as_float_and_int64() -> None:
    assert [type(value) for value in decode_key(encode_key([5, Int64(5)]))] == [float, Int64]


@given(st.lists(fields, max_size=4))
def test_field_ends_are_the_lengths_of_the_leading_fields(key_fields: list[KeyField]) -> None:
    expected = [len(encode_key(key_fields[: count + 1])) for count in range(len(key_fields))]
    assert field_ends(encode_key(key_fields)) == expected


@given(st.lists(fields, min_size=1, max_size=2), st.lists(fields, max_size=2))
def test_a_prefix_range_holds_every_key_with_these_fields(
    prefix: list[KeyField], rest: list[KeyField]
) -> None:
    assert prefix_range(encode_key(prefix)).contains(encode_key(prefix + rest))


@settings(max_examples=200)
@given(st.lists(fields, min_size=2, max_size=2), fields)
@example(["a\0", 1.0], "a")
@example([{"a": 1.0, "b": 2.0}, 1.0], {"a": 1.0})
def test_a_prefix_range_holds_no_other_key(key_fields: list[KeyField], prefix: KeyField) -> None:
    held = prefix_range(encode_key([prefix])).contains(encode_key(key_fields))
    assert held == (_compare(key_fields[0], prefix) == 0)


def test_the_range_of_no_fields_is_everything() -> None:
    assert prefix_range(b"") == KeyRange(b"", b"\xff")


@given(fields)
def test_every_key_begins_with_a_tag_that_is_neither_00_nor_ff(field: KeyField) -> None:
    assert 0x01 <= encode_key([field])[0] <= 0xFE


@given(st.lists(fields, max_size=3), st.binary(max_size=4))
def test_nothing_lies_between_a_key_and_its_successor(
    key_fields: list[KeyField], suffix: bytes
) -> None:
    key = encode_key(key_fields)
    assert key < successor(key)
    assert not suffix or successor(key) <= key + suffix


@pytest.mark.parametrize(
    ("key_fields", "path"),
    [
        (["a", 2**53 + 1], "[1]"),
        ([{"a": [1, {"b": (1,)}]}], "[0].a[1].b"),
        (["a", "\ud800"], "[1]"),
        ([None, [UNDEFINED]], "[1][0]"),
        ([{"é": 1}], "[0].é"),
        ([{5: 1}], "[0][5]"),
    ],
)
def test_what_is_no_value_is_refused_with_its_path(key_fields: list[KeyField], path: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        encode_key(key_fields)
    assert refusal.value.path == path


def test_deep_nesting_is_refused_before_the_stack_ends() -> None:
    value: Value = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(InvalidValue, match="too nested"):
        encode_key([value])


@given(st.lists(fields, min_size=1, max_size=2), st.data())
def test_a_key_cut_inside_a_field_is_refused(
    key_fields: list[KeyField], data: st.DataObject
) -> None:
    key = encode_key(key_fields)
    cut = data.draw(st.integers(1, len(key) - 1)) if len(key) > 1 else 0
    if cut in (0, *field_ends(key)):
        return
    for read in (decode_key, field_ends):
        with pytest.raises(InvalidValue, match="is not an index key"):
            read(key[:cut])


@settings(max_examples=300)
@given(st.binary(max_size=30))
@example(b"\x48" * 5000)
@example(b"\x50\x48\x00\x18\x00")
@example(b"\x50\x18\x00")
def test_foreign_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    for read in (decode_key, field_ends):
        try:
            read(data)
        except InvalidValue:
            continue
