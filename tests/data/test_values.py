"""What is a Convex value, what it weighs, and how the others are refused."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import math
import pickle
import uuid
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.data.ids import InternalId
from reactor.data.values import UNDEFINED, Int64, Value, check_value, describe
from reactor.errors import InvalidValue

SIZES: list[tuple[Value, int]] = [
    (None, 1),
    (True, 1),
    (False, 1),
    (0, 9),
    (2**53, 9),
    (-(2**53), 9),
    (1.5, 9),
    (math.nan, 9),
    (Int64(5), 9),
    ("", 2),
    ("abc", 5),
    ("é", 4),
    ("\U00010000", 6),
    (b"", 2),
    (b"\x00\xff", 4),
    ([], 2),
    ([1, "a"], 2 + 9 + 3),
    ([1.5, [True]], 2 + 9 + 3),
    ({}, 2),
    ({"a": 1}, 2 + 2 + 9),
    ({"": None}, 2 + 1 + 1),
    ({"ab": {"c": [b"d"]}, "e": "é", "f": "g"}, 2 + 3 + (2 + 2 + (2 + 3)) + 2 + 4 + 2 + 3),
]


@pytest.mark.parametrize(("value", "size"), SIZES, ids=repr)
def test_a_value_has_the_size_of_the_protocol(value: Value, size: int) -> None:
    assert check_value(value) == size


class Color(enum.Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


class Opaque:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


REFUSED: list[tuple[object, str, str]] = [
    ((1, 2), "tuple", "list(value)"),
    ({1}, "set", "sorted(value)"),
    (datetime.datetime(2024, 1, 2), "datetime", "timestamp() * 1000"),
    (datetime.date(2024, 1, 2), "date", "isoformat()"),
    (datetime.timedelta(1), "timedelta", "total_seconds()"),
    (decimal.Decimal("1.5"), "Decimal", "str(value)"),
    (uuid.UUID(int=5), "UUID", "str(value)"),
    (PurePosixPath("a"), "PurePosixPath", "str(value)"),
    (bytearray(b"a"), "bytearray", "bytes(value)"),
    (Color.RED, "Color", ".value"),
    (Name("x"), "Name", "str(value)"),
    (InternalId(bytes(16)), "InternalId", "encode_id"),
    (UNDEFINED, "Undefined", "leave the field out"),
    (Opaque(), "Opaque", "use None, bool, int, float, Int64, str, bytes, list or dict"),
    (object, "type", "use None, bool"),
    (2**53 + 1, "int", "use Int64(9007199254740993)"),
    (-(2**53) - 1, "int", "use Int64(-9007199254740993)"),
    (2**63, "int", "use a str or a float"),
    (10**5000, "an integer of 16610 bits (int)", "use a str or a float"),
    ("a\ud800", '"a\\ud800" (str)', "at position 1"),
    ({5: 1}, "5.0 (int)", "str keys"),
    ({Name("x"): 1}, "Name", "str keys"),
    ({"$a": 1}, "Field name $a starts with a '$', which is reserved", "rename"),
    ({"é": 1}, "Field name é has invalid character 'é': Field names can only contain", "rename"),
    ({"a\n": 1}, "Field name a\\n has invalid character '\\n'", "rename"),
    ({"\ud800": 1}, "invalid character '\\ud800'", "rename"),
    ({"n" * 1025: 1}, "(1025 > maximum length 1024)", "shorter"),
    ([0] * 8193, "Array length is too long (8193 > maximum length 8192)", "documents"),
    (
        {f"f{number}": 0 for number in range(1025)},
        "Object has too many fields (1025 > maximum number 1024)",
        "documents",
    ),
]


@pytest.mark.parametrize(
    ("value", "what", "way_out"), REFUSED, ids=[ascii(what[:40]) for _, what, _ in REFUSED]
)
def test_what_is_no_value_is_refused_with_its_type_and_the_way_out(
    value: object, what: str, way_out: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_value({"a": [value]})
    assert what in refusal.value.message
    assert way_out in refusal.value.message
    refusal.value.message.encode()  # can be sent, whatever was in the value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ((), ""),
        ({"a": ()}, ".a"),
        ([0, ()], "[1]"),
        ({"a": [{"b": 1, "c": [[()]]}]}, ".a[0].c[0][0]"),
        ({"a": {"$b": 1}}, ".a.$b"),
        ({"a": {5: 1}}, ".a[5]"),
    ],
)
def test_a_refusal_says_where(value: object, path: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_value(value)
    assert refusal.value.path == path


def test_a_refusal_continues_the_path_of_the_caller() -> None:
    with pytest.raises(InvalidValue, match=r"at path \.args\.a\[0\]"):
        check_value({"a": [()]}, path=".args")


@pytest.mark.parametrize(
    "value", [{"_x": 1}, {"": 1}, {"a b": 1}, {"a$": 1}, {"~" * 1024: 1}, [0] * 8192]
)
def test_the_limits_themselves_are_allowed(value: Value) -> None:
    assert check_value(value) > 0


def _nested(levels: int) -> Value:
    value: Value = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_64_levels_are_allowed() -> None:
    assert check_value(_nested(64)) > 0


def test_65_levels_are_refused() -> None:
    message = r"nested 65 levels deep > maximum nesting 64"
    with pytest.raises(InvalidValue, match=message):
        check_value(_nested(65))


def test_the_nesting_limit_can_be_chosen() -> None:
    with pytest.raises(InvalidValue, match=r"nested 17 levels deep > maximum nesting 16"):
        check_value(_nested(17), nesting_max=16)


@pytest.mark.parametrize("nesting_max", [64, 1_000_000])
def test_deep_nesting_is_refused_before_the_stack_ends(nesting_max: int) -> None:
    with pytest.raises(InvalidValue, match="too nested"):
        check_value(_nested(10_000), nesting_max=nesting_max)


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[Value] = []
    value.append(value)
    with pytest.raises(InvalidValue, match="too nested"):
        check_value(value)


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_int64_holds_64_bits(number: int) -> None:
    assert Int64(number) == number


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**5000], ids=["max", "min", "huge"])
def test_int64_refuses_more_than_64_bits(number: int) -> None:
    with pytest.raises(InvalidValue, match="does not fit into a 64-bit signed integer"):
        Int64(number)


@pytest.mark.parametrize("value", [True, 5.0, "5", None])
def test_int64_takes_only_ints(value: object) -> None:
    with pytest.raises(InvalidValue, match="cannot become an Int64"):
        Int64(value)  # type: ignore[arg-type]


def test_int64_shows_its_type_only_in_repr() -> None:
    assert (repr(Int64(5)), str(Int64(-5)), f"{Int64(5)}") == ("Int64(5)", "-5", "5")


def test_int64_survives_pickling_and_copying() -> None:
    copies = [pickle.loads(pickle.dumps(Int64(5))), copy.deepcopy(Int64(5))]
    assert [(type(number), number) for number in copies] == [(Int64, 5)] * 2


def test_undefined_stays_one_object() -> None:
    copies = [pickle.loads(pickle.dumps(UNDEFINED)), copy.deepcopy(UNDEFINED), copy.copy(UNDEFINED)]
    assert all(each is UNDEFINED for each in copies)


DESCRIPTIONS: list[tuple[object, str]] = [
    (None, "null"),
    (True, "true"),
    (1, "1.0"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (math.nan, "NaN"),
    (-math.inf, "-Infinity"),
    (Int64(1), "1"),
    ("x", '"x"'),
    ('a"b\\\n', '"a\\"b\\\\\\n"'),
    ("é\ud800", '"é\\ud800"'),
    (b"a\x00\xff\"'", 'b"a\\x00\\xff\\"\'"'),
    ([], "[]"),
    ({}, "{}"),
    ({"b": [1, "x"], "a": {"c": None}}, '{a: {c: null}, b: [1.0, "x"]}'),
    ({"a b": 1, "": 2}, '{"": 2.0, "a b": 1.0}'),
    ({5: 1}, "{5.0: 1.0}"),
    ((1, 2), "(1, 2)"),
    (UNDEFINED, "UNDEFINED"),
]


@pytest.mark.parametrize(("value", "description"), DESCRIPTIONS, ids=lambda part: ascii(part))
def test_values_are_described_in_the_notation_of_the_protocol(
    value: object, description: str
) -> None:
    assert describe(value) == description


@pytest.mark.parametrize(
    "value", ["x" * 10**6, b"x" * 10**6, [0.0] * 8192, {"a" * 5000: 1}, [["x" * 900]] * 10]
)
def test_a_long_description_is_cut_off(value: Value) -> None:
    description = describe(value)
    assert len(description) == 1001
    assert description.endswith("…")


def test_deep_nesting_can_be_described() -> None:
    assert "…" in describe(_nested(10_000))


def test_an_object_without_repr_can_be_described() -> None:
    assert "Opaque object" in describe(Opaque())


@given(st.recursive(st.one_of(st.text(), st.floats(), st.binary()), st.lists))
def test_a_description_can_always_be_sent(value: Value) -> None:
    assert describe(value).encode()
