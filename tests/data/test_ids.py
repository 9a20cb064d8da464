"""Document ids: the vectors of protocol section 4, and that a document has exactly one id text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reactor.data.ids import InternalId, decode_id, encode_id
from reactor.errors import InvalidId

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

VECTORS = [
    ("k570e9j5cj1t5gf0zwf3tq3vkawxhqr0", 10009, "0726456483a2c1e0ff1e3d5c7b9ab9d8"),
    ("m57068j1c1zsxfewzcd3jp3qjttx99vg", 10017, "032241607f9ebddcfb1a39587796b5d4"),
    ("kg204m40v9m1bmkthp86n486mh85s0rc", 540, "025080da6815d27a8d906a9106a4505c"),
    ("j57000820c20a1g7104gm2rc1m70ynr8", 10001, "000102030405060708090a0b0c0d0e0f"),
    ("0400000000000000000000000000248", 1, "00000000000000000000000000000000"),
]

table_numbers = st.one_of(
    st.integers(1, 2**32 - 1),
    st.sampled_from([1, 127, 128, 9999, 10001, 16383, 16384, 2**21, 2**28, 2**32 - 1]),
)
internal_ids = st.binary(min_size=16, max_size=16).map(InternalId)


@pytest.mark.parametrize(("text", "table_number", "raw"), VECTORS)
def test_a_published_id_decodes(text: str, table_number: int, raw: str) -> None:
    assert decode_id(text) == (table_number, bytes.fromhex(raw))


@pytest.mark.parametrize(("text", "table_number", "raw"), VECTORS)
def test_a_published_id_encodes(text: str, table_number: int, raw: str) -> None:
    assert encode_id(table_number, InternalId(bytes.fromhex(raw))) == text


@given(table_numbers, internal_ids)
@example(2**32 - 1, InternalId(b"\xff" * 16))
def test_an_id_decodes_to_what_was_encoded(table_number: int, internal: InternalId) -> None:
    assert decode_id(encode_id(table_number, internal)) == (table_number, internal)


@given(table_numbers, internal_ids)
def test_decoding_gives_an_internal_id_not_mere_bytes(
    table_number: int, internal: InternalId
) -> None:
    assert type(decode_id(encode_id(table_number, internal))[1]) is InternalId


@given(table_numbers, internal_ids)
def test_an_id_has_31_to_37_characters(table_number: int, internal: InternalId) -> None:
    assert 31 <= len(encode_id(table_number, internal)) <= 37


@given(st.integers(10001, 16383), internal_ids)
def test_an_id_of_a_user_table_has_32_characters(table_number: int, internal: InternalId) -> None:
    assert len(encode_id(table_number, internal)) == 32


@given(
    table_numbers,
    internal_ids,
    st.integers(0, 36),
    st.sampled_from(ALPHABET + "ILOUiluoAZ_-+ \n0é٣"),
)
def test_one_changed_character_is_refused_or_is_the_only_text_of_another_id(
    table_number: int, internal: InternalId, position: int, character: str
) -> None:
    text = encode_id(table_number, internal)
    position %= len(text)
    changed = text[:position] + character + text[position + 1 :]
    try:
        decoded = decode_id(changed)
    except InvalidId:
        return
    assert encode_id(*decoded) == changed


@given(st.text(ALPHABET, min_size=31, max_size=37))
def test_whatever_decodes_encodes_to_the_same_text(text: str) -> None:
    try:
        decoded = decode_id(text)
    except InvalidId:
        return
    assert encode_id(*decoded) == text


def _text_of(data: bytes) -> str:
    """Base32 of `data` and its right checksum, by the book: bit by bit."""
    low = high = 0
    for byte in data:
        low = (low + byte) % 256
        high = (high + low) % 256
    bits = "".join(f"{byte:08b}" for byte in data + bytes((low, high)))
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


@given(internal_ids)
def test_the_independent_encoding_agrees(internal: InternalId) -> None:
    assert _text_of(b"\x91\x4e" + internal) == encode_id(10001, internal)


@pytest.mark.parametrize(
    "prefix",
    [
        b"\x00",  # table number 0
        b"\x81\x00",  # 1, written longer than needed
        b"\x01\x01",  # 1, and a byte too many
        b"\x81",  # more should follow
        b"\xff\xff\xff\xff\x1f",  # beyond 32 bits
    ],
)
def test_a_malformed_table_number_is_refused(prefix: bytes) -> None:
    with pytest.raises(InvalidId, match="Unable to decode ID: Invalid table number"):
        decode_id(_text_of(prefix + bytes(16)))


@pytest.mark.parametrize("length", [0, 5, 30, 33, 35, 38, 1000])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidId, match=f"Unable to decode ID: Invalid ID length {length} "):
        decode_id("0" * length)


@pytest.mark.parametrize("character", ["i", "l", "o", "u", "A", "_", " ", "-", "é"])
def test_a_foreign_character_is_refused(character: str) -> None:
    with pytest.raises(InvalidId, match="Unable to decode ID: ID wasn't valid base32"):
        decode_id("k570e9j5cj1t5gf0" + character + "wf3tq3vkawxhqr0")


def test_padding_that_is_not_zero_is_refused() -> None:
    with pytest.raises(InvalidId, match="ID wasn't valid base32"):
        decode_id("0400000000000000000000000000249")


def test_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(InvalidId, match="Unable to decode ID: Invalid ID checksum"):
        decode_id("k570e9j5cj1t5gf0zwf3tq3vkawxhqr1")


def test_a_refusal_names_the_text() -> None:
    with pytest.raises(InvalidId, match='"nonsense" is not a document id'):
        decode_id("nonsense")


@pytest.mark.parametrize("table_number", [0, -1, 2**32])
def test_a_table_number_out_of_range_cannot_be_encoded(table_number: int) -> None:
    with pytest.raises(InvalidId, match="cannot be the table number"):
        encode_id(table_number, InternalId(bytes(16)))


@pytest.mark.parametrize("length", [0, 15, 17])
def test_an_internal_id_has_16_bytes(length: int) -> None:
    with pytest.raises(InvalidId, match=f"has {length} bytes"):
        InternalId(bytes(length))
