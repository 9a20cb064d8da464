"""The thread that carries acknowledged commits from the journal into the database file.

Commits are offered after the journal made them durable, wait in a bounded backlog, and are moved in
batches, in order. A batch leaves the backlog only when the database has committed it, so a failure
loses nothing: the batch is tried again, every second and whenever somebody waits for it.

- Idle: after a quiet moment (10 ms without an offer) everything moves at once. Under load, a batch
  goes when it is large enough, or has waited for a quarter of a second.
- While the database refuses, `make_room` raises: the journal stops growing, nothing is accepted
  that could not be stored, and the first success lets everything go on.
- `_attempts` and `_offered` only count up; waiting threads compare them. All fields are guarded by
  `_changed`; `move` and `idle` are called without it. `idle` must not raise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from reactor.errors import InternalProblem, Problem, StoreUnavailable
from reactor.store.base import Commit

BATCH_WRITES = 5_000
BATCH_BYTES = 8 << 20
BACKLOG_WRITES_MAX = 100_000
BACKLOG_BYTES_MAX = 64 << 20
_QUIET_SECONDS = 0.01
_QUIET_ROUNDS_MAX = 25
_RETRY_SECONDS = 1.0


class Mover:
    """Calls `move` with batches of offered commits, and `idle` when the backlog is empty."""

    def __init__(self, move: Callable[[Sequence[Commit]], None], idle: Callable[[], None]) -> None:
        self._move = move
        self._idle = idle
        self._changed = threading.Condition()
        self._backlog: deque[Commit] = deque()
        self._backlog_writes = 0
        self._backlog_bytes = 0
        self._offered = 0  # commits ever offered
        self._attempts = 0  # batches ever tried
        self._busy = False  # inside move or idle
        self._urgent = False  # somebody waits: neither linger nor pause before a retry
        self._stopping = False
        self._is_last_try = False  # the current attempt began after `stop`: its failure is final
        self._failure: Problem | None = None  # of the newest attempt
        self._thread = threading.Thread(target=self._run, name="reactor-store-mover", daemon=True)
        self._thread.start()

    def make_room(self) -> None:
        """Wait until the backlog has room. Raises what keeps the database from taking it."""
        with self._changed:
            self._try_again()
            self._wait_urgently(lambda: self._failure is not None or not self._is_full())
            self._raise_failure()

    def offer(self, commits: Sequence[Commit]) -> None:
        """Take over commits that are durable in the journal. Never blocks."""
        with self._changed:
            was_empty = not self._backlog
            for commit in commits:
                self._backlog.append(commit)
                self._backlog_writes += len(commit.writes)
                self._backlog_bytes += _size_bytes(commit)
            self._offered += len(commits)
            if was_empty or self._has_batch():
                self._changed.notify_all()

    def flush(self) -> None:
        """Return when everything offered has moved, or raise why it cannot."""
        with self._changed:
            self._try_again()
            self._wait_urgently(lambda: self._failure is not None or self._is_done())
            self._raise_failure()

    def stop(self) -> None:
        """Move everything (one more try after a failure), end the thread, raise what is left."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            self._raise_failure()

    def _try_again(self) -> None:
        """After a failure, have one attempt that starts from now on, and raise if it fails too."""
        if self._failure is not None:
            target = self._attempts + (2 if self._busy else 1)
            self._wait_urgently(lambda: self._failure is None or self._attempts >= target)
            self._raise_failure()

    def _wait_urgently(self, condition: Callable[[], bool]) -> None:
        if not condition():
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(condition)
            self._urgent = False

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(self._failure.message) from self._failure

    def _is_done(self) -> bool:
        return not self._backlog and not self._busy

    def _is_full(self) -> bool:
        return self._backlog_writes > BACKLOG_WRITES_MAX or self._backlog_bytes > BACKLOG_BYTES_MAX

    def _has_batch(self) -> bool:
        return self._backlog_writes >= BATCH_WRITES or self._backlog_bytes >= BATCH_BYTES

    def _run(self) -> None:
        while batch := self._next_batch():
            failure = self._attempt(batch)
            with self._changed:
                self._attempts += 1
                self._failure = failure
                if failure is None:
                    self._remove(batch)
                is_idle = not self._backlog
                self._busy = is_idle
                self._changed.notify_all()
            if is_idle:
                self._idle()
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _next_batch(self) -> list[Commit]:
        """Wait for work; empty when the thread shall end."""
        with self._changed:
            if self._failure is not None:
                if self._is_last_try:
                    return []
                self._changed.wait_for(
                    lambda: self._urgent or self._stopping, timeout=_RETRY_SECONDS
                )
            self._changed.wait_for(lambda: self._backlog or self._stopping)
            self._linger()
            self._is_last_try = self._stopping
            batch: list[Commit] = []
            writes = size_bytes = 0
            for commit in self._backlog:
                batch.append(commit)
                writes += len(commit.writes)
                size_bytes += _size_bytes(commit)
                if writes >= BATCH_WRITES or size_bytes >= BATCH_BYTES:
                    break
            self._busy = bool(batch)
            return batch

    def _linger(self) -> None:
        """Let a batch grow while offers keep coming, so that a busy time costs few commits."""
        for _ in range(_QUIET_ROUNDS_MAX):
            seen = self._offered
            if self._changed.wait_for(
                lambda: self._urgent or self._stopping or self._has_batch(), _QUIET_SECONDS
            ):
                return
            if self._offered == seen:
                return

    def _attempt(self, batch: Sequence[Commit]) -> Problem | None:
        try:
            self._move(batch)
        except Problem as problem:
            return problem
        except MemoryError as error:
            return StoreUnavailable(f"No memory to move commits into the database: {error}")
        except Exception as error:  # a bug: it must neither end the thread nor go unseen
            bug = InternalProblem(f"Moving commits into the database failed: {error!r}")
            bug.__cause__ = error
            return bug
        return None

    def _remove(self, batch: Sequence[Commit]) -> None:
        for commit in batch:
            self._backlog.popleft()
            self._backlog_writes -= len(commit.writes)
            self._backlog_bytes -= _size_bytes(commit)


def _size_bytes(commit: Commit) -> int:
    return sum(len(write.document or b"") for write in commit.writes)
