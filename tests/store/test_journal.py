"""The journal alone: what it keeps, when it lets go, and what it says about a damaged file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reactor.data.ids import InternalId
from reactor.errors import StoreDamaged, StoreLocked, StoreUnavailable
from reactor.store.base import Commit, DocumentWrite
from reactor.store.journal import Journal


def commit(ts: int, count: int = 1, document: bytes | None = b"{}") -> Commit:
    writes = (DocumentWrite(7, InternalId(k.to_bytes(16, "big")), document) for k in range(count))
    return Commit(ts, tuple(writes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d.journal"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    made.open("store", 0)
    yield made
    made.close()


def reopened(journal: Journal, store_id: str = "store", database_head: int = 0) -> list[Commit]:
    journal.close()
    journal.open(store_id, database_head)
    return list(journal.commits())


def timestamps(path: Path) -> list[int]:
    """The rows of a closed journal, read past the code under test."""
    connection = sqlite3.connect(path)
    found = [ts for (ts,) in connection.execute("SELECT DISTINCT ts FROM journal ORDER BY ts")]
    connection.close()
    return found


def test_what_was_appended_is_there_after_reopening(journal: Journal) -> None:
    commits = [commit(3, 2), commit(5, 1, None)]
    journal.append(commits)
    assert reopened(journal) == commits


def test_released_commits_go_with_the_next_append(journal: Journal, path: Path) -> None:
    journal.append([commit(1), commit(2)])
    journal.release(1)
    journal.append([commit(3)])
    journal.close()
    assert timestamps(path) == [2, 3]


def test_released_commits_go_when_trimmed(journal: Journal, path: Path) -> None:
    journal.append([commit(ts, 3) for ts in range(1, 2_000)])
    journal.release(1_990)
    journal.trim()
    journal.close()
    assert timestamps(path) == list(range(1_991, 2_000))


def test_nothing_that_was_not_released_is_ever_deleted(journal: Journal, path: Path) -> None:
    journal.append([commit(ts) for ts in range(1, 50)])
    journal.trim()
    journal.append([commit(50)])
    journal.close()
    assert timestamps(path) == list(range(1, 51))


def test_the_file_does_not_grow_while_releases_keep_up(journal: Journal, path: Path) -> None:
    document = b'{"x":"' + b"y" * 500 + b'"}'
    sizes = []
    for group in range(60):
        start = 1 + group * 100
        journal.append([commit(ts, 1, document) for ts in range(start, start + 100)])
        journal.release(start + 99)
        sizes.append(path.stat().st_size)
    assert max(sizes[30:]) <= max(sizes[:30])


def test_appending_and_trimming_at_once_loses_nothing(journal: Journal, path: Path) -> None:
    stop = threading.Event()

    def trim_until_stopped() -> None:
        while not stop.is_set():
            journal.trim()

    trimmer = threading.Thread(target=trim_until_stopped)
    trimmer.start()
    for ts in range(1, 400):
        journal.append([commit(ts)])
        journal.release(ts - 5)
    stop.set()
    trimmer.join()
    journal.trim()
    journal.close()
    assert timestamps(path) == list(range(395, 400))


def test_remove_deletes_an_empty_journal(journal: Journal, path: Path) -> None:
    journal.append([commit(1)])
    journal.release(1)
    journal.trim()
    journal.remove()
    assert list(path.parent.iterdir()) == []


def test_a_journal_is_empty_only_when_all_its_commits_are_gone(journal: Journal) -> None:
    journal.append([commit(1), commit(2)])
    journal.release(1)
    journal.trim()
    assert not journal.is_empty()
    journal.release(2)
    journal.trim()
    assert journal.is_empty()


def test_an_empty_file_in_place_of_a_journal_starts_a_new_one(journal: Journal, path: Path) -> None:
    journal.append([commit(1)])
    journal.close()
    path.write_bytes(b"")
    assert reopened(journal) == []


def test_a_closed_journal_says_so(journal: Journal) -> None:
    journal.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        journal.append([commit(1)])


def test_a_failed_append_leaves_nothing_behind(journal: Journal) -> None:
    journal.append([commit(1)])
    with pytest.raises(StoreUnavailable, match="Nothing of this group was accepted"):
        journal.append([commit(2), commit(1)])  # the second breaks the primary key
    journal.append([commit(3)])
    assert [c.ts for c in reopened(journal)] == [1, 3]


def test_a_full_disk_refuses_the_group_and_later_ones_succeed(journal: Journal) -> None:
    journal.append([commit(1)])
    connection = journal._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreUnavailable, match="full"):
        journal.append([commit(2, 100, b"{}" * 5_000)])
    connection.execute("PRAGMA max_page_count=1000000")
    journal.append([commit(3)])
    assert [c.ts for c in reopened(journal)] == [1, 3]


def test_a_journal_that_another_program_has_open_is_locked(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreLocked, match="another program"):
        Journal(path).open("store", 0)
    other.close()


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(StoreDamaged, match="not a database"):
        Journal(path).open("store", 0)


def test_someone_elses_sqlite_file_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(StoreUnavailable, match="not a reactor journal"):
        Journal(path).open("store", 0)


def test_a_newer_format_is_refused(journal: Journal, path: Path) -> None:
    journal.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(StoreUnavailable, match=r"format 99.*newer reactor"):
        journal.open("store", 0)


def test_a_changed_byte_in_a_document_is_noticed(journal: Journal, path: Path) -> None:
    journal.append([commit(1, 3, b'{"a":1}')])
    journal.close()
    data = path.read_bytes()
    assert data.count(b'{"a":1}') == 3
    path.write_bytes(data.replace(b'{"a":1}', b'{"a":2}', 1))
    journal.open("store", 0)
    with pytest.raises(StoreDamaged, match="checksum"):
        list(journal.commits())


def test_a_missing_write_of_a_commit_is_noticed(journal: Journal, path: Path) -> None:
    journal.append([commit(1, 3)])
    journal.close()
    other = sqlite3.connect(path)
    other.execute("DELETE FROM journal WHERE position = 1")
    other.commit()
    other.close()
    journal.open("store", 0)
    with pytest.raises(StoreDamaged, match="write 1 of the commit at 1 is missing"):
        list(journal.commits())


def test_commits_of_another_database_are_not_taken_over(journal: Journal) -> None:
    journal.append([commit(1)])
    with pytest.raises(StoreDamaged, match="belong to another database"):
        reopened(journal, store_id="other")


def test_an_empty_journal_of_another_database_is_taken_over(journal: Journal) -> None:
    assert reopened(journal, store_id="other", database_head=40) == []


def test_a_database_older_than_what_the_journal_deleted_is_noticed(journal: Journal) -> None:
    journal.append([commit(1), commit(2), commit(3)])
    journal.release(2)
    journal.trim()
    with pytest.raises(StoreDamaged, match="commits between"):
        reopened(journal, database_head=1)
    assert [c.ts for c in reopened(journal, database_head=2)] == [3]
