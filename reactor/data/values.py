"""Convex values as Python objects: their types, names, limits and sizes (protocol 3.1 to 3.4).

A value is None, bool, int or float (both are a Convex float64, so 5 and 5.0 are the same value),
`Int64`, str, bytes, list or dict with str keys. Nothing else is one: subclasses, tuples, sets and
dates are refused rather than guessed at, because they would come back as something else.

Invariants:
- bool is never a number, and an int is a float64 only while that is exact (|n| <= 2**53);
- whatever `check_value` accepts, `wire` and `keys` encode and decode back to an equal value;
- walks over values go at most `NESTING_CEILING` levels deep, so hostile nesting cannot exhaust the
  stack. A walk that must refuse raises `Refusal`; each level it passes adds its step to the path,
  so that accepted values pay nothing for error messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from math import copysign, isfinite
from typing import Any, Final, TypeAlias

from reactor.errors import InvalidValue

EXACT_INT_MAX: Final = 2**53
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
ARRAY_LENGTH_MAX: Final = 8192
OBJECT_FIELDS_MAX: Final = 1024
FIELD_NAME_LENGTH_MAX: Final = 1024
NESTING_MAX: Final = 64
#: No walk goes deeper, whatever the limits say: half of what orjson can write, and two Python
#: frames a level leave most of the recursion limit to the application.
NESTING_CEILING: Final = 128

_DESCRIPTION_LENGTH = 1000
_KNOWN_NAMES_MAX = 4096


class Int64(int):
    """A Convex int64 (`bigint` in JavaScript), where a plain int is a float64."""

    __slots__ = ()

    def __new__(cls, value: int) -> Int64:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValue(
                f"{describe(value)} ({_type_name(value)}) cannot become an Int64, which takes an "
                "int; convert it first, as in Int64(int(value))"
            )
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidValue(
                f"{describe(value)} ({_type_name(value)}) does not fit into a 64-bit signed "
                "integer; store it as a str or a float"
            )
        return super().__new__(cls, value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, object]:
        """In a pydantic model: an instance, nothing converted."""
        return {"type": "is-instance", "cls": cls}

    def __repr__(self) -> str:
        return f"Int64({int.__repr__(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)


class Undefined:
    """The type of `UNDEFINED`: there is no such field. It sorts before every value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __copy__(self) -> Undefined:
        return self

    def __deepcopy__(self, memo: object) -> Undefined:
        return self

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()

Value: TypeAlias = (
    bool | int | float | Int64 | str | bytes | list["Value"] | dict[str, "Value"] | None
)


#: What a walk over values holds before it knows. The walks dispatch on `type(value)` in a variable,
#: which mypy cannot follow, and `cast` would cost 40 ns for each of millions of values.
Unchecked: TypeAlias = Any


