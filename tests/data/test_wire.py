"""Values as JSON: the exact bytes of protocol 3.1, the way back, and what is refused."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data import wire
from reactor.data.values import Int64, Value, check_value
from reactor.errors import InvalidValue

NEGATIVE_NAN = math.copysign(math.nan, -1.0)

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=4).filter(
    lambda name: not name.startswith("$")
)
scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(),
    st.sampled_from([-0.0, NEGATIVE_NAN, 2.0**53, 1e21]),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.text(max_size=5),
    st.binary(max_size=9),
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=10,
)


def _exact(value: Value) -> object:
    """Something that is equal only for values of equal types and bits."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if isinstance(value, list):
        return [_exact(element) for element in value]
    if isinstance(value, dict):
        return {name: _exact(member) for name, member in value.items()}
    return (type(value), value)


@settings(max_examples=300)
@given(values)
def test_decoding_gives_back_what_was_encoded(value: Value) -> None:
    assert _exact(wire.decode(wire.encode(value))) == _exact(value)


@given(values)
def test_trees_lead_back_to_the_value(value: Value) -> None:
    assert _exact(wire.from_json(wire.to_json(value))) == _exact(value)


@given(values)
def test_neither_direction_changes_its_input(value: Value) -> None:
    before = _exact(value)
    tree = wire.to_json(value)
    text = orjson.dumps(tree)
    wire.from_json(tree)
    assert (_exact(value), orjson.dumps(tree)) == (before, text)


@given(values)
def test_what_encodes_is_a_value(value: Value) -> None:
    assert check_value(wire.decode(wire.encode(value))) == check_value(value)


GOLDEN: list[tuple[Value, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (5, b"5"),
    (5.0, b"5.0"),
    (0, b"0"),
    (1e21, b"1e21"),
    (5e-324, b"5e-324"),
    (-1.5, b"-1.5"),
    (Int64(1), b'{"$integer":"AQAAAAAAAAA="}'),
    (Int64(-1), b'{"$integer":"//////////8="}'),
    (Int64(2**63 - 1), b'{"$integer":"/////////38="}'),
    (Int64(-(2**63)), b'{"$integer":"AAAAAAAAAIA="}'),
    (math.nan, b'{"$float":"AAAAAAAA+H8="}'),
    (math.inf, b'{"$float":"AAAAAAAA8H8="}'),
    (-math.inf, b'{"$float":"AAAAAAAA8P8="}'),
    (-0.0, b'{"$float":"AAAAAAAAAIA="}'),
    (b"\x00\xff", b'{"$bytes":"AP8="}'),
    (b"", b'{"$bytes":""}'),
    ("é\u2028", '"é\u2028"'.encode()),
    ([1, "a", b""], b'[1,"a",{"$bytes":""}]'),
    (
        {"b": 1, "a": Int64(1), "": None},
        b'{"b":1,"a":{"$integer":"AQAAAAAAAAA="},"":null}',
    ),
]


@pytest.mark.parametrize(("value", "text"), GOLDEN)
def test_a_value_has_these_very_bytes(value: Value, text: bytes) -> None:
    assert re.sub(rb"e\+", b"e", wire.encode(value)) == text


@pytest.mark.parametrize(("value", "text"), GOLDEN)
def test_these_very_bytes_have_the_value(value: Value, text: bytes) -> None:
    assert _exact(wire.decode(text)) == _exact(value)


def test_text_decodes_like_bytes() -> None:
    assert wire.decode('{"a":"é"}') == {"a": "é"}


def test_the_url_alphabet_of_base64_is_understood() -> None:
    assert wire.decode('{"$bytes":"-_-_"}') == bytes.fromhex("fbffbf")


@pytest.mark.parametrize("text", ["9007199254740993", "1e3", "-18446744073709551615", "1" * 300])
def test_a_number_that_is_no_small_integer_is_a_float(text: str) -> None:
    number = wire.decode(text)
    assert (type(number), number) == (float, float(text))


REFUSED_TREES: list[tuple[object, str]] = [
    ({"$set": []}, "Received a Set which is no longer supported as a Convex type"),
    ({"$map": []}, "Received a Map which is no longer supported as a Convex type"),
    ({"$float": "AAAAAAAA8D8="}, "Float 1 should be encoded as a number"),
    ({"$float": "AAAAAAAAAAA="}, "Float 0 should be encoded as a number"),
    ({"$float": "AAAAAAAA+D8="}, "Float 1.5 should be encoded as a number"),
    ({"$integer": "AQ=="}, "Received 1 bytes, expected 8 for $integer"),
    ({"$float": "AQ=="}, "Received 1 bytes, expected 8 for $float"),
    ({"$undefined": None}, "Field name $undefined starts with a '$', which is reserved"),
    ({"$commitTs": None}, "Field name $commitTs starts with a '$', which is reserved"),
    ({"$x": 1}, "Field name $x starts with a '$', which is reserved"),
    (
        {"$integer": "AQAAAAAAAAA=", "x": 1},
        "Field name $integer starts with a '$', which is reserved",
    ),
    ({"x": 1, "$bytes": ""}, "Field name $bytes starts with a '$', which is reserved"),
    ({"$bytes": "AP8"}, "Invalid string. Length must be a multiple of 4"),
    ({"$bytes": "A*8="}, "$bytes takes base64"),
    ({"$bytes": "=AAA"}, "$bytes takes base64"),
    ({"$bytes": "éééé"}, "$bytes takes base64"),
    ({"$bytes": 5}, "$bytes takes a string in base64, not 5.0"),
    ({"$integer": None}, "$integer takes a string in base64, not null"),
    ({"é": 1}, "Field name é has invalid character 'é'"),
    ({5: 1}, "5.0 (int) is the key of a dict but not a plain str"),
    ((), "tuple"),
    (10**400, "int"),
]


@pytest.mark.parametrize(("tree", "message"), REFUSED_TREES)
def test_a_tree_that_is_no_value_is_refused(tree: object, message: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        wire.from_json({"a": [0, tree]})
    assert refusal.value.message.startswith(message) or message in refusal.value.message
    assert refusal.value.path.startswith(".a[1]")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", "line 1, column 1 (character 0)"),
        ('{"a":\n[1,]}', "line 2, column 3 (character 8)"),
        (b'{"a":nope}', "character 5"),
        (b'"\xff"', "character 0"),
        ('"\\ud800"', "character 1"),
        ("NaN", "character 0"),
        ("[" * 10_000 + "]" * 10_000, "character"),
    ],
)
def test_malformed_json_is_refused_with_its_position(text: bytes | str, position: str) -> None:
    with pytest.raises(InvalidValue, match="Malformed JSON") as refusal:
        wire.decode(text)
    assert position in refusal.value.message


