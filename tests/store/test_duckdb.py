"""The DuckDB adapter beyond the contract: where commits are, what failures do, what errors say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from reactor.errors import StoreDamaged, StoreLocked, StoreProblem, StoreUnavailable
from reactor.store import duckdb_log, mover
from reactor.store.base import Commit
from reactor.store.duckdb import DuckDBStore
from reactor.store.urls import open_store
from tests.store.test_contract import commit, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[DuckDBStore]:
    made = DuckDBStore(path)
    made.open()
    yield made
    with suppress(StoreProblem):
        made.close()


def logged(path: Path) -> list[int]:
    """The timestamps in DuckDB's log. Joins the store's database when that is open here."""
    with duckdb.connect(path) as connection:
        rows = connection.execute("SELECT ts FROM _reactor_log ORDER BY ts, position").fetchall()
    return [ts for (ts,) in rows]


def break_log(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE _reactor_log RENAME TO hidden")


def mend_log(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO _reactor_log")


def abandoned(path: Path, commits: list[Commit]) -> None:
    """Leave `commits` in the journal only, as a crash before the mover ran would."""
    store = DuckDBStore(path)
    store.open()
    break_log(path)
    store.append(commits, 0)
    with pytest.raises(StoreUnavailable):
        store.close()
    mend_log(path)


def test_a_clean_stop_leaves_the_database_file_alone(store: DuckDBStore, path: Path) -> None:
    store.append([commit(1), commit(2)], 0)
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["d.duckdb"]
    assert logged(path) == [1, 2]


def test_appended_commits_reach_duckdb_without_another_call(store: DuckDBStore, path: Path) -> None:
    moved = store._mover
    assert moved is not None
    store.append([commit(1)], 0)
    with moved._changed:
        assert moved._changed.wait_for(moved._is_done, timeout=10)
    assert logged(path) == [1]


def test_opening_moves_what_the_journal_holds(path: Path) -> None:
    commits = [commit(1, write(1), write(2)), commit(2)]
    abandoned(path, commits)
    assert logged(path) == []
    store = DuckDBStore(path)
    assert store.open() == 2
    assert list(store.replay(0)) == commits
    store.close()
    assert not store.journal_path.exists()


def test_commits_that_are_in_both_places_are_not_doubled(path: Path) -> None:
    # Given a crash between DuckDB's commit and the journal's deletion
    abandoned(path, [commit(1, write(1), write(2)), commit(2), commit(3)])
    with duckdb.connect(path) as connection:
        connection.execute(
            "INSERT INTO _reactor_log VALUES (1, 0, 7, '\\x01', '{}'), (1, 1, 7, '\\x02', '{}')"
        )
        connection.execute("UPDATE _reactor_state SET head = 1")
    # When the store is opened, and again
    for _ in range(2):
        store = DuckDBStore(path)
        assert store.open() == 3
        store.close()
    # Then only what was missing has been added
    assert logged(path) == [1, 1, 2, 3]


def test_a_large_journal_is_recovered_in_batches(path: Path) -> None:
    commits = [commit(ts, write(1), write(2), write(3)) for ts in range(1, 5_000)]
    abandoned(path, commits)
    store = DuckDBStore(path)
    assert store.open() == 4_999
    assert list(store.replay(0)) == commits
    store.close()


def test_when_duckdb_fails_appends_are_refused_and_nothing_is_lost(
    store: DuckDBStore, path: Path
) -> None:
    store.append([commit(1)], 0)
    list(store.replay(0))
    break_log(path)
    store.append([commit(2)], 1)  # the journal takes it
    with pytest.raises(StoreUnavailable, match="Nothing acknowledged is lost"):
        list(store.replay(0))
    with pytest.raises(StoreUnavailable, match="could not be written"):
        store.append([commit(3)], 2)
    mend_log(path)
    store.append([commit(4)], 2)
    assert [c.ts for c in store.replay(0)] == [1, 2, 4]


def test_close_reports_what_could_not_be_moved_and_lets_go_of_the_file(
    store: DuckDBStore, path: Path
) -> None:
    break_log(path)
    store.append([commit(1)], 0)
    with pytest.raises(StoreUnavailable, match=r"d.duckdb"):
        store.close()
    store.close()
    mend_log(path)
    again = DuckDBStore(path)
    assert again.open() == 1
    again.close()


def test_a_full_backlog_makes_append_wait_instead_of_growing(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "BACKLOG_WRITES_MAX", 10)
    moving = store._mover
    assert moving is not None
    for ts in range(1, 200):
        store.append([commit(ts, write(1), write(2), write(3))], ts - 1)
        assert moving._backlog_writes <= 10 + 3
    assert [c.ts for c in store.replay(0)] == list(range(1, 200))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_replay_is_whole_wherever_it_is_cut_into_ranges(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(duckdb_log, "_SORTED_ROWS", rows)
    commits = [commit(ts, *(write(n) for n in range(1 + ts % 4))) for ts in range(1, 30)]
    store.append(commits, 0)
    assert list(store.replay(0)) == commits
    assert list(store.replay(13)) == commits[13:]


def test_an_abandoned_replay_disturbs_nobody(store: DuckDBStore) -> None:
    store.append([commit(1), commit(2)], 0)
    replaying = store.replay(0)
    assert next(replaying).ts == 1
    store.append([commit(3)], 2)
    store.compact(3)
    assert [c.ts for c in store.replay(0)] == [1, 2, 3]
    assert [c.ts for c in replaying] == [2], "a replay reads one snapshot"


def test_a_relative_path_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("duckdb:///sub/d.duckdb")
    monkeypatch.chdir("/")
    store.open()
    store.close()
    assert (tmp_path / "sub" / "d.duckdb").is_file()


def test_another_process_is_told_that_the_file_is_in_use(store: DuckDBStore) -> None:
    program = (
        "import sys; from pathlib import Path; from reactor.store.duckdb import DuckDBStore\n"
        "DuckDBStore(Path(sys.argv[1])).open()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.path)], capture_output=True, text=True
    )
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("reactor.errors.StoreLocked: The database file")
    assert str(store.path) in last_line
    assert f"PID {os.getpid()}" in last_line
    assert "talk to the server" in last_line


def test_the_same_file_by_another_name_is_in_use_too(store: DuckDBStore, tmp_path: Path) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(store.path)
    with pytest.raises(StoreLocked, match="this process"):
        DuckDBStore(link).open()


def test_a_refused_opener_does_not_break_the_lock_of_the_first(store: DuckDBStore) -> None:
    with pytest.raises(StoreLocked):
        DuckDBStore(store.path).open()
    test_another_process_is_told_that_the_file_is_in_use(store)


def test_a_folder_is_no_database_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is a folder"):
        DuckDBStore(tmp_path).open()


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"file/sub.*choose another place"):
        DuckDBStore(tmp_path / "file" / "sub" / "d.duckdb").open()


@pytest.mark.parametrize("content", [b"", b"hello\n" * 3_000])
def test_a_file_that_is_not_duckdb_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="not a DuckDB database"):
        DuckDBStore(path).open()
    assert path.read_bytes() == content


def test_a_newer_format_is_refused(store: DuckDBStore, path: Path) -> None:
    store.close()
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE _reactor_state SET format = 99")
    with pytest.raises(StoreUnavailable, match=r"format 99.*newer reactor"):
        store.open()


def test_a_database_of_other_tables_is_taken_into_use(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 5 AS x")
    store = DuckDBStore(path)
    assert store.open() == 0
    store.append([commit(1)], 0)
    store.close()
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT x FROM mine").fetchall() == [(5,)]


@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_a_truncated_database_file_is_refused(store: DuckDBStore, path: Path, kept: float) -> None:
    documents = (os.urandom(400).hex() for _ in range(3_000))
    store.append([commit(1, *(write(n, b'"%s"' % d.encode()) for n, d in enumerate(documents)))], 0)
    store.close()
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(StoreProblem, match=r"d.duckdb"):
        store.open()
        list(store.replay(0))


def test_a_changed_byte_in_the_database_file_is_damage(store: DuckDBStore, path: Path) -> None:
    documents = [os.urandom(400).hex().encode() for _ in range(3_000)]
    store.append([commit(1, *(write(n, b'"%s"' % d) for n, d in enumerate(documents)))], 0)
    store.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"damaged.*backup"):
        store.open()
        list(store.replay(0))


def test_a_database_moved_without_its_journal_is_refused(path: Path) -> None:
    abandoned(path, [commit(1)])
    journal = path.with_name("d.duckdb.journal")
    journal.rename(path.with_name("elsewhere"))
    with pytest.raises(StoreDamaged, match="newest commits is gone"):
        DuckDBStore(path).open()
    path.with_name("elsewhere").rename(journal)
    store = DuckDBStore(path)
    assert store.open() == 1
    store.close()


def test_an_empty_file_in_the_journals_place_gives_its_commits_up(path: Path) -> None:
    abandoned(path, [commit(1)])
    path.with_name("d.duckdb.journal").write_bytes(b"")
    store = DuckDBStore(path)
    assert store.open() == 0
    store.close()


def test_a_journal_without_its_database_is_refused(path: Path) -> None:
    abandoned(path, [commit(1)])
    path.unlink()
    with pytest.raises(StoreDamaged, match="another database file"):
        DuckDBStore(path).open()


def test_a_failed_opening_lets_go_of_the_file(path: Path) -> None:
    abandoned(path, [commit(1)])
    path.with_name("d.duckdb.journal").rename(path.with_name("elsewhere"))
    store = DuckDBStore(path)
    for _ in range(2):
        with pytest.raises(StoreDamaged):
            store.open()


def test_a_full_disk_loses_nothing_and_says_what_is_full(path: Path) -> None:
    program = """if True:
        import os, resource, sys
        from pathlib import Path
        from reactor.errors import StoreUnavailable
        from reactor.store.duckdb import DuckDBStore
        from tests.store.test_contract import commit, write
        store = DuckDBStore(Path(sys.argv[1]))
        store.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))
        accepted = 0
        try:
            for ts in range(1, 2_000):
                document = os.urandom(20_000).hex().encode()
                store.append([commit(ts, write(ts, b'{"x":"%s"}' % document))], ts - 1)
                accepted = ts
        except StoreUnavailable as problem:
            print(accepted, problem)
        try:
            store.close()
        except StoreUnavailable as problem:
            print("close:", problem)
    """
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    refused = done.stdout.splitlines()[0]
    accepted = int(refused.split()[0])
    assert accepted > 0
    assert "d.duckdb" in refused and "room" in refused
    store = DuckDBStore(path)
    assert store.open() == accepted
    assert [c.ts for c in store.replay(0)] == list(range(1, accepted + 1))
    store.close()


@pytest.mark.parametrize(
    "url", ["", "memory", "data.duckdb", "duckdb://x", "duckdb:///", "duckdb:///a/", "sqlite:///a"]
)
def test_an_unknown_url_is_answered_with_the_known_forms(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"duckdb:///data.duckdb") as caught:
        open_store(url)
    assert repr(url) in str(caught.value)


def test_four_slashes_name_an_absolute_path(tmp_path: Path) -> None:
    store = open_store(f"duckdb:///{tmp_path}/d.duckdb")
    assert isinstance(store, DuckDBStore)
    assert store.path == tmp_path.resolve() / "d.duckdb"