class Refusal(Exception):
    """A walk met something that is no value. Not public: becomes `InvalidValue` at its edge."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[object] = []  # innermost first: field names, and indexes as ints

    def as_problem(self, path: str = "") -> InvalidValue:
        return InvalidValue(self.reason, path=path + "".join(map(_step, reversed(self.steps))))


def _step(step: object) -> str:
    if type(step) is int:
        return f"[{step}]"
    return f".{_clipped(step) if isinstance(step, str) else describe(step)}"


class FieldSizes(dict[str, int]):
    """Size of each field name seen lately; looking up a new one checks it first (protocol 3.2).

    Apps use few names again and again, so remembering them makes the check one dict lookup.
    """

    def __missing__(self, name: str) -> int:
        if name.startswith("$"):
            raise Refusal(
                f"Field name {_clipped(name)} starts with a '$', which is reserved; rename the "
                "field"
            )
        if not (name.isascii() and name.isprintable()):
            culprit = next(character for character in name if not " " <= character <= "~")
            raise Refusal(
                f"Field name {_clipped(name)} has invalid character '{_escaped(culprit)}': Field "
                "names can only contain non-control ASCII characters; rename the field, or store "
                "a list of key and value"
            )
        if len(name) > FIELD_NAME_LENGTH_MAX:
            raise Refusal(
                f"Field name {_clipped(name)} is too long ({len(name)} > maximum length "
                f"{FIELD_NAME_LENGTH_MAX}); use a shorter one"
            )
        if len(self) >= _KNOWN_NAMES_MAX:
            self.clear()
        size = self[name] = len(name) + 1
        return size


FIELD_SIZES: Final = FieldSizes()


def check_value(value: object, *, path: str = "", nesting_max: int = NESTING_MAX) -> int:
    """The size of `value` in bytes (protocol 3.4); raises `InvalidValue` if it is not a value.

    `path` says where `value` is, such as ``.args``; problems inside are reported below it.
    """
    try:
        return _size(value, 0, min(nesting_max, NESTING_CEILING))
    except Refusal as refusal:
        raise refusal.as_problem(path) from None


def _size(value: Unchecked, level: int, nesting_max: int) -> int:
    kind = type(value)
    if kind is str:
        return string_size(value)
    if kind is float or kind is Int64:
        return 9
    if kind is bool or value is None:
        return 1
    if kind is int and -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
        return 9
    if kind is dict:
        return _object_size(value, level + 1, nesting_max)
    if kind is list:
        return _array_size(value, level + 1, nesting_max)
    if kind is bytes:
        return len(value) + 2
    raise refused(value)


def _object_size(fields: dict[Unchecked, Unchecked], level: int, nesting_max: int) -> int:
    if level > nesting_max:
        raise too_nested(level, nesting_max)
    if len(fields) > OBJECT_FIELDS_MAX:
        raise Refusal(
            f"Object has too many fields ({len(fields)} > maximum number {OBJECT_FIELDS_MAX}); "
            "store the fields as documents of their own"
        )
    size = 2
    name = None
    sizes = FIELD_SIZES
    try:
        for name, value in fields.items():
            if type(name) is not str:
                raise refused_name(name)
            kind = type(value)
            if kind is str and value.isascii():
                size += sizes[name] + len(value) + 2
            elif kind is float:
                size += sizes[name] + 9
            else:
                size += sizes[name] + _size(value, level, nesting_max)
    except Refusal as refusal:
        refusal.steps.append(name)
        raise
    return size


def _array_size(elements: list[Unchecked], level: int, nesting_max: int) -> int:
    if level > nesting_max:
        raise too_nested(level, nesting_max)
    if len(elements) > ARRAY_LENGTH_MAX:
        raise Refusal(
            f"Array length is too long ({len(elements)} > maximum length {ARRAY_LENGTH_MAX}); "
            "store the elements as documents of their own"
        )
    size = 2
    index = 0
    try:
        for index, value in enumerate(elements):  # noqa: B007  the path of a refusal
            if type(value) is float:
                size += 9
            else:
                size += _size(value, level, nesting_max)
    except Refusal as refusal:
        refusal.steps.append(index)
        raise
    return size


def string_size(text: str) -> int:
    """Size of a str (protocol 3.4). Lone surrogates have no UTF-8 form and are refused."""
    if text.isascii():
        return len(text) + 2
    try:
        return len(text.encode()) + 2
    except UnicodeEncodeError as error:
        raise lone_surrogate(text, error.start) from None


def lone_surrogate(text: str, position: int) -> Refusal:
    return Refusal(
        f"{describe(text)} (str) has a lone surrogate {text[position]!a} at position {position}, "
        "which UTF-8 cannot express; remove it, or store the text as bytes"
    )


def too_nested(level: int, nesting_max: int) -> Refusal:
    return Refusal(
        f"Value is too nested (nested {level} levels deep > maximum nesting {nesting_max}); "
        "flatten it, or store its parts as documents of their own"
    )


def refused_name(name: object) -> Refusal:
    return Refusal(
        f"{describe(name)} ({_type_name(name)}) is the key of a dict but not a plain str; use "
        "str keys, or a list of key and value"
    )


#: What to do with values of common types that are not Convex values; the first base that matches.
_WAYS_OUT: Final = {
    "Enum": "use its .value",
    "Undefined": "leave the field out",
    "InternalId": "use the text of the id (encode_id)",
    "bool_": "use bool(value)",
    "tuple": "use a list: list(value)",
    "set": "use a list: sorted(value)",
    "frozenset": "use a list: sorted(value)",
    "datetime": "use milliseconds since the epoch: value.timestamp() * 1000",
    "date": "use a str: value.isoformat()",
    "time": "use a str: value.isoformat()",
    "timedelta": "use seconds: value.total_seconds()",
    "Decimal": "use str(value), or float(value)",
    "UUID": "use str(value)",
    "PurePath": "use str(value)",
    "bytearray": "use bytes(value)",
    "memoryview": "use bytes(value)",
    "ndarray": "use value.tolist()",
    "BaseModel": "use value.model_dump()",
    "Int64": "use Int64(value)",
    "str": "use str(value)",
    "bytes": "use bytes(value)",
    "int": "use int(value)",
    "float": "use float(value)",
    "dict": "use dict(value)",
    "Mapping": "use dict(value)",
    "list": "use list(value)",
    "generic": "use value.item()",
}


def refused(value: object) -> Refusal:
    """Why `value` is not a value, and what to use instead."""
    if type(value) is int:
        way_out = (
            f"use Int64({value})" if INT64_MIN <= value <= INT64_MAX else "use a str or a float"
        )
        return Refusal(
            f"{describe(value)} (int) is beyond ±2**53, where a float64 is no longer exact; "
            f"{way_out}"
        )
    bases = {base.__name__ for base in type(value).__mro__}
    way_out = next(
        (way_out for name, way_out in _WAYS_OUT.items() if name in bases),
        "use None, bool, int, float, Int64, str, bytes, list or dict, and leave absent fields out",
    )
    return Refusal(
        f"{describe(value)} ({_type_name(value)}) is not a supported Convex type; {way_out}"
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def is_ordinary(number: float) -> bool:
    """Whether a JSON number can express it: not NaN, not infinite, not negative zero."""
    return isfinite(number) and (number != 0.0 or copysign(1.0, number) > 0.0)


def describe(value: object) -> str:
    """`value` as people read it (protocol 8.2), such as ``{a: 1.0, b: [true, null]}``.

    Never fails, whatever `value` is, and is cut off beyond some 1000 characters.
    """
    pieces: list[str] = []
    length = 0
    for piece in _pieces(value, 0):
        pieces.append(piece)
        length += len(piece)
        if length > _DESCRIPTION_LENGTH:
            return "".join(pieces)[:_DESCRIPTION_LENGTH] + "…"
    return "".join(pieces)


def _pieces(value: object, level: int) -> Iterator[str]:
    """The description bit by bit, so that only as much is made as is shown."""
    if isinstance(value, dict) and level < NESTING_MAX:
        names = sorted(value, key=str)
        yield "{"
        for position, name in enumerate(names):
            plain = isinstance(name, str) and name.isidentifier()
            yield ", " if position else ""
            yield f"{name}: " if plain else f"{_scalar(name)}: "
            yield from _pieces(value[name], level + 1)
        yield "}"
    elif isinstance(value, list) and level < NESTING_MAX:
        yield "["
        for position, element in enumerate(value):
            yield ", " if position else ""
            yield from _pieces(element, level + 1)
        yield "]"
    elif isinstance(value, (dict, list)):
        yield "…"
    else:
        yield _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return repr(value)
    if isinstance(value, str):
        return f'"{_escaped(value[: _DESCRIPTION_LENGTH + 1])}"'
    if type(value) is bytes:
        return f'b"{_escaped_bytes(value[: _DESCRIPTION_LENGTH + 1])}"'
    if isinstance(value, int):
        return _integer(value)
    if type(value) is float:
        return repr(value) if isfinite(value) else _NOT_FINITE[repr(value)]
    try:
        return repr(value)
    except Exception:  # someone else's __repr__; a description must not fail
        return object.__repr__(value)


_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _integer(value: int) -> str:
    if type(value) is Int64:
        return str(value)
    if -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
        return repr(float(value))
    bits = value.bit_length()
    return int.__repr__(value) if bits <= 256 else f"an integer of {bits} bits"


def _escaped(text: str) -> str:
    """`text` fit to stand between double quotes."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        f"\\{character}"
        if character in '"\\'
        else character
        if character.isprintable()
        else repr(character)[1:-1]
        for character in text
    )


def _escaped_bytes(data: bytes) -> str:
    return "".join(
        _escaped(chr(byte)) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in data
    )


def _clipped(name: str) -> str:
    """A field name as error messages show it."""
    return _escaped(name) if len(name) <= 100 else _escaped(name[:100]) + "…"
