"""The database file: a log of document versions that people can read with SQL.

    _reactor_log    one row per document version (ts in nanoseconds since the epoch, position in
                    its commit, table number, raw id, the document's JSON or NULL = deleted)
    _reactor_state  one row: format version, identity of the store, newest timestamp (`head`), and
                    whether it was stopped cleanly (`clean`; if not, newer commits are elsewhere)
    _reactor_views  the views that `describe` made, with their text (see `duckdb_views`)

A batch of commits and the new head are one DuckDB transaction, so a batch that is given twice (the
process died before the journal forgot it) is recognised by `head` and skipped: `insert` is
idempotent, and the log never holds half a commit. All writes hold `_writing`, which lets `describe`
and `compact` run while the mover works; readers have cursors of their own.

**The lock.** DuckDB locks its file against other processes with a POSIX lock, and would let in a
second user in the *same* process, so open files are also listed in `_open_files`. POSIX locks are
lost when any descriptor of the file is closed in the process: while the store is open, nothing in
this process may open the file except DuckDB. The file is created under another name and linked into
place complete, so that a crash while creating leaves nothing behind that cannot be opened.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from reactor.data.ids import InternalId
from reactor.errors import StoreDamaged, StoreLocked, StoreProblem, StoreUnavailable
from reactor.runtime import secret_bytes
from reactor.store.base import Commit, DocumentWrite, TableDescription
from reactor.store.duckdb_views import (
    DECODER_MACROS,
    LOG_TABLE,
    ViewSql,
    macro_of,
    quoted,
    view_sql,
)
from reactor.types import Timestamp

FORMAT_VERSION = 1
_FETCHED_ROWS = 10_000
_SORTED_ROWS = 100_000

_SCHEMA = (
    f"CREATE TABLE {LOG_TABLE} (ts BIGINT NOT NULL, position INTEGER NOT NULL, "
    "table_number BIGINT NOT NULL, id BLOB NOT NULL, document VARCHAR)",
    "CREATE TABLE _reactor_state (format INTEGER NOT NULL, store_id VARCHAR NOT NULL, "
    "head BIGINT NOT NULL, clean BOOLEAN NOT NULL)",
    "CREATE TABLE _reactor_views (name VARCHAR NOT NULL, text VARCHAR NOT NULL)",
    *DECODER_MACROS,
)
_INSERT = (
    f"INSERT INTO {LOG_TABLE} SELECT unnest(?::BIGINT[]), unnest(?::INTEGER[]), "
    "unnest(?::BIGINT[]), unnest(?::BLOB[]), unnest(?::VARCHAR[])"
)
#: Every so many rows a timestamp, to cut the log into ranges; the last range is open.
_BOUNDS = f"""
SELECT DISTINCT ts FROM (
    SELECT ts, row_number() OVER (ORDER BY ts) AS row FROM {LOG_TABLE} WHERE ts > $after
) WHERE row % $rows = 0 ORDER BY ts
"""
_RANGE = f"""
SELECT ts, table_number, id, document FROM {LOG_TABLE}
WHERE ts > $after AND ($upto IS NULL OR ts <= $upto) ORDER BY ts, position
"""
_COMPACT = f"""
DELETE FROM {LOG_TABLE} AS old USING (
    SELECT table_number, id, max(ts) AS latest FROM {LOG_TABLE} WHERE ts <= $horizon GROUP BY ALL
) AS newest
WHERE old.ts <= $horizon AND old.table_number = newest.table_number AND old.id = newest.id
  AND (old.ts < newest.latest OR old.document IS NULL)
