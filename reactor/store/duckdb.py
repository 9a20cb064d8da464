"""`duckdb:///file`: one DuckDB file, and a journal beside it that makes commits durable at once.

A DuckDB commit is too slow to wait for and a DuckDB file too good to go without, so a commit passes
two places:

1. `append` writes the journal (SQLite, fsync): **acknowledged**. It survives from here on.
2. The mover's thread writes batches into DuckDB, and only after DuckDB's own fsync releases them in
   the journal, which deletes them in a later transaction of the writer or when there is no writer
   (`journal` argues why that is safe).

At every moment the database file plus the journal hold each acknowledged commit at least once, and
`head` in the database file tells which ones of the journal it already has: `open` moves the rest,
which is idempotent. A clean stop leaves the DuckDB file alone, without a journal; after any other
end the file is marked as not clean, and is refused without its journal.

Lock order: the lock of the DuckDB file is taken first and released last; the journal is created,
read and deleted only under it.

SQL readers in other processes must wait until the server stops (DuckDB allows one process), or ask
the server. A copy of the DuckDB file made while it runs lacks the newest commits, and says so when
it is opened.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from reactor.errors import StoreDamaged, StoreLocked, StoreProblem, StoreUnavailable
from reactor.store.base import Behind, Commit, TableDescription, check_append
from reactor.store.duckdb_log import DuckDBLog
from reactor.store.journal import Journal
from reactor.store.mover import BATCH_BYTES, BATCH_WRITES, Mover
from reactor.types import Timestamp


class DuckDBStore:
    """A single-writer store in one DuckDB file; see the module for how it is made durable.

    Cost on an ordinary disk: `append` one fsync; `open` a fraction of a second plus what the
    journal still holds; `replay` about 1.5 µs a write.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))  # where its journal is, however it is named
        self.journal_path = self.path.with_name(self.path.name + ".journal")
        self._log = DuckDBLog(self.path)
        self._journal = Journal(self.journal_path)
        self._mover: Mover | None = None
        self._head: Timestamp = 0

    def open(self) -> Timestamp:
        if self._mover is not None:
            raise StoreLocked(
                f"The database file {self.path} is already open in this process. Use the "
                "application that has it open, or close that first."
            )
        self._log.open()
        try:
            self._check_journal_is_there()
            self._journal.open(self._log.store_id, self._log.head)
            self._recover()
            self._log.mark(clean=False)
        except BaseException:
            self._journal.close()
            self._log.close()
            raise
        self._head = self._log.head
        self._mover = Mover(self._move, self._tidy)
        atexit.register(self.close)  # a script that forgets to close still leaves one clean file
        return self._head

    def replay(self, after: Timestamp) -> Iterator[Commit]:
        self._open_mover().flush()
        return self._log.commits(after)

    def append(self, commits: Sequence[Commit], after: Timestamp) -> Behind | None:
        mover = self._open_mover()
        check_append(commits, self._head)
        if commits:
            mover.make_room()
            self._journal.append(commits)
            self._head = commits[-1].ts
            mover.offer(commits)
        return None

    def follow(self, after: Timestamp) -> Iterator[Commit]:
        self._open_mover()
        return iter(())

    def compact(self, horizon: Timestamp) -> None:
        self._open_mover().flush()
        self._log.compact(horizon)

    def describe(self, tables: Sequence[TableDescription]) -> None:
        self._open_mover()
        self._log.describe(tables)

    def close(self) -> None:
        """Move everything and leave one file. Raises when that failed: the journal then keeps it,
        and the next `open` moves it. The lock is released in any case."""
        mover, self._mover = self._mover, None
        if mover is None:
            return
        atexit.unregister(self.close)
        try:
            mover.stop()
            self._journal.trim()
            if self._journal.is_empty():
                self._log.mark(clean=True)
                self._journal.remove()
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"The journal {self.journal_path} could not be emptied: {error}. Nothing is lost: "
                "the next start reads it."
            ) from error
        finally:
            self._journal.close()
            self._log.close()

    def _check_journal_is_there(self) -> None:
        if not self._log.clean and not self.journal_path.exists():
            raise StoreDamaged(
                f"The database file {self.path} was not stopped cleanly, and its journal "
                f"{self.journal_path} with the newest commits is gone. Put the journal back (was "
                "the database moved or copied without it?), or create an empty file of that name "
                "to go on without those commits."
            )

    def _recover(self) -> None:
        """Move what the journal still holds, in batches, and empty it."""
        batch: list[Commit] = []
        writes = size_bytes = 0
        for commit in self._journal.commits():
            batch.append(commit)
            writes += len(commit.writes)
            size_bytes += sum(len(write.document or b"") for write in commit.writes)
            if writes >= BATCH_WRITES or size_bytes >= BATCH_BYTES:
                self._move(batch)
                batch, writes, size_bytes = [], 0, 0
        if batch:
            self._move(batch)
        self._journal.trim()

    def _move(self, commits: Sequence[Commit]) -> None:
        self._log.insert(commits)
        self._journal.release(commits[-1].ts)

    def _tidy(self) -> None:
        with suppress(StoreProblem):  # deleting can wait: the next append tries, and reports
            self._journal.trim()

    def _open_mover(self) -> Mover:
        if self._mover is None:
            raise StoreUnavailable(f"The store {self.path} is not open: call open() first.")
        return self._mover
