"""Versions of one connection, and timestamps as they travel.

A connection has moved through so many query sets and identities, and shows its queries at one
timestamp. Each Transition leads from exactly the previous `Version` to a later one.
"""

from __future__ import annotations

import binascii
from typing import Final, NamedTuple

from reactor.errors import InvalidRequest
from reactor.types import Timestamp

#: The Rust client reads timestamps as signed.
TIMESTAMP_MAX: Final = (1 << 63) - 1

U32_MAX: Final = (1 << 32) - 1


class Version(NamedTuple):
    """How far a connection has come. Never goes back in any part."""

    query_set: int
    identity: int
    ts: Timestamp

    def to_json(self) -> dict[str, int | str]:
        return {
            "querySet": self.query_set,
            "identity": self.identity,
            "ts": encode_timestamp(self.ts),
        }


ZERO: Final = Version(0, 0, 0)


def encode_timestamp(ts: Timestamp) -> str:
    """Eight bytes, little-endian, in base64 with padding.

    >>> encode_timestamp(0)
    'AAAAAAAAAAA='
    """
    return binascii.b2a_base64(ts.to_bytes(8, "little"), newline=False).decode("ascii")


def decode_timestamp(text: str, where: str) -> Timestamp:
    """The inverse. `where` names the field in the refusal."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    ts = int.from_bytes(data, "little")
    if len(data) != 8 or ts > TIMESTAMP_MAX:
        raise InvalidRequest(
            f"{where} must be a timestamp (8 bytes, little-endian, at most 2^63-1, in base64 with "
            f"padding, such as 'AAAAAAAAAAA='), not {text[:40]!r}",
            tag="InvalidTimestamp",
        )
    return ts
