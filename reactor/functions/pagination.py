"""Pages of a query: options, result, and the opaque cursors between pages.

A cursor is a position in the walk over one index range: after a key, or the end. It carries a
fingerprint of the walk (table, index, range, order), because a position of another query would give
silently wrong pages; clients restart from page one when they see the `InvalidCursor` error.

Field names are the protocol's own (section 6.2) in every app, whatever its wire names.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from reactor.data.intervals import KeyRange
from reactor.data.keys import successor
from reactor.errors import InvalidCursor, QueryMisuse
from reactor.types import IndexId

Row = TypeVar("Row")

_VERSION = 1
_AFTER, _END = 0, 1
_FINGERPRINT_BYTES = 8


class PaginationOptions(BaseModel):
    """The argument of a paginated query, as official clients send it.

    `id` only makes arguments distinct and is ignored. The `maximum…` fields bound one page's reads.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    numItems: int
    cursor: str | None
    endCursor: str | None = None
    maximumRowsRead: int | None = None
    maximumBytesRead: int | None = None
    id: float | None = None


class Page(BaseModel, Generic[Row]):
    """One page. `continueCursor` starts the next one; `isDone` means that there is none."""

    model_config = ConfigDict(frozen=True)

    page: list[Row]
    isDone: bool
    continueCursor: str
    splitCursor: str | None = None
    pageStatus: Literal["SplitRecommended", "SplitRequired"] | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """What a cursor is a position in: one index range in one direction."""

    index: IndexId
    fields: tuple[str, ...]
    within: KeyRange
    reverse: bool
    filters: int

    def fingerprint(self) -> bytes:
        digest = blake2b(digest_size=_FINGERPRINT_BYTES)
        for part in (
            repr((self.index, self.fields, self.reverse, self.filters)).encode(),
            self.within.start,
            self.within.end,
        ):
            digest.update(b"%d:" % len(part) + part)
        return digest.digest()

    def cursor(self, after: bytes | None) -> str:
        """The position after a key, or (None) at the end, as opaque text."""
        body = bytes([_VERSION, _END if after is None else _AFTER]) + self.fingerprint()
        return base64.urlsafe_b64encode(body + (after or b"")).decode()

    def position(self, cursor: str) -> bytes | None:
        """The key of a cursor of this walk, None for the end. Raises InvalidCursor, QueryMisuse."""
        try:
            body = base64.b64decode(cursor, altchars=b"-_", validate=True)
            version, kind = body[0], body[1]
        except (binascii.Error, IndexError, ValueError):
            raise QueryMisuse(_unreadable(cursor)) from None
        if version != _VERSION or kind not in (_AFTER, _END) or len(body) < 2 + _FINGERPRINT_BYTES:
            raise QueryMisuse(_unreadable(cursor))
        if body[2 : 2 + _FINGERPRINT_BYTES] != self.fingerprint():
            raise InvalidCursor
        return body[2 + _FINGERPRINT_BYTES :] if kind == _AFTER else None

    def between(self, cursor: str | None, end: str | None) -> KeyRange:
        """The keys of (cursor, end] in walking order; None stands for the walk's own bounds."""
        start_key, end_key = self.within
        if cursor is not None:
            after = self.position(cursor)
            if after is None:
                return KeyRange(end_key, end_key)
            if self.reverse:
                end_key = min(end_key, after)
            else:
                start_key = max(start_key, successor(after))
        if end is not None:
            last = self.position(end)
            if last is not None and self.reverse:
                start_key = max(start_key, last)
            elif last is not None:
                end_key = min(end_key, successor(last))
        return KeyRange(start_key, max(start_key, end_key))


def check_options(options: PaginationOptions, documents_max: int) -> None:
    """Refuse sizes that make no page (texts of protocol section 6.2)."""
    count = options.numItems
    if count < 0:
        raise QueryMisuse(f"`options.numItems` must be a positive number. Received `{count}`.")
    if count == 0:
        raise QueryMisuse("Must request at least 1 document while paginating")
    if count > documents_max:
        raise QueryMisuse(
            f"Requested too many items: {count}. One page may read {documents_max} documents."
        )
    for limit in (options.maximumRowsRead, options.maximumBytesRead):
        if limit is not None and limit <= 0:
            raise QueryMisuse("maximumRowsRead and maximumBytesRead must be greater than 0")


def _unreadable(cursor: str) -> str:
    return (
        f"Failed to parse cursor {cursor[:80]!r}. Pass null for the first page, and then the "
        "`continueCursor` of the page before, unchanged."
    )