REFUSED_VALUES: list[tuple[object, str, str]] = [
    ((1,), "", "list(value)"),
    ({"a": [(1,)]}, ".a[0]", "list(value)"),
    ({"a": {"b": 2**53 + 1}}, ".a.b", "use Int64"),
    ({"a": ["x", "\ud800"]}, ".a[1]", "lone surrogate"),
    ({"a": {"$integer": "AQAAAAAAAAA="}}, ".a.$integer", "starts with a '$'"),
    ({"a": {5: 1}}, ".a[5]", "use str keys"),
    ({"a": object}, ".a", "not a supported Convex type"),
]


@pytest.mark.parametrize(("value", "path", "message"), REFUSED_VALUES)
def test_what_is_no_value_cannot_be_encoded(value: object, path: str, message: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        wire.encode(value)
    assert refusal.value.path == path
    assert message in refusal.value.message


def test_deep_values_are_refused_before_the_stack_ends() -> None:
    lists: Value = []
    objects: Value = {}
    for _ in range(10_000):
        lists, objects = [lists], {"a": objects}
    for value in (lists, objects):
        for convert in (wire.to_json, wire.from_json, wire.encode, wire.canonical):
            with pytest.raises(InvalidValue, match="too nested"):
                convert(value)


def nested(levels: int) -> Value:
    value: Value = Int64(1)
    for _ in range(levels):
        value = [value]
    return value


def test_the_deepest_value_that_clients_can_read_is_written() -> None:
    assert wire.decode(wire.encode(nested(64))) == nested(64)


def test_a_deeper_value_is_not_written() -> None:
    with pytest.raises(InvalidValue, match="maximum nesting 64"):
        wire.encode(nested(65))


@dataclass
class Spliced:
    encoded: bytes


def test_an_object_with_encoded_json_is_spliced() -> None:
    assert wire.encode([1, {"a": Spliced(b'{"x": 1}')}]) == b'[1,{"a":{"x": 1}}]'


def test_equal_values_have_one_canonical_form() -> None:
    left = {"b": [5, 2**53], "a": {"d": 0, "c": Int64(1)}}
    right = {"a": {"c": Int64(1), "d": 0.0}, "b": [5.0, 2.0**53]}
    assert wire.canonical(left) == wire.canonical(right)


def test_spliced_json_does_not_change_the_canonical_form() -> None:
    assert wire.canonical([Spliced(b'{"b":1,"a":2.0}')]) == wire.canonical([{"a": 2, "b": 1.0}])


@pytest.mark.parametrize(
    ("left", "right"), [(5, Int64(5)), (0.0, -0.0), ("a", b"a"), (1, True), (None, {}), ("5", 5)]
)
def test_different_values_have_different_canonical_forms(left: Value, right: Value) -> None:
    assert wire.canonical(left) != wire.canonical(right)


@given(values)
def test_a_canonical_form_decodes_to_an_equal_value(value: Value) -> None:
    canonical = wire.canonical(value)
    assert wire.canonical(wire.decode(canonical)) == canonical


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (Int64(-5), "-5"),
        (b"\x00\xff", "AP8="),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (1.5, 1.5),
        ({"a": [Int64(1), {"b": b""}], "c": None}, {"a": ["1", {"b": ""}], "c": None}),
        ([Spliced(b'{"a":{"$integer":"AQAAAAAAAAA="}}')], [{"a": "1"}]),
    ],
)
def test_clean_json_is_what_people_expect(value: object, clean: object) -> None:
    assert wire.to_clean_json(value) == clean


def test_clean_json_keeps_negative_zero() -> None:
    assert orjson.dumps(wire.to_clean_json(-0.0)) == b"-0.0"
