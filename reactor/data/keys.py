"""Index keys: sequences of values as byte strings whose byte order is the order of the values.

Byte-wise comparison of two keys equals comparing their values one by one in the total order of
protocol 3.5 (missing < null < int64 < float64 < boolean < string < bytes < array < object), with
`InternalId` after everything as the tie-break. Keys decode back.

Invariants:
- an encoded value begins with a tag within 0x01..0xfe and knows where it ends. So a key is the
  plain concatenation of its values, no encoded value is a proper prefix of another, and every key
  that starts with given whole fields lies in `[prefix, prefix + b"\\xff")`;
- 0x00 stands only where a string, bytes, an array or an object ends (and inside fixed-width
  values). It is below every tag, so what is shorter sorts first;
- strings and bytes escape 0x00 as 01 01 and 0x01 as 01 02, which keeps their order and lets their
  end be found with one search.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from struct import error as StructError
from typing import Final, TypeAlias, cast

from reactor.data.ids import InternalId
from reactor.data.intervals import KeyRange
from reactor.data.values import (
    EXACT_INT_MAX,
    FIELD_SIZES,
    NESTING_CEILING,
    UNDEFINED,
    Int64,
    Refusal,
    Unchecked,
    Undefined,
    Value,
    describe,
    refused,
    refused_name,
    string_size,
    too_nested,
)
from reactor.errors import InvalidValue

KeyField: TypeAlias = Value | Undefined | InternalId

_UNDEFINED: Final = 0x10
_NULL: Final = 0x18
_INT64_NEGATIVE: Final = 0x20  # Two tags per number type make the sign part of the tag, so that
_INT64: Final = 0x21  # the usual number, which is not negative, is packed in one step.
_FLOAT64_NEGATIVE: Final = 0x28
_FLOAT64: Final = 0x29
_FALSE: Final = 0x30
_TRUE: Final = 0x31
_STRING: Final = 0x38
_BYTES: Final = 0x40
_ARRAY: Final = 0x48
_OBJECT: Final = 0x50
_INTERNAL_ID: Final = 0xF0

_END: Final = b"\0"
_STRING_TAG: Final = chr(_STRING)
_BYTES_TAG: Final = bytes((_BYTES,))
_ARRAY_TAG: Final = bytes((_ARRAY,))
_OBJECT_TAG: Final = bytes((_OBJECT,))
_INTERNAL_ID_TAG: Final = bytes((_INTERNAL_ID,))
_UNDEFINED_KEY: Final = bytes((_UNDEFINED,))
_NULL_KEY: Final = bytes((_NULL,))
_FALSE_KEY: Final = bytes((_FALSE,))
_TRUE_KEY: Final = bytes((_TRUE,))

_pack_float = Struct(">Bd").pack
_pack_integer = Struct(">Bq").pack
_pack_bits = Struct(">BQ").pack
_unpack_float = Struct(">d").unpack_from
_unpack_integer = Struct(">q").unpack_from
_unpack_bits = Struct(">Q").unpack_from
_ALL_BITS: Final = 2**64 - 1

# Bytes an encoded value takes, by its tag; or how to find out.
_UNKNOWN: Final = 0
_UP_TO_END: Final = -1
_NESTED: Final = -2
_WIDTHS: Final = [_UNKNOWN] * 256
for _tags, _width in (
    ((_UNDEFINED, _NULL, _FALSE, _TRUE), 1),
    ((_INT64_NEGATIVE, _INT64, _FLOAT64_NEGATIVE, _FLOAT64), 9),
    ((_INTERNAL_ID,), 17),
    ((_STRING, _BYTES), _UP_TO_END),
    ((_ARRAY, _OBJECT), _NESTED),
):
    for _tag in _tags:
        _WIDTHS[_tag] = _width


def encode_key(values: Iterable[KeyField]) -> bytes:
    """The key of `values`. The path of an `InvalidValue` begins with the value's position."""
    pieces: list[bytes] = []
    value: Unchecked
    append = pieces.append
    try:
        for value in values:
            kind = type(value)
            if kind is str:
                append(_string_key(value))
            elif kind is float and value > 0.0:
                append(_pack_float(_FLOAT64, value))
            elif kind is InternalId:
                append(_INTERNAL_ID_TAG + value)
            else:
                append(_encode(value, 0))
    except Refusal as refusal:
        refusal.steps.append(len(pieces))
        raise refusal.as_problem() from None
    return b"".join(pieces)


def _encode(value: Unchecked, level: int) -> bytes:
    kind = type(value)
    if kind is str:
        return _string_key(value)
    if kind is float:
        return _float_key(value)
    if kind is bool:
        return _TRUE_KEY if value else _FALSE_KEY
    if kind is int and -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
        return _float_key(float(value))
    if value is None:
        return _NULL_KEY
    if value is UNDEFINED and level == 0:
        return _UNDEFINED_KEY
    if kind is Int64:
        return _pack_integer(_INT64 if value >= 0 else _INT64_NEGATIVE, value)
    if kind is bytes:
        escaped = value.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
        return b"%b%b\0" % (_BYTES_TAG, escaped)
    if kind is list:
        return _array_key(value, level + 1)
    if kind is dict:
        return _object_key(value, level + 1)
    raise refused(value)


def _string_key(text: str) -> bytes:
    escaped = text
    if "\0" in text or "\1" in text:
        escaped = text.replace("\1", "\1\2").replace("\0", "\1\1")
    try:
        return f"{_STRING_TAG}{escaped}\0".encode()
    except UnicodeEncodeError:
        string_size(text)  # raises the refusal that names the place
        raise


