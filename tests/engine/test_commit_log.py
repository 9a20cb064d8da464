"""The commit log's question, and its inverse in the interval map, have one answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactor.data.interval_map import IntervalMap
from reactor.data.intervals import EVERYTHING, KeyRange
from reactor.data.keys import encode_key, prefix_range, successor
from reactor.engine.commit_log import CommitLog, Conflict, LogEntry
from reactor.engine.reads import Aspect, ReadSet, WrittenKey
from reactor.types import IndexId

INDEXES = st.sampled_from([IndexId(10_001, "by_a"), IndexId(10_001, "by_b"), IndexId(10_002, "x")])
FIELDS = st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["", "x", "xx"])), max_size=3)
KEYS = st.builds(encode_key, FIELDS.filter(bool))


@st.composite
def ranges(draw: st.DrawFn) -> KeyRange:
    """What functions read: everything, a prefix, a point, or from one key to another."""
    kind = draw(st.sampled_from(["all", "prefix", "point", "between"]))
    if kind == "all":
        return EVERYTHING
    if kind == "prefix":
        return prefix_range(encode_key(draw(FIELDS)))
    first = draw(KEYS)
    if kind == "point":
        return KeyRange(first, successor(first))
    second = draw(KEYS)
    return KeyRange(min(first, second), successor(max(first, second)))


READS = st.lists(st.tuples(INDEXES, ranges(), st.booleans()), max_size=5)
WRITTEN = st.lists(st.builds(WrittenKey, INDEXES, KEYS, st.booleans()), min_size=1, max_size=4)
COMMITS = st.lists(WRITTEN, max_size=6)


def read_set(reads: list[tuple[IndexId, KeyRange, bool]]) -> ReadSet:
    result = ReadSet()
    for index_id, within, membership_only in reads:
        result.add(index_id, within, membership_only=membership_only)
    return result


def log_of(commits: list[list[WrittenKey]], floor: int = 0) -> CommitLog:
    """Commits at the timestamps floor + 1, floor + 2, and so on."""
    log = CommitLog(floor)
    for ts, written in enumerate(commits, floor + 1):
        log.append(LogEntry(ts, tuple(written)))
    return log


def stabbed(owners: IntervalMap[int], written: WrittenKey) -> set[int]:
    """The inverse question, as the live queries ask it."""
    hit = owners.stab(Aspect(written.index_id, False), written.key)
    if written.membership_changed:
        hit |= owners.stab(Aspect(written.index_id, True), written.key)
    return hit


@given(st.lists(READS, min_size=1, max_size=4), COMMITS)
def test_a_commit_conflicts_with_a_read_set_if_and_only_if_the_interval_map_finds_it(
    all_reads: list[list[tuple[IndexId, KeyRange, bool]]], commits: list[list[WrittenKey]]
) -> None:
    sets = [read_set(reads) for reads in all_reads]
    owners: IntervalMap[int] = IntervalMap()
    for owner, reads in enumerate(sets):
        for aspect, within in reads.items():
            owners.add(owner, aspect, within)
    log = log_of(commits)
    for ts, written in enumerate(commits, 1):
        found: set[int] = set().union(*(stabbed(owners, key) for key in written))
        asked = {
            owner
            for owner, reads in enumerate(sets)
            if log.first_conflict(reads, ts - 1, ts) is not None
        }
        assert asked == found


@given(READS, COMMITS, st.integers(0, 6), st.integers(0, 6))
def test_the_first_conflict_is_the_earliest_commit_that_touches_the_reads(
    reads: list[tuple[IndexId, KeyRange, bool]],
    commits: list[list[WrittenKey]],
    after: int,
    upto: int,
) -> None:
    touched = read_set(reads)
    expected = next(
        (
            ts
            for ts, written in enumerate(commits, 1)
            if after < ts <= upto and any(touched.touched_by(key) for key in written)
        ),
        None,
    )
    conflict = log_of(commits).first_conflict(touched, after, upto)
    assert (None if conflict is None else conflict.ts) == expected


@given(st.lists(st.tuples(INDEXES, ranges()), max_size=4), INDEXES, KEYS)
def test_a_read_set_is_touched_exactly_inside_its_ranges(
    reads: list[tuple[IndexId, KeyRange]], index_id: IndexId, key: bytes
) -> None:
    touched = read_set([(index, within, False) for index, within in reads])
    inside = any(index == index_id and within.contains(key) for index, within in reads)
    assert touched.touched_by(WrittenKey(index_id, key, False)) == inside


KEY = encode_key((1, 0.0))
INDEX = IndexId(10_001, "by_a")
EVERYWHERE = read_set([(INDEX, EVERYTHING, False)])
ELSEWHERE = read_set([(IndexId(10_001, "by_b"), EVERYTHING, False)])
ONE_KEY = [WrittenKey(INDEX, KEY, True)]


def test_a_conflict_names_the_key_that_was_written() -> None:
    assert log_of([ONE_KEY]).first_conflict(EVERYWHERE, 0, 1) == Conflict(1, ONE_KEY[0])


def test_a_question_about_a_time_before_the_log_counts_as_touched() -> None:
    log = log_of([ONE_KEY], floor=5)
    assert log.first_conflict(ELSEWHERE, 4, 6) == Conflict(5, None)


def test_a_question_about_the_floor_itself_is_answered() -> None:
    assert log_of([ONE_KEY], floor=5).first_conflict(ELSEWHERE, 5, 6) is None


def test_a_trimmed_log_answers_only_from_the_horizon_on() -> None:
    log = log_of([ONE_KEY, ONE_KEY, ONE_KEY])
    log.trim(2)
    assert log.first_conflict(EVERYWHERE, 2, 3) == Conflict(3, ONE_KEY[0])
    assert log.first_conflict(ELSEWHERE, 1, 3) == Conflict(2, None)


def test_trimming_to_an_earlier_horizon_changes_nothing() -> None:
    log = log_of([ONE_KEY, ONE_KEY])
    log.trim(2)
    log.trim(1)
    assert log.floor == 2


def test_a_truncated_log_has_forgotten_what_was_taken_back() -> None:
    log = log_of([ONE_KEY, ONE_KEY])
    log.truncate(1)
    assert log.first_conflict(EVERYWHERE, 1, 9) is None
    log.append(LogEntry(2, tuple(ONE_KEY)))
    assert [entry.ts for entry in log.between(0, 9)] == [1, 2]


def test_an_empty_span_never_conflicts() -> None:
    assert log_of([ONE_KEY], floor=5).first_conflict(EVERYWHERE, 3, 3) is None
