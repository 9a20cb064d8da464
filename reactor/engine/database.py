"""The database: tables in memory, the log behind them, and the only giver of timestamps.

Two timestamps matter. `head` is the newest commit that is applied in memory; mutations begin there,
so that one after another commits without waiting for a disk. `durable` is the newest commit that
the store has made durable; queries begin there, and whatever depends on a younger state is told to
nobody before `durable` has reached it (`wait_durable`). If the store fails to append, everything
above `durable` is taken back in memory and its callers get the store's error.

All methods run on the event loop's thread, except that transactions on a held snapshot may *read*
from worker threads: writers change an index's key list under `lock`, and readers take it per batch.

Invariants (see `check`): `durable <= head`; the commit log's entries above `durable` are exactly
the pending commits; no held snapshot is below the trim horizon.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reactor.data.ids import InternalId
from reactor.data.intervals import EVERYTHING
from reactor.engine.commit_log import CommitLog, Conflict, LogEntry
from reactor.engine.documents import Document
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.log_writer import LogWriter
from reactor.engine.reads import ReadSet, WrittenKey
from reactor.engine.row_identity import RowIdentities
from reactor.engine.tables import TABLES, Index, Tables
from reactor.engine.transaction import Transaction
from reactor.errors import OutOfRetention, StoreProblem, StoreUnavailable
from reactor.runtime import Clock, Entropy
from reactor.store.base import Commit, DocumentWrite, Store, TableDescription
from reactor.types import Timestamp

#: How long past snapshots stay readable, for `query_at_ts` and clients between two calls.
RETENTION_SECONDS = 30.0

_TRIM_EVERY_COMMITS = 64

PublishListener = Callable[[Sequence[LogEntry]], None]


@dataclass(slots=True)
class _Waiter:
    ts: Timestamp
    future: asyncio.Future[None]


class Database:
    """Opens a store and serves transactions over it."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        entropy: Entropy,
        retention_seconds: float = RETENTION_SECONDS,
    ) -> None:
        self.clock = clock
        self.entropy = entropy
        self.lock = threading.Lock()
        self.tables = Tables(self.lock)
        self.head: Timestamp = 0
        self.durable: Timestamp = 0
        self.log = CommitLog(0)
        self._store = store
        self._retention_ns = int(retention_seconds * 1e9)
        self._writer: LogWriter | None = None
        self._generation = 0
        # What was taken back, as (above, upto] ascending; no timestamp in there is given again.
        self._taken_back: list[tuple[Timestamp, Timestamp]] = []
        self._waiters: deque[_Waiter] = deque()
        self._held: Counter[Timestamp] = Counter()
        self._listeners: list[PublishListener] = []
        self._untrimmed: set[int] = set()
        self._commits_since_trim = 0

    # -- opening and closing ---------------------------------------------------------------------

    async def open(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Take the store, replay its log into memory, start the writer thread."""
        head = await asyncio.to_thread(self._open_store, on_progress)
        self.head = self.durable = head
        self.log = CommitLog(head)
        self._writer = LogWriter(
            self._store, head, on_durable=self._on_durable, on_failed=self._on_failed
        )
        self._writer.start(asyncio.get_running_loop())

    def _open_store(self, on_progress: Callable[[int], None] | None) -> Timestamp:
        head = self._store.open()
        try:
            self._replay(on_progress)
        except BaseException:
            self._store.close()
            raise
        return head

    def _replay(self, on_progress: Callable[[int], None] | None) -> None:
        newest: dict[int, dict[InternalId, tuple[Timestamp, Document]]] = {}
        seen = 0
        for commit in self._store.replay(0):
            for write in commit.writes:
                rows = newest.setdefault(write.table_number, {})
                if write.document is None:
                    rows.pop(write.id, None)
                else:
                    rows[write.id] = (commit.ts, Document(write.document))
                seen += 1
                if on_progress is not None and seen % 10_000 == 0:
                    on_progress(seen)
        tables_number = self.tables.named(TABLES)
        assert tables_number is not None
        for _, document in newest.get(tables_number.number, {}).values():
            name, number = document.value["name"], document.value["number"]
            assert isinstance(name, str) and isinstance(number, int | float)
            self.tables.add(name, int(number))
        for number, rows in newest.items():
            if self.tables.numbered(number) is not None:
                self.tables.load(number, rows)

    async def close(self) -> None:
        """Finish pending commits, stop the writer thread, close the store. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        await writer.stop()
        await asyncio.to_thread(self._store.close)

    async def describe(self, tables: Sequence[TableDescription]) -> None:
        """Tell the store what the tables look like (SQL views)."""
        await self._running().call(lambda: self._store.describe(tables))

    def _running(self) -> LogWriter:
        if self._writer is None:
            raise StoreUnavailable("The database is closed. Start the Reactor before you use it.")
        return self._writer

    # -- schema ----------------------------------------------------------------------------------

    def create_tables(self, names: Iterable[str]) -> None:
        """Give numbers to the tables that have none, as one commit; takes effect at once."""
        missing = [name for name in names if self.tables.named(name) is None]
        if not missing:
            return
        transaction = self.begin_mutation(Meter(TransactionLimits()))
        catalogue = self.tables.named(TABLES)
        assert catalogue is not None
        first = self.tables.next_number()
        for number, name in enumerate(missing, first):
            transaction.insert(catalogue, {"name": name, "number": number})
        self.commit(transaction)
        for number, name in enumerate(missing, first):
            self.tables.add(name, number)

    def _catalogue(self) -> set[str]:
        """The tables that have a row at the newest applied state."""
        table = self.tables.named(TABLES)
        assert table is not None
        rows = table.by_id.versions.scan(EVERYTHING, self.head)
        documents = (version.document for _, version in rows)
        return {str(document.value["name"]) for document in documents if document is not None}

    def define_indexes(self, definitions: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Make the user indexes of these tables exactly as given (table to index to fields)."""
        for name, indexes in definitions.items():
            self.tables.define_indexes(name, indexes, self.log.floor)

    # -- transactions ----------------------------------------------------------------------------

    def begin_mutation(self, meter: Meter, *, seed: bytes | None = None) -> Transaction:
        """A transaction on the newest applied state."""
        # In this order, because a worker thread may begin while `_on_failed` runs, which sets them
        # in the other one: a transaction on a state that is taken back has the old generation.
        generation = self._generation
        return self._begin(self.head, meter, seed, generation)

    def begin_query(self, meter: Meter, *, at: Timestamp | None = None) -> Transaction:
        """A transaction on a durable snapshot: the newest, or `at` within the retention."""
        at = self.durable if at is None else self.check_readable(at)
        return self._begin(at, meter, None, self._generation)

    def check_readable(self, at: Timestamp) -> Timestamp:
        """`at` if its snapshot is durable and still kept; else OutOfRetention."""
        if at > self.durable:
            raise OutOfRetention(
                f"Timestamp {at} is ahead of this database's newest, {self.durable}. "
                "Ask for a timestamp that this database gave out."
            )
        if at < self.log.floor:
            raise OutOfRetention(
                f"Timestamp {at} is older than the {self._retention_ns / 1e9:g} s that snapshots "
                "are kept. Ask for a new timestamp."
            )
        return at

    def _begin(
        self, ts: Timestamp, meter: Meter, seed: bytes | None, generation: int
    ) -> Transaction:
        now_ms = max(ts, self.clock.now_ns()) / 1e6
        identities = RowIdentities(seed or self.entropy.bytes(16), now_ms)
        return Transaction(self.tables, ts, meter, identities, generation)

    def hold(self, ts: Timestamp) -> None:
        """Keep the snapshot at `ts` readable until `release`."""
        self._held[ts] += 1

    def release(self, ts: Timestamp) -> None:
        self._held[ts] -= 1
        if not self._held[ts]:
            del self._held[ts]

    def commit(self, transaction: Transaction) -> Timestamp | Conflict:
        """Validate, give a timestamp, apply in memory, hand to the writer.

        Returns the commit's timestamp (the snapshot's for a transaction without changes), which is
        durable only after `wait_durable`; or the conflict, and then nothing has happened.
        """
        writer = self._running()
        if transaction.generation != self._generation:
            # It may have read commits that were taken back because the store failed.
            return Conflict(transaction.begin_ts, None)
        changes = list(transaction.changes())
        if not changes:
            return transaction.begin_ts
        conflict = self.log.first_conflict(transaction.reads(), transaction.begin_ts, self.head)
        if conflict is not None:
            return conflict
        # All keys first: if a value turns out not to be encodable, nothing is applied yet.
        planned = [
            step
            for table, internal_id, before, after in changes
            for step in table.written_keys(internal_id, before, after)
        ]
        newest = self._taken_back[-1][1] if self._taken_back else 0
        ts = max(self.head + 1, newest + 1, self.clock.now_ns())
        written = tuple(_apply(step, ts) for step in planned)
        self.log.append(LogEntry(ts, written))
        self.head = ts
        self._untrimmed.update(change.table.number for change in changes)
        writes = tuple(
            DocumentWrite(c.table.number, c.internal_id, c.after.encoded if c.after else None)
            for c in changes
        )
        writer.submit(self._generation, Commit(ts, writes))
        return ts

    def conflict_since(self, reads: ReadSet, after: Timestamp) -> Conflict | None:
        """Did a durable commit later than `after` touch these reads?"""
        return self.log.first_conflict(reads, after, self.durable)

    # -- durability ------------------------------------------------------------------------------

    async def wait_durable(self, ts: Timestamp) -> None:
        """Return once everything up to `ts` is durable; raise the store's error if it never is."""
        if any(above < ts <= upto for above, upto in self._taken_back):
            raise StoreUnavailable("The store could not append this to its log. Try again.")
        if ts <= self.durable:
            return
        waiter = _Waiter(ts, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        await waiter.future

    def on_publish(self, listener: PublishListener) -> None:
        """Call `listener` with the log entries that became durable, in order, on the loop."""
        self._listeners.append(listener)

    def _on_durable(self, upto: Timestamp) -> None:
        entries = self.log.between(self.durable, upto)
        self.durable = upto
        # Waiters first: a mutation's answer is queued before the pushes that it caused.
        waiting, self._waiters = self._waiters, deque()
        for waiter in waiting:
            if waiter.ts > upto:
                self._waiters.append(waiter)
            elif not waiter.future.done():
                waiter.future.set_result(None)
        for listener in self._listeners:
            listener(entries)
        self._commits_since_trim += len(entries)
        if self._commits_since_trim >= _TRIM_EVERY_COMMITS:
            self.trim()

    def _on_failed(self, generation: int, error: Exception) -> None:
        """Take back everything that is not durable; its callers get the store's error."""
        if generation < self._generation:
            return
        above, upto = self.durable, self.head
        if self._taken_back and self._taken_back[-1][0] == above:
            above, _ = self._taken_back.pop()
        self._taken_back.append((above, upto))
        self.head = self.durable
        self.log.truncate(self.durable)
        for table in self.tables:
            for index in table.indexes.values():
                index.versions.truncate(self.durable)
        self.tables.keep_only(self._catalogue())
        self._generation = generation + 1
        problem = (
            error
            if isinstance(error, StoreProblem)
            else StoreUnavailable(f"The store could not append to its log: {error}")
        )
        waiting, self._waiters = self._waiters, deque()
        for waiter in waiting:
            if not waiter.future.done():
                waiter.future.set_exception(problem)

    # -- trimming --------------------------------------------------------------------------------

    def horizon(self) -> Timestamp:
        """The oldest snapshot that must stay readable."""
        oldest = min(self.clock.now_ns() - self._retention_ns, self.durable)
        return min(oldest, min(self._held)) if self._held else oldest

    def trim(self) -> None:
        """Forget versions and log entries below the horizon. O(writes forgotten)."""
        self._commits_since_trim = 0
        horizon = self.horizon()
        if horizon <= self.log.floor:
            return
        for number in list(self._untrimmed):
            table = self.tables.numbered(number)
            pending = False
            for index in table.indexes.values() if table is not None else ():
                index.versions.trim(horizon)
                pending = pending or index.versions.needs_trim
            if not pending:
                self._untrimmed.discard(number)
        self.log.trim(horizon)

    def check(self) -> None:
        """Assert the invariants of the module's docstring and of every index."""
        assert self.durable <= self.head
        assert all(ts >= self.log.floor for ts in self._held)
        for table in self.tables:
            live = len(table.by_id.versions)
            for index in table.indexes.values():
                index.versions.check()
                assert len(index.versions) == live, f"{index.id} disagrees with by_id"


def _apply(step: tuple[Index, bytes, Document | None, bool], ts: Timestamp) -> WrittenKey:
    index, key, document, membership_changed = step
    index.versions.write(key, ts, document)
    return WrittenKey(index.id, key, membership_changed)
