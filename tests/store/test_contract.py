"""What every store promises, run on every adapter."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.data.ids import InternalId
from reactor.errors import InternalProblem, StoreLocked, StoreProblem, StoreUnavailable
from reactor.store.base import ColumnDescription, Commit, DocumentWrite, Store, TableDescription
from reactor.store.duckdb import DuckDBStore
from reactor.store.memory import MemoryStore

TABLE = 10_001


def write(
    key: int, document: bytes | None = b'{"n":1}', table_number: int = TABLE
) -> DocumentWrite:
    return DocumentWrite(table_number, InternalId(key.to_bytes(16, "big")), document)


def commit(ts: int, *writes: DocumentWrite) -> Commit:
    return Commit(ts, writes or (write(ts),))


Reopen = Callable[[], tuple[Store, int]]


@pytest.fixture(params=["memory", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else DuckDBStore(tmp_path / "d.duckdb")
    made.open()
    yield made
    with suppress(StoreProblem):
        made.close()


@pytest.fixture
def reopen(store: Store) -> Reopen:
    def reopened() -> tuple[Store, int]:
        store.close()
        fresh = DuckDBStore(store.path) if isinstance(store, DuckDBStore) else store
        if fresh is not store:
            fresh.open()
            fresh.close()
        return store, store.open()

    return reopened


def test_a_new_store_is_empty_and_its_head_is_zero(store: Store, reopen: Reopen) -> None:
    assert list(store.replay(0)) == []
    assert reopen()[1] == 0


def test_replay_yields_what_was_appended_in_the_order_of_its_writes(store: Store) -> None:
    commits = [commit(5, write(9), write(1), write(4, None)), commit(8, write(9, None))]
    assert store.append(commits, 0) is None
    assert list(store.replay(0)) == commits


def test_replay_starts_after_the_given_timestamp(store: Store) -> None:
    store.append([commit(5), commit(8)], 0)
    store.append([commit(9)], 8)
    assert [c.ts for c in store.replay(4)] == [5, 8, 9]
    assert [c.ts for c in store.replay(5)] == [8, 9]
    assert [c.ts for c in store.replay(9)] == []


def test_commits_and_head_survive_closing_and_opening(store: Store, reopen: Reopen) -> None:
    store.append([commit(5), commit(8)], 0)
    store, head = reopen()
    assert head == 8
    store.append([commit(9)], 8)
    store, head = reopen()
    assert head == 9
    assert [c.ts for c in store.replay(0)] == [5, 8, 9]


def test_documents_come_back_byte_for_byte(store: Store, reopen: Reopen) -> None:
    documents = [
        b'{"a":"\\u0000 \xc3\xa9 \xf0\x9f\x98\x80"}',
        b"{}",
        None,
        b'{"b":' + b"9" * 70_000 + b"}",
    ]
    written = commit(1, *(write(i, document) for i, document in enumerate(documents)))
    store.append([written], 0)
    store, _ = reopen()
    assert list(store.replay(0)) == [written]


def test_ids_come_back_as_internal_ids(store: Store, reopen: Reopen) -> None:
    store.append([commit(1)], 0)
    store, _ = reopen()
    (found,) = store.replay(0)
    assert type(found.writes[0].id) is InternalId


def test_large_timestamps_and_table_numbers_fit(store: Store, reopen: Reopen) -> None:
    written = commit(2**62, write(1, table_number=2**32 - 1))
    store.append([written], 0)
    store, head = reopen()
    assert head == 2**62
    assert list(store.replay(2**62 - 1)) == [written]


def test_appending_nothing_changes_nothing(store: Store, reopen: Reopen) -> None:
    assert store.append([], 0) is None
    assert reopen()[1] == 0


@pytest.mark.parametrize(
    "commits", [[commit(5)], [commit(7), commit(7)], [commit(9), commit(8)], [Commit(9, ())]]
)
def test_a_group_that_does_not_ascend_or_is_empty_is_refused_whole(
    store: Store, commits: list[Commit]
) -> None:
    store.append([commit(5)], 0)
    with pytest.raises(InternalProblem):
        store.append(commits, 5)
    assert [c.ts for c in store.replay(0)] == [5]


def test_a_single_writer_store_has_nothing_to_follow(store: Store) -> None:
    store.append([commit(5)], 0)
    assert list(store.follow(0)) == []


def test_a_second_opener_is_told_that_the_store_is_in_use(store: Store) -> None:
    second = DuckDBStore(store.path) if isinstance(store, DuckDBStore) else store
    with pytest.raises(StoreLocked, match="already open"):
        second.open()
    store.append([commit(1)], 0)


def test_close_is_idempotent_and_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    for use in (
        lambda: store.append([commit(1)], 0),
        lambda: list(store.replay(0)),
        lambda: list(store.follow(0)),
        lambda: store.compact(1),
        lambda: store.describe([]),
    ):
        with pytest.raises(StoreUnavailable, match="open"):
            use()


def test_describe_changes_no_commit(store: Store) -> None:
    store.append([commit(1)], 0)
    store.describe([TableDescription("t", TABLE, (ColumnDescription("n", "number"),))])
    store.describe([])
    assert [c.ts for c in store.replay(0)] == [1]


def test_compact_forgets_what_no_snapshot_at_the_horizon_sees(store: Store) -> None:
    store.append([commit(1, write(1), write(2), write(3)), commit(2, write(1), write(2, None))], 0)
    store.append([commit(3, write(1)), commit(4, write(3, None))], 2)
    store.compact(2)
    assert list(store.replay(0)) == [
        commit(1, write(3)),
        commit(2, write(1)),
        commit(3, write(1)),
        commit(4, write(3, None)),
    ]


def test_compact_keeps_documents_of_other_tables_apart(store: Store) -> None:
    first, second = write(1, table_number=1), write(1, table_number=2)
    store.append([commit(1, first), commit(2, second)], 0)
    store.compact(2)
    assert list(store.replay(0)) == [commit(1, first), commit(2, second)]


def test_the_head_stays_when_compaction_forgets_the_newest_commit(
    store: Store, reopen: Reopen
) -> None:
    store.append([commit(1, write(1)), commit(2, write(1, None))], 0)
    store.compact(2)
    store, head = reopen()
    assert head == 2
    assert list(store.replay(0)) == []
    with pytest.raises(InternalProblem):
        store.append([commit(2)], 2)


def state_at(commits: list[Commit], ts: int) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for each in commits:
        for written in each.writes:
            if each.ts <= ts and written.document is not None:
                state[written.id] = written.document
            elif each.ts <= ts:
                state.pop(written.id, None)
    return state


_starts = itertools.count(1_000, 1_000)
_histories = st.lists(
    st.dictionaries(st.integers(0, 4), st.none() | st.integers(0, 99), min_size=1, max_size=4),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=_histories, data=st.data())
def test_every_snapshot_at_or_after_the_horizon_is_the_same_after_compaction(
    store: Store, history: list[dict[int, int | None]], data: st.DataObject
) -> None:
    # Given a history later than that of every earlier example, over keys of its own
    start = next(_starts)
    commits = [
        commit(
            start + number,
            *(
                write(start * 10 + key, None if value is None else b'{"v":%d}' % value)
                for key, value in changes.items()
            ),
        )
        for number, changes in enumerate(history)
    ]
    store.append(commits, 0)
    everything = list(store.replay(0))
    # When a prefix is forgotten
    horizon = data.draw(st.integers(start, start + len(history)))
    store.compact(horizon)
    # Then no later snapshot differs
    kept = list(store.replay(0))
    for ts in range(horizon, start + len(history) + 1):
        assert state_at(kept, ts) == state_at(everything, ts)


def test_groups_of_any_size_replay_as_they_were_given(store: Store, reopen: Reopen) -> None:
    ts, expected = 0, []
    for size in (1, 700, 3, 2_500, 1):
        group = [commit(ts + 1 + i, *(write(k) for k in range(1 + i % 5))) for i in range(size)]
        store.append(group, ts)
        expected += group
        ts = group[-1].ts
    assert list(store.replay(0)) == expected
    store, head = reopen()
    assert head == ts
    assert list(store.replay(0)) == expected
