"""The keystone: small names that every floor may import."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

#: Commit order: nanoseconds since the Unix epoch, strictly increasing from commit to commit.
Timestamp: TypeAlias = int


class IndexId(NamedTuple):
    """One index of one table. The built-in ones are `BY_ID` and `BY_CREATION_TIME`."""

    table_number: int
    name: str


BY_ID = "by_id"
BY_CREATION_TIME = "by_creation_time"
