"""Convex values as JSON (protocol 3.1), and the one place of the data floor that talks to orjson.

JSON has no int64, bytes, NaN, infinity or negative zero: these travel as one-key objects,
``{"$integer": …}``, ``{"$bytes": …}``, ``{"$float": …}``, their payload in base64. That is why no
field name may start with ``$``: a value could otherwise be mistaken for a marker.

Invariants:
- `from_json(to_json(x)) == x` and `decode(encode(x)) == x`, types, -0.0 and NaN included;
- both directions change nothing in place and share with their input what needs no marker (most
  values need none at all), so treat a `JsonTree` as read-only while its value is in use;
- a value has many encodings (order of keys, 5 and 5.0); `canonical` is the same for equal values.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from math import isfinite
from struct import Struct
from typing import Final, TypeAlias, cast

import orjson

from reactor.data.values import (
    EXACT_INT_MAX,
    FIELD_SIZES,
    NESTING_CEILING,
    NESTING_MAX,
    Int64,
    Refusal,
    Unchecked,
    Value,
    describe,
    is_ordinary,
    refused,
    refused_name,
    string_size,
    too_nested,
)
from reactor.errors import InvalidValue

JsonTree: TypeAlias = (
    bool | int | float | str | orjson.Fragment | list["JsonTree"] | dict[str, "JsonTree"] | None
)

_Conversion: TypeAlias = Callable[[Unchecked, int], Unchecked]

_INTEGER: Final = Struct("<q")
_FLOAT: Final = Struct("<d")


def to_json(value: object) -> JsonTree:
    """The JSON tree of `value`. Objects with an attribute `encoded: bytes` are spliced as they are.

    `InvalidValue` names what is not a value. Lone surrogates are left for `encode` to refuse.
    """
    try:
        return cast(JsonTree, _to_json(value, 0))
    except Refusal as refusal:
        raise refusal.as_problem() from None


def encode(value: object) -> bytes:
    """`value` as compact JSON, in UTF-8."""
    tree = to_json(value)
    try:
        return orjson.dumps(tree)
    except TypeError as error:
        try:
            _find_surrogate(tree)
        except Refusal as refusal:
            raise refusal.as_problem() from None
        raise InvalidValue(f"{describe(value)} cannot be written as JSON: {error}") from error


def canonical(value: object) -> bytes:
    """`encode` with sorted names and every float64 in one form: equal values, equal bytes."""
    # Parsing what was written takes spliced JSON apart, too.
    return orjson.dumps(_with_floats(orjson.loads(encode(value))), option=orjson.OPT_SORT_KEYS)


def to_clean_json(value: object) -> JsonTree:
    """The format "json" of protocol 2.1, which is easier to read but does not lead back."""
    return cast(JsonTree, _clean(orjson.loads(encode(value))))


def from_json(tree: object) -> Value:
    """The value of a parsed JSON tree: markers become what they stand for."""
    try:
        return cast(Value, _from_json(tree, 0))
    except Refusal as refusal:
        raise refusal.as_problem() from None


def decode(data: bytes | str) -> Value:
    """The value that JSON text holds; `InvalidValue` if the text is malformed."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = data if isinstance(data, str) else data.decode(errors="replace")
        near = describe(text[max(0, error.pos - 20) : error.pos + 20])
        raise InvalidValue(
            f"Malformed JSON at line {error.lineno}, column {error.colno} (character {error.pos}), "
            f"near {near}: {error.msg}; send JSON text in UTF-8"
        ) from None
    return from_json(tree)


def _find_surrogate(tree: JsonTree) -> None:
    """Raises for the string that orjson refused. Names cannot be it: they are ASCII."""
    step: str | int = 0
    try:
        if isinstance(tree, str):
            string_size(tree)
        elif isinstance(tree, dict):
            for step, member in tree.items():  # noqa: B007  the path of a refusal
                _find_surrogate(member)
        elif isinstance(tree, list):
            for step, member in enumerate(tree):  # noqa: B007
                _find_surrogate(member)
    except Refusal as refusal:
        if not isinstance(tree, str):
            refusal.steps.append(step)
        raise


def _to_json(value: Unchecked, level: int) -> Unchecked:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        return _object(value, level + 1, _to_json)
    if kind is list:
        return _array(value, level + 1, _to_json)
    if kind is float:
        return value if is_ordinary(value) else {"$float": _base64(_FLOAT.pack(value))}
    if kind is int and -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
        return value
    if kind is Int64:
        return {"$integer": _base64(_INTEGER.pack(value))}
    if kind is bytes:
        return {"$bytes": _base64(value)}
    encoded = getattr(value, "encoded", None)
    if type(encoded) is bytes:
        return orjson.Fragment(encoded)
    raise refused(value)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _from_json(tree: Unchecked, level: int) -> Unchecked:
    kind = type(tree)
    if kind is str or kind is float or kind is bool or tree is None:
        return tree
    if kind is dict:
        if len(tree) == 1:
            ((name, payload),) = tree.items()
            read = _MARKERS.get(name)
            if read is not None:
                return read(name, payload)
        return _object(tree, level + 1, _from_json)
    if kind is list:
        return _array(tree, level + 1, _from_json)
    if kind is int:
        return tree if -EXACT_INT_MAX <= tree <= EXACT_INT_MAX else _rounded(tree)
    raise refused(tree)


