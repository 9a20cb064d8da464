"""Remembering which mutations a client session has already done (protocol section 1.9).

A client that reconnects sends again every mutation that it has not seen completed. So the result of
a successful mutation is a row of the system table `_session_requests`, written in the mutation's
own transaction: both are there or neither, also after a crash. A replay finds the row and gets the
recorded result with the original timestamp. The row's id is derived from session and request, so
finding it is one point read, and two runs of one request conflict on it.

Rows go away when no replay can come any more: those far behind the newest of their session (the
server answers a session in order and closes it when too much is outstanding), and, as a bound on
memory, those older than two weeks or beyond a number of rows (`prune`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from reactor.data.ids import InternalId
from reactor.data.intervals import EVERYTHING
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.engine.tables import SESSION_REQUESTS, Tables, TableState
from reactor.engine.transaction import Transaction
from reactor.types import BY_CREATION_TIME, Timestamp

#: A session's rows further back than this are dropped. Above what one connection may have
#: outstanding: 1,000 queued mutations and 4,096 queued answers.
WINDOW = 8_192

RETENTION_MS = 14 * 86_400_000
ROWS_MAX = 200_000


class SessionRequest(NamedTuple):
    """One mutation call of one client object, over all of its connections."""

    session_id: str
    request_id: int

    def row_id(self) -> InternalId:
        return InternalId(
            blake2b(f"{self.session_id}|{self.request_id}".encode(), digest_size=16).digest()
        )


def recorded(transaction: Transaction, request: SessionRequest) -> Outcome | None:
    """The outcome of an earlier run of this request, if there was one."""
    table = _table(transaction)
    ts, row = transaction.get_version(table, request.row_id())
    if row is None or ts is None:
        return None
    result, log_lines = row.value["result"], row.value["logLines"]
    assert isinstance(result, str) and isinstance(log_lines, list)
    return Outcome.of(ts, value=result.encode(), log_lines=tuple(str(line) for line in log_lines))


def record(
    transaction: Transaction, request: SessionRequest, value: bytes, log_lines: tuple[str, ...]
) -> None:
    """Write the row of a successful run, and drop the one that left the window."""
    table = _table(transaction)
    fields: dict[str, Value] = {"result": value.decode(), "logLines": list(log_lines)}
    transaction.insert(table, fields, internal_id=request.row_id())
    if request.request_id >= WINDOW:
        leaving = request._replace(request_id=request.request_id - WINDOW).row_id()
        if transaction.get(table, leaving) is not None:
            transaction.delete(table, leaving)


def prune(transaction: Transaction, tables: Tables, now: Timestamp, batch: int) -> int:
    """Delete up to `batch` rows that are too old or too many, oldest first. Returns how many."""
    table = tables.named(SESSION_REQUESTS)
    assert table is not None
    index = table.indexes[BY_CREATION_TIME]
    excess = len(index.versions) - ROWS_MAX
    oldest_kept_ms = now / 1e6 - RETENTION_MS
    doomed: list[InternalId] = []
    for _, document in transaction.scan(table, index, EVERYTHING):
        if len(doomed) >= batch or (
            document.creation_time >= oldest_kept_ms and len(doomed) >= excess
        ):
            break
        doomed.append(document.internal_id)
    for internal_id in doomed:
        transaction.delete(table, internal_id)
    return len(doomed)


def _table(transaction: Transaction) -> TableState:
    table = transaction.table(SESSION_REQUESTS)
    assert table is not None
    return table
