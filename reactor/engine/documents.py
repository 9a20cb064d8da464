"""A stored version of a document.

`encoded` is the truth: the document's wire JSON, system fields included, exactly as it went to the
log and as it goes to clients. `value` is decoded from it on first use; nobody may change either.
`typed` is a slot for the floor above: the shared typed instance of a flat document.
"""

from __future__ import annotations

from typing import cast

from reactor.data import wire
from reactor.data.ids import InternalId, decode_id
from reactor.data.tables import Table
from reactor.data.values import Value


class Document:
    """One immutable version of one document."""

    __slots__ = ("_value", "encoded", "typed")

    def __init__(self, encoded: bytes, value: dict[str, Value] | None = None) -> None:
        self.encoded = encoded
        self._value = value
        self.typed: Table | None = None

    @property
    def value(self) -> dict[str, Value]:
        """The decoded document, wire-named, with `_id` and `_creationTime`. Read only."""
        value = self._value
        if value is None:
            value = self._value = cast("dict[str, Value]", wire.decode(self.encoded))
        return value

    @property
    def id(self) -> str:
        return cast(str, self.value["_id"])

    @property
    def internal_id(self) -> InternalId:
        return decode_id(self.id)[1]

    @property
    def creation_time(self) -> float:
        """Milliseconds since the epoch, with fraction."""
        return cast(float, self.value["_creationTime"])