"""

_open_files: set[tuple[int, int]] = set()  # (device, inode) of the files open in this process
_open_files_lock = threading.Lock()


class DuckDBLog:
    """One open database file.

    `head` is the newest timestamp in it; `clean` says that no newer commit is in a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Timestamp = 0
        self.store_id = ""
        self.clean = True
        self._writing = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._folder: int | None = None  # descriptor of the folder, to sync it

    def open(self) -> None:
        """Create the file if there is none, lock it, and check that it is ours to use."""
        try:
            with self._problems("opened"):
                self._prepare_folder()
                if not self.path.exists():
                    self._create()
                self._claim()
                self._connection = duckdb.connect(str(self.path))
                self._read_state(self._connection)
        except BaseException:
            self.close()
            raise

    def insert(self, commits: Sequence[Commit]) -> None:
        """Add the commits that are not in the log yet. Durable on return."""
        with self._transaction("written") as connection:
            # Asked, not remembered: an earlier try may have been stored although it raised.
            head = _head(connection)
            rows = _columns(commit for commit in commits if commit.ts > head)
            if rows[0]:
                connection.execute(_INSERT, rows)
                connection.execute("UPDATE _reactor_state SET head = ?", [commits[-1].ts])
        self.head = max(head, commits[-1].ts)
        self._sync_folder()

    def mark(self, *, clean: bool) -> None:
        """Remember whether this file is all there is, or its journal has newer commits."""
        if clean != self.clean:
            with self._transaction("marked") as connection:
                connection.execute("UPDATE _reactor_state SET clean = ?", [clean])
            self.clean = clean
            self._sync_folder()

    def commits(self, after: Timestamp) -> Iterator[Commit]:
        """The commits with ts > `after`, ascending. Streams from one snapshot of the log.

        Sorting the whole log would hold it in memory, so it is read in ranges of timestamps.
        """
        cursor = self._open_connection().cursor()
        try:
            with self._problems("read"):
                cursor.execute("BEGIN")
                bounds = cursor.execute(_BOUNDS, {"after": after, "rows": _SORTED_ROWS}).fetchall()
                for (upto,) in [*bounds, (None,)]:
                    cursor.execute(_RANGE, {"after": after, "upto": upto})
                    yield from _grouped(cursor)
                    after = upto
        finally:
            cursor.close()

    def compact(self, horizon: Timestamp) -> None:
        """Delete the versions that no snapshot at or after `horizon` can see."""
        with self._transaction("compacted") as connection:
            connection.execute(_COMPACT, {"horizon": horizon})

    def describe(self, tables: Sequence[TableDescription]) -> None:
        """Make the views equal `tables`; untouched views cost nothing."""
        wanted = {view.name: view for view in view_sql(tables)}
        with self._transaction("described") as connection:
            shown: dict[str, str] = dict(
                connection.execute("SELECT name, text FROM _reactor_views").fetchall()
            )
            for name, text in shown.items():
                if name not in wanted or wanted[name].text != text:
                    connection.execute(f"DROP VIEW IF EXISTS {quoted(name)}")
                    connection.execute(f"DROP MACRO TABLE IF EXISTS {quoted(macro_of(name))}")
                    connection.execute("DELETE FROM _reactor_views WHERE name = ?", [name])
            for view in wanted.values():
                if shown.get(view.name) != view.text:
                    self._create_view(connection, view)

    def _create_view(self, connection: duckdb.DuckDBPyConnection, view: ViewSql) -> None:
        taken = connection.execute(
            "SELECT table_type FROM information_schema.tables WHERE table_catalog = "
            "current_database() AND table_schema = 'main' AND lower(table_name) = ?",
            [view.name.lower()],
        ).fetchone()
        if taken is not None:
            raise StoreUnavailable(
                f"The database file {self.path} already has a table or view {view.name!r} that "
                "reactor did not make, so the app's table of that name cannot be shown. Rename or "
                "drop it."
            )
        connection.execute(view.view)
        connection.execute(view.macro)
        connection.execute("INSERT INTO _reactor_views VALUES (?, ?)", [view.name, view.text])

    def close(self) -> None:
        """Fold DuckDB's log into the file and release the lock. Idempotent."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with self._writing, suppress(duckdb.Error):  # what is not folded in stays beside it
                    connection.execute("CHECKPOINT")
                connection.close()
        finally:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None
            if self._file is not None:
                with _open_files_lock:
                    _open_files.discard(self._file)
                self._file = None

    def _prepare_folder(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise StoreUnavailable(
                f"The folder of the database file {self.path} could not be created: "
                f"{error.strerror}. Create {folder} yourself or choose another place."
            ) from error
        if self.path.is_dir():
            raise StoreUnavailable(
                f"The database file {self.path} is a folder. Name a file, such as "
                f"{self.path / 'data.duckdb'}."
            )

    def _create(self) -> None:
        unfinished = self.path.with_name(f"{self.path.name}.{secret_bytes(6).hex()}.new")
        try:
            connection = duckdb.connect(str(unfinished))
            try:
                _create_schema(connection)
            finally:
                connection.close()
            with suppress(FileExistsError):  # another process was faster: use its file
                os.link(unfinished, self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _claim(self) -> None:
        """Refuse a second user in this process, whom DuckDB would let in."""
        status = os.stat(self.path)
        file = (status.st_dev, status.st_ino)
        with _open_files_lock:
            if file in _open_files:
                raise StoreLocked(
                    f"The database file {self.path} is already open in this process. Use the "
                    "application that has it open, or close that first."
                )
            _open_files.add(file)
        self._file = file

    def _read_state(self, connection: duckdb.DuckDBPyConnection) -> None:
        ours = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = '_reactor_state' "
            "AND database_name = current_database()"
        ).fetchone()
        if ours == (0,):
            _create_schema(connection)
        row = connection.execute("SELECT * FROM _reactor_state").fetchone()
        if row is None:
            raise StoreDamaged(
                f"The database file {self.path} lost its row in _reactor_state. Restore it from a "
                "backup."
            )
        version = row[0]
        if version > FORMAT_VERSION:
            raise StoreUnavailable(
                f"The database file {self.path} has format {version}; this reactor knows formats "
                f"up to {FORMAT_VERSION}. Open it with the newer reactor that wrote it."
            )
        _, self.store_id, self.head, self.clean = row

    def _open_connection(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreUnavailable(
                f"The database file {self.path} is closed: open the store first."
            )
        return self._connection

    def _sync_folder(self) -> None:
        """Make the names of new files last, such as that of DuckDB's own write-ahead log."""
        with self._problems("synced"):
            if self._folder is not None:
                os.fsync(self._folder)

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._writing, self._problems(doing):
            connection = self._open_connection()
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _problems(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise _problem(self.path, doing, str(error)) from error


def _create_schema(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO _reactor_state VALUES (?, ?, 0, true)",
        [FORMAT_VERSION, secret_bytes(16).hex()],
    )
    connection.execute("COMMIT")


def _head(connection: duckdb.DuckDBPyConnection) -> Timestamp:
    row = connection.execute("SELECT head FROM _reactor_state").fetchone()
    assert row is not None  # checked by `open`
    head: Timestamp = row[0]
    return head


def _columns(
    commits: Iterable[Commit],
) -> tuple[list[int], list[int], list[int], list[bytes], list[str | None]]:
    """The writes as columns: unnesting five lists is what DuckDB inserts fastest from Python."""
    timestamps: list[int] = []
    positions: list[int] = []
    table_numbers: list[int] = []
    ids: list[bytes] = []
    documents: list[str | None] = []
    for commit in commits:
        for position, write in enumerate(commit.writes):
            timestamps.append(commit.ts)
            positions.append(position)
            table_numbers.append(write.table_number)
            ids.append(write.id)
            documents.append(None if write.document is None else str(write.document, "utf-8"))
    return timestamps, positions, table_numbers, ids, documents


def _grouped(cursor: duckdb.DuckDBPyConnection) -> Iterator[Commit]:
    """The rows of `_RANGE` as commits."""
    current: Timestamp | None = None
    writes: list[DocumentWrite] = []
    while rows := cursor.fetchmany(_FETCHED_ROWS):
        for ts, table_number, id_bytes, document in rows:
            if ts != current:
                if current is not None:
                    yield Commit(current, tuple(writes))
                current, writes = ts, []
            encoded = None if document is None else document.encode()
            writes.append(DocumentWrite(table_number, InternalId(id_bytes), encoded))
    if current is not None:
        yield Commit(current, tuple(writes))


def _problem(path: Path, doing: str, text: str) -> StoreProblem:
    if "Could not set lock" in text:
        holder = text.partition("held in ")[2].partition(". See ")[0]
        return StoreLocked(
            f"The database file {path} is open in another process"
            + (f" ({holder})" if holder else "")
            + ". Stop that process, or talk to the server that it runs instead of opening its file."
        )
    if "not a valid DuckDB" in text:
        return StoreUnavailable(
            f"{path} exists but is not a DuckDB database file. Name another file, or move this one "
            "away."
        )
    if "newer version of DuckDB" in text:
        return StoreUnavailable(
            f"The database file {path} was written by a newer DuckDB: {text} Upgrade the duckdb "
            "package."
        )
    if any(sign in text for sign in ("orrupt", "hecksum", "Serialization")):
        return StoreDamaged(
            f"The database file {path} is damaged: {text} Restore it from a backup (the journal "
            "beside it only holds the newest commits)."
        )
    return StoreUnavailable(
        f"The database file {path} could not be {doing}: {text} Check that the file is writable "
        "and the disk has room; if DuckDB asks for a restart, restart. Nothing acknowledged is "
        "lost."
    )
