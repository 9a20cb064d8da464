"""The store port: an append-only log of commits, and nothing else.

The engine serves everything from memory; a store only has to remember. What it remembers is a
sequence of commits with strictly ascending timestamps, each a set of document versions. Nothing is
ever changed in place: a delete is a version without a document.

Invariants that every adapter keeps (`tests/store/test_contract.py` runs them on all):

- `append` is all or nothing, and what it accepted survives a crash from the moment it returns.
- `replay(0)` yields exactly the accepted commits that compaction has not forgotten, each once,
  ascending, with their writes in the order in which they were given.
- Only one process has a single-writer store open; a second opener gets `StoreLocked`.
- Timestamps never go back: `open` returns the newest timestamp ever accepted, also after `compact`.

Calls come from one thread at a time (the engine's writer thread), though not always the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reactor.data.ids import InternalId
from reactor.errors import InternalProblem
from reactor.types import Timestamp


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """One version of one document: its wire JSON with `_id` and `_creationTime`, None = deleted."""

    table_number: int
    id: InternalId
    document: bytes | None


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction wrote. `writes` holds each document at most once."""

    ts: Timestamp
    writes: tuple[DocumentWrite, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """`append` did nothing: other writers appended these commits after the caller's `after`."""

    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """A field of a table as its wire name and the kind of its validator.

    Kinds: "string", "number", "bigint", "boolean", "bytes", "id"; anything else is shown as JSON.
    """

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What a person who opens the database with SQL should see as one table."""

    name: str
    table_number: int
    columns: tuple[ColumnDescription, ...]


class Store(Protocol):
    """A durable log of commits. Environment trouble is raised as a `StoreProblem`."""

    def open(self) -> Timestamp:
        """Take the lock, recover, and return the head timestamp (0 when nothing was ever appended).

        Raises `StoreLocked`, `StoreDamaged` or `StoreUnavailable`, naming the file and the way out.
        """

    def replay(self, after: Timestamp) -> Iterator[Commit]:
        """The commits with ts > `after`, ascending. Streams: memory does not grow with the log."""

    def append(self, commits: Sequence[Commit], after: Timestamp) -> Behind | None:
        """Make `commits` durable, all or nothing, or return what the caller had missed.

        `after` is the head that the caller knows. The commits ascend strictly from above it, and
        each writes something. A raised `StoreProblem` means that none of them was accepted; when
        that cannot be known (a failed fsync), the store refuses everything until it is reopened.
        """

    def follow(self, after: Timestamp) -> Iterator[Commit]:
        """Commits of other nodes with ts > `after`; a single-writer store has none."""

    def compact(self, horizon: Timestamp) -> None:
        """Forget the versions that no snapshot at or after `horizon` can see."""

    def describe(self, tables: Sequence[TableDescription]) -> None:
        """Show these tables, and no others, as SQL views with typed columns, where there is SQL."""

    def close(self) -> None:
        """Finish what is under way and release the lock. Idempotent."""


def check_append(commits: Sequence[Commit], head: Timestamp) -> None:
    """Raise `InternalProblem` unless `commits` may follow `head`: adapters call it first."""
    for commit in commits:
        if commit.ts <= head:
            raise InternalProblem(
                f"Commits must ascend: timestamp {commit.ts} was appended after {head}."
            )
        if not commit.writes:
            raise InternalProblem(f"The commit at {commit.ts} writes nothing: do not append it.")
        head = commit.ts