def _float_key(number: float) -> bytes:
    """IEEE total order: of negative numbers, NaN included, the greater magnitude is less."""
    if number > 0.0:
        return _pack_float(_FLOAT64, number)
    (bits,) = _unpack_bits(_pack_float(_FLOAT64, number), 1)
    if bits >> 63:
        return _pack_bits(_FLOAT64_NEGATIVE, bits ^ _ALL_BITS)
    return _pack_bits(_FLOAT64, bits)


def _array_key(elements: list[Unchecked], level: int) -> bytes:
    if level > NESTING_CEILING:
        raise too_nested(level, NESTING_CEILING)
    pieces = [_ARRAY_TAG]
    try:
        for element in elements:
            pieces.append(_encode(element, level))  # noqa: PERF401  the length is the path
    except Refusal as refusal:
        refusal.steps.append(len(pieces) - 1)
        raise
    pieces.append(_END)
    return b"".join(pieces)


def _object_key(fields: dict[Unchecked, Unchecked], level: int) -> bytes:
    """Names and values in turns. A name is a string here, so it may be empty and still not end."""
    if level > NESTING_CEILING:
        raise too_nested(level, NESTING_CEILING)
    pieces = [_OBJECT_TAG]
    name = None
    try:
        for name in fields:
            if type(name) is not str:
                raise refused_name(name)
            FIELD_SIZES[name]  # refuses what is no field name
        for name in sorted(fields):
            pieces.append(_string_key(name))
            pieces.append(_encode(fields[name], level))
    except Refusal as refusal:
        refusal.steps.append(name)
        raise
    pieces.append(_END)
    return b"".join(pieces)


def decode_key(key: bytes) -> list[KeyField]:
    """The values that `encode_key` was given; every float64 comes back as a float."""
    values: list[KeyField] = []
    position = 0
    try:
        while position < len(key):
            value, position = _decode(key, position, 0)
            values.append(value)
    except (IndexError, ValueError, StructError) as error:
        raise _damaged(key, position) from error
    return values


def _decode(key: bytes, position: int, level: int) -> tuple[KeyField, int]:
    tag = key[position]
    width = _WIDTHS[tag]
    if width == _NESTED:
        return _decode_nested(key, position, level + 1)
    if width == _UP_TO_END:
        end = key.index(_END, position)
        data = key[position + 1 : end].replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
        return data.decode() if tag == _STRING else data, end + 1
    end = position + width
    if width == _UNKNOWN or end > len(key):
        raise ValueError(f"no value at {position}")
    if width == 1:
        return _DECODED[tag], end
    if tag == _INTERNAL_ID:
        return InternalId(key[position + 1 : end]), end
    if tag == _FLOAT64:
        return cast(float, _unpack_float(key, position + 1)[0]), end
    if tag == _FLOAT64_NEGATIVE:
        bits = cast(int, _unpack_bits(key, position + 1)[0]) ^ _ALL_BITS
        return cast(float, _unpack_float(_pack_bits(0, bits), 1)[0]), end
    return Int64(_unpack_integer(key, position + 1)[0]), end


_DECODED: Final[dict[int, KeyField]] = {
    _UNDEFINED: UNDEFINED,
    _NULL: None,
    _FALSE: False,
    _TRUE: True,
}


def _decode_nested(key: bytes, position: int, level: int) -> tuple[Value, int]:
    if level > NESTING_CEILING:
        raise ValueError(f"nested too deep at {position}")
    is_array = key[position] == _ARRAY
    position += 1
    members: list[Value] = []
    while key[position]:
        member, position = _decode(key, position, level)
        members.append(cast(Value, member))
    if is_array:
        return members, position + 1
    names = members[0::2]
    if any(type(name) is not str for name in names):
        raise ValueError(f"no field name before {position}")
    return dict(zip(cast("list[str]", names), members[1::2], strict=True)), position + 1


def field_ends(key: bytes) -> list[int]:
    """The offset just after each top-level value of `key`; the last one is its length."""
    ends: list[int] = []
    append = ends.append
    widths = _WIDTHS
    length = len(key)
    position = 0
    while position < length:
        width = widths[key[position]]
        if width > 0:
            position += width
        elif width == _UP_TO_END:
            position = key.find(_END, position) + 1
            if not position:
                raise _damaged(key, length)
        else:
            position = _nested_end(key, position)
        append(position)
    if position > length:
        raise _damaged(key, length)
    return ends


def _nested_end(key: bytes, start: int) -> int:
    """Where the array or object ends that begins at `start`."""
    position = start
    open_count = 0
    try:
        while True:
            tag = key[position]
            width = _WIDTHS[tag]
            if width > 0:
                position += width
            elif width == _UP_TO_END:
                position = key.index(_END, position) + 1
            elif width == _NESTED:
                open_count += 1
                position += 1
            elif tag == 0 and open_count:
                open_count -= 1
                position += 1
            else:
                raise _damaged(key, position)
            if not open_count:
                return position
    except (IndexError, ValueError) as error:
        raise _damaged(key, position) from error


def prefix_range(prefix: bytes) -> KeyRange:
    """Every key that begins with the whole fields of `prefix`."""
    return KeyRange(prefix, prefix + b"\xff")


def successor(key: bytes) -> bytes:
    """The least byte string greater than `key`."""
    return key + b"\0"


def _damaged(key: bytes, position: int) -> InvalidValue:
    return InvalidValue(
        f"{describe(key)} is not an index key: no value can be read at byte {position}; pass what "
        "encode_key returned"
    )
