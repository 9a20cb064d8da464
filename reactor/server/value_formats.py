"""In which notation an HTTP answer gives values (protocol 2.1)."""

from __future__ import annotations

import re
from enum import Enum, auto

import orjson

from reactor.data import wire
from reactor.data.wire import JsonTree
from reactor.errors import InvalidRequest


class ValueFormat(Enum):
    """`ENCODED_FRACTIONS` is the encoded format with `7.0` for `7`: Python's HTTP client refuses
    JSON integers, though they are the same numbers.
    """

    ENCODED = auto()
    ENCODED_FRACTIONS = auto()
    CLEAN = auto()

    def write(self, encoded: bytes) -> JsonTree:
        """A value that is encoded already, in this format."""
        match self:
            case ValueFormat.ENCODED:
                return orjson.Fragment(encoded)
            case ValueFormat.ENCODED_FRACTIONS:
                return _with_fractions(orjson.loads(encoded))
            case ValueFormat.CLEAN:
                return wire.to_clean_json(wire.decode(encoded))


def _with_fractions(tree: JsonTree) -> JsonTree:
    if type(tree) is int:
        return float(tree)
    if isinstance(tree, list):
        return [_with_fractions(member) for member in tree]
    if isinstance(tree, dict):
        return {name: _with_fractions(member) for name, member in tree.items()}
    return tree


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
    match = _CLIENT.fullmatch(client or "")
    if name is None:
        is_recent = match is None or tuple(map(int, match.groups()[1:])) >= _CLEAN_SINCE[match[1]]
        chosen = ValueFormat.CLEAN if is_recent else ValueFormat.ENCODED
    elif isinstance(name, str) and name in _NAMES:
        chosen = _NAMES[name]
    else:
        raise InvalidRequest(
            f"`format` must be one of {', '.join(_NAMES)}, not {str(name)[:80]!r}", tag="BadFormat"
        )
    if chosen is ValueFormat.ENCODED and match is not None and match[1] == "python":
        return ValueFormat.ENCODED_FRACTIONS
    return chosen
