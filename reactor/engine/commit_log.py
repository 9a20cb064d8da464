"""The recent commits in memory, and the one question asked of them.

*Did a commit in (after, upto] write a key inside these ranges?* The committer asks it before it
gives a transaction its timestamp, live queries ask it when a result is born. The inverse (commit to
affected read sets) is `live`'s interval map; a property test keeps both answers equal.

Entries are in timestamp order. The log reaches back to `floor`: a question about an earlier time
cannot be answered and counts as touched.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from reactor.engine.reads import ReadSet, WrittenKey
from reactor.types import Timestamp


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The index keys that one commit wrote."""

    ts: Timestamp
    written: tuple[WrittenKey, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """The first commit that touched a read set; `written` is None when the log is too short."""

    ts: Timestamp
    written: WrittenKey | None


class CommitLog:
    """A window of log entries. Only the database appends, truncates and trims."""

    def __init__(self, floor: Timestamp) -> None:
        self.floor = floor
        self._timestamps: list[Timestamp] = []
        self._entries: list[LogEntry] = []

    def append(self, entry: LogEntry) -> None:
        assert not self._timestamps or entry.ts > self._timestamps[-1]
        self._timestamps.append(entry.ts)
        self._entries.append(entry)

    def between(self, after: Timestamp, upto: Timestamp) -> Sequence[LogEntry]:
        """The entries in (after, upto]."""
        first = bisect_right(self._timestamps, after)
        return self._entries[first : bisect_right(self._timestamps, upto)]

    def first_conflict(self, reads: ReadSet, after: Timestamp, upto: Timestamp) -> Conflict | None:
        """The first entry in (after, upto] that touches `reads`. O(keys written since, log)."""
        if after >= upto:
            return None
        if after < self.floor:
            return Conflict(self.floor, None)
        for entry in self.between(after, upto):
            for written in entry.written:
                if reads.touched_by(written):
                    return Conflict(entry.ts, written)
        return None

    def truncate(self, after: Timestamp) -> None:
        """Take back the entries above `after` (their commits did not become durable)."""
        keep = bisect_right(self._timestamps, after)
        del self._timestamps[keep:], self._entries[keep:]

    def trim(self, horizon: Timestamp) -> None:
        """Forget entries at or below `horizon`; later questions start there."""
        drop = bisect_right(self._timestamps, horizon)
        if drop:
            del self._timestamps[:drop], self._entries[:drop]
        self.floor = max(self.floor, horizon)