def _rounded(number: int) -> float:
    """A JSON number is a float64, however many digits it was written with."""
    try:
        return float(number)
    except OverflowError:
        raise refused(number) from None


def _object(
    fields: dict[Unchecked, Unchecked], level: int, convert: _Conversion
) -> dict[Unchecked, Unchecked]:
    """`fields` with its values converted; `fields` itself if that changes none."""
    if level > NESTING_MAX and (convert is _to_json or level > NESTING_CEILING):
        raise too_nested(level, NESTING_MAX if convert is _to_json else NESTING_CEILING)
    changed: dict[Unchecked, Unchecked] | None = None
    sizes = FIELD_SIZES
    name = None
    try:
        for name, value in fields.items():
            if type(name) is not str:
                raise refused_name(name)
            sizes[name]  # refuses what is no field name
            kind = type(value)
            # Usual values stay as they are; of floats, the difference is NaN for infinity.
            if kind is str or (kind is float and value > 0.0 and value - value == 0.0):
                continue
            converted = convert(value, level)
            if converted is not value:
                if changed is None:
                    changed = fields.copy()
                changed[name] = converted
    except Refusal as refusal:
        refusal.steps.append(name)
        raise
    return fields if changed is None else changed


def _array(elements: list[Unchecked], level: int, convert: _Conversion) -> list[Unchecked]:
    """Likewise for arrays."""
    if level > NESTING_MAX and (convert is _to_json or level > NESTING_CEILING):
        raise too_nested(level, NESTING_MAX if convert is _to_json else NESTING_CEILING)
    changed: list[Unchecked] | None = None
    index = 0
    try:
        for index, value in enumerate(elements):
            kind = type(value)
            if kind is str or (kind is float and value > 0.0 and value - value == 0.0):
                continue
            converted = convert(value, level)
            if converted is not value:
                if changed is None:
                    changed = elements.copy()
                changed[index] = converted
    except Refusal as refusal:
        refusal.steps.append(index)
        raise
    return elements if changed is None else changed


def _payload(name: str, payload: object) -> bytes:
    """The bytes of a marker. Like the official decoder, also reads the URL alphabet of base64."""
    if type(payload) is not str:
        raise Refusal(f"{name} takes a string in base64, not {describe(payload)}")
    if len(payload) % 4:
        raise Refusal(
            f"Invalid string. Length must be a multiple of 4: {name} takes base64 with padding, "
            f"not {describe(payload)}"
        )
    try:
        return binascii.a2b_base64(payload.translate(_URL_ALPHABET), strict_mode=True)
    except ValueError as error:
        raise Refusal(f"{name} takes base64, not {describe(payload)}: {error}") from None


_URL_ALPHABET: Final = str.maketrans("-_", "+/")


def _eight_bytes(name: str, payload: object) -> bytes:
    data = _payload(name, payload)
    if len(data) != 8:
        raise Refusal(
            f"Received {len(data)} bytes, expected 8 for {name}; send the 8 bytes of the number, "
            "little-endian, in base64"
        )
    return data


def _integer(name: str, payload: object) -> Int64:
    return Int64(_INTEGER.unpack(_eight_bytes(name, payload))[0])


def _float(name: str, payload: object) -> float:
    number: float = _FLOAT.unpack(_eight_bytes(name, payload))[0]
    if is_ordinary(number):
        shown = int(number) if number.is_integer() else number
        raise Refusal(
            f"Float {shown} should be encoded as a number; {name} is for NaN, the infinities and -0"
        )
    return number


def _no_longer_supported(name: str, payload: object) -> Value:
    kind = {"$set": "Set", "$map": "Map"}[name]
    raise Refusal(f"Received a {kind} which is no longer supported as a Convex type; send an array")


_MARKERS: Final[dict[str, Callable[[str, object], Value]]] = {
    "$integer": _integer,
    "$float": _float,
    "$bytes": _payload,
    "$set": _no_longer_supported,
    "$map": _no_longer_supported,
}


def _with_floats(tree: Unchecked) -> Unchecked:
    kind = type(tree)
    if kind is int:
        return float(tree)
    if kind is list:
        return [_with_floats(member) for member in tree]
    if kind is dict:
        return {name: _with_floats(member) for name, member in tree.items()}
    return tree


def _clean(tree: Unchecked) -> Unchecked:
    kind = type(tree)
    if kind is list:
        return [_clean(member) for member in tree]
    if kind is not dict:
        return tree
    if len(tree) == 1:
        ((name, payload),) = tree.items()
        if name == "$bytes":
            return payload
        if name == "$integer":
            return str(_integer(name, payload))
        if name == "$float":
            number = _float(name, payload)
            return number if isfinite(number) else describe(number)
    return {name: _clean(member) for name, member in tree.items()}
