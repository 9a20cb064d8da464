"""In which notation an HTTP answer gives values (protocol 2.1)."""

from __future__ import annotations

import re
from enum import Enum

import orjson

from reactor.data import wire
from reactor.data.wire import JsonTree
from reactor.errors import InvalidRequest


class ValueFormat(Enum):
    ENCODED = "convex_encoded_json"
    CLEAN = "json"

    def write(self, encoded: bytes) -> JsonTree:
        """A value that is encoded already, in this format."""
        if self is ValueFormat.ENCODED:
            return orjson.Fragment(encoded)
        return wire.to_clean_json(wire.decode(encoded))


_NAMES = {
    "convex_encoded_json": ValueFormat.ENCODED,
    "convex_json": ValueFormat.ENCODED,
    "json": ValueFormat.CLEAN,
    "convex_clean_json": ValueFormat.CLEAN,
    "export_json": ValueFormat.CLEAN,
}

#: Clients older than these expect the encoded format when they name none.
_CLEAN_SINCE = {"npm": (1, 4, 1), "python": (0, 5, 0)}

_CLIENT = re.compile(r"(npm|python)-(\d{1,9})\.(\d{1,9})\.(\d{1,9}).*", re.ASCII)


def choose_format(name: object, client: str | None) -> ValueFormat:
    """The format a request asks for; `client` is its `Convex-Client` header."""
    if name is None:
        match = _CLIENT.fullmatch(client or "")
        if match is None or tuple(map(int, match.groups()[1:])) >= _CLEAN_SINCE[match[1]]:
            return ValueFormat.CLEAN
        return ValueFormat.ENCODED
    chosen = _NAMES.get(name) if isinstance(name, str) else None
    if chosen is None:
        raise InvalidRequest(
            f"`format` must be one of {', '.join(_NAMES)}, not {str(name)[:80]!r}", tag="BadFormat"
        )
    return chosen
