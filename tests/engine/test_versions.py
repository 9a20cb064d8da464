"""The multi-version index against a plain history of dictionaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactor.data.intervals import KeyRange
from reactor.engine.documents import Document
from reactor.engine.versions import VersionedIndex

KEYS = st.sampled_from([bytes([letter]) for letter in b"abcdefgh"])
WRITES = st.lists(st.tuples(KEYS, st.booleans()), max_size=40)
History = list[dict[bytes, Document]]


def build(writes: list[tuple[bytes, bool]]) -> tuple[VersionedIndex, History]:
    """The index after the writes, and the live documents after each (index = timestamp)."""
    index, history = VersionedIndex(), [{}]
    for ts, (key, alive) in enumerate(writes, 1):
        state = dict(history[-1])
        document = Document(b'"%d"' % ts) if alive else None
        if document is None:
            state.pop(key, None)
        else:
            state[key] = document
        index.write(key, ts, document)
        history.append(state)
    return index, history


def seen(index: VersionedIndex, within: KeyRange, ts: int, *, reverse: bool) -> list[object]:
    return [
        (key, version.document)
        for key, version in index.scan(within, ts, reverse=reverse)
        if version.document is not None
    ]


@given(WRITES, KEYS, KEYS, st.booleans())
def test_a_scan_at_any_timestamp_sees_the_state_of_that_time(
    writes: list[tuple[bytes, bool]], start: bytes, end: bytes, reverse: bool
) -> None:
    index, history = build(writes)
    within = KeyRange(start, end)
    for ts, state in enumerate(history):
        expected = sorted(item for item in state.items() if within.contains(item[0]))
        assert seen(index, within, ts, reverse=reverse) == (expected[::-1] if reverse else expected)


@given(WRITES, KEYS, KEYS)
def test_count_equals_the_length_of_a_scan_at_every_timestamp(
    writes: list[tuple[bytes, bool]], start: bytes, end: bytes
) -> None:
    index, history = build(writes)
    for ts in range(len(history)):
        within = KeyRange(start, max(start, end))
        assert index.count(within, ts) == len(seen(index, within, ts, reverse=False))


@given(WRITES, st.integers(0, 40))
def test_trimming_changes_nothing_for_snapshots_at_or_after_the_horizon(
    writes: list[tuple[bytes, bool]], horizon: int
) -> None:
    index, history = build(writes)
    index.trim(horizon)
    index.check()
    whole = KeyRange(b"", b"\xff")
    for ts in range(horizon, len(history)):
        assert seen(index, whole, ts, reverse=False) == sorted(history[ts].items())
        assert index.count(whole, ts) == len(history[ts])


@given(WRITES, st.integers(0, 40))
def test_truncating_takes_back_exactly_the_writes_after_the_mark(
    writes: list[tuple[bytes, bool]], mark: int
) -> None:
    index, history = build(writes)
    index.truncate(mark)
    index.check()
    last = min(mark, len(history) - 1)
    whole = KeyRange(b"", b"\xff")
    assert seen(index, whole, 10_000, reverse=False) == sorted(history[last].items())
    assert index.count(whole, 10_000) == len(history[last])


def test_trimming_to_the_newest_write_leaves_no_history_and_no_dead_keys() -> None:
    index, _ = build([(b"a", True), (b"b", True), (b"a", False)])
    index.trim(3)
    assert not index.needs_trim
    assert index.find(b"a", 3) is None
    assert len(index) == 1
