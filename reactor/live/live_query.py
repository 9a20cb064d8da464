"""One live query: a call, its newest evaluation, and who watches it.

A result is *valid at* a timestamp T if it was computed at or before T and no durable commit in
between wrote a key that it read. `stale_since` is the first such commit; while it is None the
result is valid at every timestamp from its own up to the newest durable one.

The evaluation before the newest one is kept too: a client that settles on T while another client
has already moved the query past T finds the value that held at T without a re-run.

Invariants (see `check`): at most one run that will be kept is under way (single flight);
`stale_since`, when set, is later than the newest evaluation's timestamp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from reactor.data.values import Value
from reactor.engine.outcome import Evaluation
from reactor.identity import Identity
from reactor.types import Timestamp


class QueryCall(NamedTuple):
    """Which query, with what. `canonical_args` stands for `args` in keys."""

    path: str
    args: dict[str, Value]
    canonical_args: bytes
    identity: Identity
    journal: str | None


class QueryKey(NamedTuple):
    """What makes two calls the same. `identity` is None if the function did not look at it."""

    path: str
    canonical_args: bytes
    journal: str | None
    identity: Identity | None


#: Evaluates a call at a snapshot. Suspends only for functions that run in a worker thread.
EvaluateQuery = Callable[[QueryCall, Timestamp], Awaitable[Evaluation]]


class Watcher(Protocol):
    """Someone to tell that a query's result changed."""

    def query_changed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Past:
    """An evaluation that held from its own timestamp until just before `until`."""

    evaluation: Evaluation
    until: Timestamp


class LiveQuery:
    """Made, registered and dropped by `LiveQueries` only."""

    __slots__ = (
        "call",
        "evaluation",
        "flight",
        "keys",
        "mapped",
        "past",
        "refresh_after_seconds",
        "refreshing",
        "stale_since",
        "watchers",
    )

    def __init__(self, call: QueryCall) -> None:
        self.call = call
        self.keys: set[QueryKey] = set()
        self.evaluation: Evaluation | None = None
        #: Are the newest evaluation's reads in the interval map?
        self.mapped = False
        self.past: _Past | None = None
        self.stale_since: Timestamp | None = None
        self.flight: asyncio.Future[None] | None = None
        self.watchers: dict[Watcher, int] = {}
        self.refreshing = False
        self.refresh_after_seconds = 0.0

    def valid_at(self, ts: Timestamp) -> Evaluation | None:
        """The kept evaluation that holds at `ts`, if one does. O(1)."""
        evaluation = self.evaluation
        if evaluation is not None and evaluation.outcome.ts <= ts:
            return evaluation if self.stale_since is None or ts < self.stale_since else None
        past = self.past
        if past is not None and past.evaluation.outcome.ts <= ts < past.until:
            return past.evaluation
        return None

    def serves(self, identity: Identity) -> bool:
        """May this query's evaluation be shown to a caller with `identity`?"""
        evaluation = self.evaluation
        return (
            evaluation is None or not evaluation.identity_observed or self.call.identity == identity
        )

    def settle(self, evaluation: Evaluation, stale_since: Timestamp | None) -> None:
        """Take a newer evaluation; the previous one becomes the past."""
        if self.evaluation is not None and self.stale_since is not None:
            self.past = _Past(self.evaluation, self.stale_since)
        self.evaluation = evaluation
        self.stale_since = stale_since

    def watch(self, watcher: Watcher) -> None:
        self.watchers[watcher] = self.watchers.get(watcher, 0) + 1

    def unwatch(self, watcher: Watcher) -> None:
        remaining = self.watchers[watcher] - 1
        if remaining:
            self.watchers[watcher] = remaining
        else:
            del self.watchers[watcher]

    def size_bytes(self) -> int:
        """Bytes of the kept results."""
        kept = [self.evaluation, None if self.past is None else self.past.evaluation]
        return sum(len(e.outcome.value or b"") for e in kept if e is not None)

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        if self.stale_since is not None:
            assert self.evaluation is not None
            assert self.stale_since > self.evaluation.outcome.ts
        assert all(count > 0 for count in self.watchers.values())
