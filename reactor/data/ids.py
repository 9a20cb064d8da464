"""Document ids: opaque texts that hold a table number and 16 bytes (protocol section 4).

The bytes are a variable-length table number, the internal id and a checksum; the text is their
Crockford base32. One id has exactly one text: `decode_id` accepts a text only if `encode_id` would
write that very text, so comparing texts and comparing ids are the same thing.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final

from reactor.data.values import describe
from reactor.errors import InvalidId

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: int(text, 32) reads five bits a character in C, but spells the digits 0-9a-v.
_TO_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)

_INTERNAL_LENGTH: Final = 16
_FOOTER_LENGTH: Final = 2
_TABLE_NUMBER_MAX: Final = 2**32 - 1
_TEXT_LENGTH_MIN: Final = 31
_TEXT_LENGTH_MAX: Final = 37


class InternalId(bytes):
    """The 16 bytes that tell a document from the others of its table."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> InternalId:
        if len(raw) != _INTERNAL_LENGTH:
            raise InvalidId(
                f"{describe(bytes(raw))} has {len(raw)} bytes and cannot be an internal id, which "
                f"has {_INTERNAL_LENGTH}; to read the text of an id use decode_id"
            )
        return super().__new__(cls, raw)

    def __repr__(self) -> str:
        return f"InternalId({self.hex()})"


def encode_id(table_number: int, internal: InternalId) -> str:
    """The text of a document's id."""
    payload = _table_prefix(table_number) + internal
    data = payload + _footer(payload)
    # Groups of five bits from the left; an even number of characters lets pairs be looked up.
    bit_count = len(data) * 8
    length = -(-bit_count // 5)
    even_length = length + (length & 1)
    bits = int.from_bytes(data, "big") << (even_length * 5 - bit_count)
    pairs = _PAIRS
    text = "".join([pairs[bits >> shift & 1023] for shift in range(even_length * 5 - 10, -1, -10)])
    return text[:length]


def decode_id(text: str) -> tuple[int, InternalId]:
    """The table number and internal id of a document id; `InvalidId` if `text` is not one."""
    length = len(text)
    padding = length * 5 % 8
    if not _TEXT_LENGTH_MIN <= length <= _TEXT_LENGTH_MAX or padding > 4:
        raise _undecodable(f"Invalid ID length {length}", text)
    # strip() leaves something if and only if a foreign character is anywhere in the text.
    if text.strip(_ALPHABET):
        raise _undecodable("ID wasn't valid base32", text)
    bits = int(text.translate(_TO_DIGITS), 32)
    if bits & ((1 << padding) - 1):
        raise _undecodable("ID wasn't valid base32", text)
    data = (bits >> padding).to_bytes(length * 5 // 8, "big")
    prefix_length = len(data) - _INTERNAL_LENGTH - _FOOTER_LENGTH
    if data[-_FOOTER_LENGTH:] != _footer(data[:-_FOOTER_LENGTH]):
        raise _undecodable("Invalid ID checksum", text)
    table_number = 0
    for position in range(prefix_length):
        table_number |= (data[position] & 0x7F) << 7 * position
    prefix = data[:prefix_length]
    if not 0 < table_number <= _TABLE_NUMBER_MAX or prefix != _table_prefix(table_number):
        raise _undecodable("Invalid table number", text)
    # The length is known to be right, so the check of InternalId(...) is skipped.
    return table_number, bytes.__new__(InternalId, data[prefix_length:-_FOOTER_LENGTH])


@lru_cache(maxsize=1024)
def _table_prefix(table_number: int) -> bytes:
    """Little-endian base 128, the high bit meaning that more follows."""
    if not 0 < table_number <= _TABLE_NUMBER_MAX:
        raise InvalidId(
            f"{table_number} cannot be the table number of an id; it must be within 1 and 2**32 - 1"
        )
    rest = table_number
    prefix = bytearray()
    while rest > 0x7F:
        prefix.append(rest & 0x7F | 0x80)
        rest >>= 7
    prefix.append(rest)
    return bytes(prefix)


def _footer(payload: bytes) -> bytes:
    """Fletcher-16 modulo 256, version 0, little-endian."""
    return bytes((sum(payload) & 0xFF, sum(accumulate(payload)) & 0xFF))


def _undecodable(reason: str, text: str) -> InvalidId:
    return InvalidId(f"Unable to decode ID: {reason} ({describe(text)} is not a document id)")
