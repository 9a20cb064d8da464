"""The journal: a small SQLite file that makes commits durable before they are acknowledged.

`append` is one SQLite transaction (WAL, synchronous=FULL): it returns after the fsync. The mover
carries what was appended into DuckDB and then *releases* it; released rows are deleted here.

Two threads use the one connection, so every use holds `_lock`, and deletion must not make the
writer wait for long:

- Under load, each `append` deletes a bounded number of released rows **in its own transaction**:
  no second fsync, no race, and (because it deletes more rows than it inserts as long as there are
  any) the file cannot grow faster than the mover falls behind, which the mover's backlog bounds.
- When the mover has nothing left to do it calls `trim`, which deletes in small transactions and
  gives way between two of them as soon as a writer waits.

Why a deletion can never lose a commit: only timestamps passed to `release` are deleted, `release`
is called after DuckDB's own fsync, and a lost deletion is harmless, since the database skips what
it already has. The row `released` remembers the newest deleted timestamp, so that a database file
which lacks those commits (an old backup put beside a newer journal) is noticed.

The journal is locked for the life of the connection (locking_mode=EXCLUSIVE), and it is only
touched by the process that holds the lock of the database file.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from reactor.data.ids import InternalId
from reactor.errors import StoreDamaged, StoreLocked, StoreProblem, StoreUnavailable
from reactor.store.base import Commit, DocumentWrite
from reactor.types import Timestamp

FORMAT_VERSION = 1
_APPLICATION_ID = 0x52454143  # "REAC": what `file` and SQLite show
_DELETED_PER_TRANSACTION = 500
_FETCHED_ROWS = 2_000

_SCHEMA = f"""
BEGIN;
CREATE TABLE journal (
    ts INTEGER NOT NULL, position INTEGER NOT NULL, table_number INTEGER NOT NULL,
    id BLOB NOT NULL, document BLOB, checksum INTEGER NOT NULL, PRIMARY KEY (ts, position)
) WITHOUT ROWID;
CREATE TABLE journal_state (store_id TEXT NOT NULL, released INTEGER NOT NULL);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
COMMIT;
"""
_Row = tuple[int, int, int, bytes, bytes | None, int]


class Journal:
    """The acknowledged commits that the database file does not hold yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._writer_waits = False
        self._connection: sqlite3.Connection | None = None
        self._released: Timestamp = 0  # DuckDB has everything up to here
        self._deleted: Timestamp = 0  # rows up to here are gone
        self._uncertain = False  # a commit's outcome is unknown: refuse until reopened

    def open(self, store_id: str, database_head: Timestamp) -> None:
        """Open or create the journal of the database `store_id`, whose newest commit is given."""
        try:
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=0
            )
            self._connection = connection
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"PRAGMA journal_size_limit={16 << 20}")
            self._prepare(connection, store_id, database_head)
        except sqlite3.Error as error:
            self.close()
            raise self._opening_problem(error) from error
        except BaseException:
            self.close()
            raise

    def _prepare(
        self, connection: sqlite3.Connection, store_id: str, database_head: Timestamp
    ) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT_VERSION:
            raise StoreUnavailable(
                f"The journal {self.path} has format {version}; this reactor knows formats up to "
                f"{FORMAT_VERSION}. Open it with the newer reactor that wrote it."
            )
        if version == 0:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:
                raise StoreUnavailable(
                    f"{self.path} is an SQLite database but not a reactor journal. Move it away: "
                    "its name is reserved for the journal of the database file beside it."
                )
            connection.executescript(_SCHEMA)
            self._reset(connection, store_id, database_head)
            return
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise self._damaged(str(check))
        self._adopt(connection, store_id, database_head)

    def _adopt(
        self, connection: sqlite3.Connection, store_id: str, database_head: Timestamp
    ) -> None:
        """Check that an existing journal continues this database, at the point where it is."""
        state = connection.execute("SELECT store_id, released FROM journal_state").fetchone()
        (rows,) = connection.execute("SELECT count(*) FROM journal").fetchone()
        if state is None or state[0] != store_id:
            if rows:
                raise StoreDamaged(
                    f"The journal {self.path} holds {rows} document writes that belong to another "
                    "database file than the one beside it (was that deleted or replaced?). Put the "
                    "database file back, or put an empty file in the journal's place to go on "
                    "without its writes."
                )
            self._reset(connection, store_id, database_head)
        elif state[1] > database_head:
            raise StoreDamaged(
                f"The database file beside the journal {self.path} ends at timestamp "
                f"{database_head}, but the journal continues after {state[1]}: the commits between "
                "are missing (was an old backup put back?). Put the newer database file back, or "
                "put an empty file in the journal's place to go on with the old state."
            )
        else:
            self._released = self._deleted = state[1]

    def _reset(
        self, connection: sqlite3.Connection, store_id: str, database_head: Timestamp
    ) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM journal_state")
        connection.execute("INSERT INTO journal_state VALUES (?, ?)", (store_id, database_head))
        connection.execute("COMMIT")
        self._released = self._deleted = database_head

    def commits(self) -> Iterator[Commit]:
        """Everything that is still here, ascending; streams. Only before the first `append`."""
        cursor = self._open_connection().execute(
            "SELECT ts, position, table_number, id, document, checksum FROM journal "
            "ORDER BY ts, position"
        )
        try:
            yield from self._group(cursor)
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error
        finally:
            cursor.close()

    def _group(self, cursor: sqlite3.Cursor) -> Iterator[Commit]:
        current: Timestamp | None = None
        writes: list[DocumentWrite] = []
        while rows := cursor.fetchmany(_FETCHED_ROWS):
            for ts, position, table_number, id_bytes, document, checksum in rows:
                if checksum != _checksum(ts, position, table_number, id_bytes, document):
                    raise self._damaged(f"the checksum of write {position} at {ts} is wrong")
                if ts != current:
                    if current is not None:
                        yield Commit(current, tuple(writes))
                    current, writes = ts, []
                if position != len(writes):
                    raise self._damaged(f"write {len(writes)} of the commit at {ts} is missing")
                writes.append(DocumentWrite(table_number, InternalId(id_bytes), document))
        if current is not None:
            yield Commit(current, tuple(writes))

    def append(self, commits: Sequence[Commit]) -> None:
        """Make `commits` durable, all or nothing. One fsync for all of them."""
        rows = list(_rows(commits))
        self._writer_waits = True
        with self._lock:
            self._writer_waits = False
            connection = self._open_connection()
            if self._uncertain:
                raise StoreUnavailable(
                    f"The journal {self.path} failed while it synced a commit, so it is not known "
                    "what reached the disk. Restart to find out; nothing is accepted until then."
                )
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", rows)
                deleted = self._delete_some(connection, 2 * len(rows))
            except sqlite3.Error as error:
                _roll_back(connection)
                raise self._refused(error) from error
            self._commit(connection)
            self._deleted = deleted

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk stops SQLite before the frame that marks the commit is written. After any
            # other failure that frame may be in the file, and reopening may find it.
            self._uncertain = error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL
            _roll_back(connection)
            raise self._refused(error) from error

    def release(self, upto: Timestamp) -> None:
        """The database file holds every commit up to `upto`: their rows may go, at any time."""
        self._released = upto

    def trim(self) -> None:
        """Delete released rows in small transactions until done, or until a writer waits."""
        while self._deleted < self._released and not self._writer_waits:
            with self._lock:
                connection = self._open_connection()
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    deleted = self._delete_some(connection, _DELETED_PER_TRANSACTION)
                    connection.execute("COMMIT")
                except sqlite3.Error as error:
                    _roll_back(connection)
                    raise self._refused(error) from error
                self._deleted = deleted

    def _delete_some(self, connection: sqlite3.Connection, rows_max: int) -> Timestamp:
        """Delete at least one and about `rows_max` released rows; returns the new `_deleted`."""
        released = self._released
        if self._deleted >= released:
            return self._deleted
        row = connection.execute(
            "SELECT ts FROM journal WHERE ts <= ? ORDER BY ts LIMIT 1 OFFSET ?",
            (released, max(rows_max, _DELETED_PER_TRANSACTION)),
        ).fetchone()
        upto: Timestamp = released if row is None else row[0]
        connection.execute("DELETE FROM journal WHERE ts <= ?", (upto,))
        connection.execute("UPDATE journal_state SET released = ?", (upto,))
        return upto

    def close(self) -> None:
        """Release the file. What it holds stays for the next opening. Idempotent."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def is_empty(self) -> bool:
        """Whether the database file has everything and this file may go."""
        with self._lock:
            found = self._open_connection().execute("SELECT 1 FROM journal LIMIT 1").fetchone()
            return found is None

    def remove(self) -> None:
        """Close, and delete the file, which must be empty."""
        assert self.is_empty()
        self.close()
        for suffix in ("", "-wal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f"The journal {self.path} is closed: open the store first.")
        return self._connection

    def _damaged(self, reason: str) -> StoreDamaged:
        return StoreDamaged(
            f"The journal {self.path} is damaged: {reason}. It holds the newest commits, those not "
            "yet in the database file. Restore both files from a backup, or put an empty file in "
            "the journal's place to go on without those commits."
        )

    def _opening_problem(self, error: sqlite3.Error) -> StoreProblem:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreLocked(
                f"The journal {self.path} is open in another program. Close that one; only the "
                "server itself may open its journal."
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._damaged(str(error))
        return StoreUnavailable(
            f"The journal {self.path} could not be opened: {error}. It is created beside the "
            "database file: that folder must be writable and have room."
        )

    def _refused(self, error: sqlite3.Error) -> StoreUnavailable:
        return StoreUnavailable(
            f"The journal {self.path} could not be written: {error}. Nothing of this group was "
            "accepted. Make room on the disk, or make the file writable, and try again."
        )


def _rows(commits: Sequence[Commit]) -> Iterator[_Row]:
    for commit in commits:
        ts = commit.ts
        for position, write in enumerate(commit.writes):
            number, id_bytes, document = write.table_number, bytes(write.id), write.document
            checksum = _checksum(ts, position, number, id_bytes, document)
            yield ts, position, number, id_bytes, document, checksum


def _checksum(
    ts: int, position: int, table_number: int, id_bytes: bytes, document: bytes | None
) -> int:
    deleted = document is None
    head = struct.pack("<qqq?", ts, position, table_number, deleted) + id_bytes
    return zlib.crc32(document or b"", zlib.crc32(head))


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
