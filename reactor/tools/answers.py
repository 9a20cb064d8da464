"""A call from the command line, wherever the store is open.

`connect` finds the server that holds the store and otherwise opens the store in this process. Both
ways give the same `Connection`, with the rights of an administrator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from reactor.data.values import Value

Arguments = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a call: `error` is None when it succeeded."""

    value: Value
    error: str | None
    log_lines: tuple[str, ...]


class Connection(Protocol):
    """One app, to call and to watch."""

    async def call(self, path: str, args: Arguments) -> Answer:
        """Run a function of any kind, internal ones too."""

    def watch(self, path: str, args: Arguments) -> AsyncIterator[Answer]:
        """The result of a query now, and after each change, until the caller stops."""

    async def close(self) -> None:
        """Let go of the server or the store."""
