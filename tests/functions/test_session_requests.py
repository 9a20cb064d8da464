"""A mutation that a client sends again is not run again, whatever happened in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reactor.application import Application
from reactor.data.values import Value
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.outcome import Outcome
from reactor.engine.tables import SESSION_REQUESTS
from reactor.functions import session_requests
from reactor.functions.session_requests import SessionRequest, prune
from reactor.identity import Identity
from reactor.store.memory import MemoryStore
from tests.engine.databases import HandClock
from tests.functions.running_apps import run, running, value_of

ANYONE = Identity.ANONYMOUS

SOURCE = """
import threading
gate, begun = threading.Event(), threading.Event()

class Entry(Table, name="entries"):
    text: str

@mutation
def write(ctx: MutationCtx, text: str) -> int:
    print("writing", text)
    ctx.db.insert(Entry(text=text))
    return ctx.db.query(Entry).count()

@mutation
def read_only(ctx: MutationCtx) -> int:
    return ctx.db.query(Entry).count()

@mutation
def fail_once(ctx: MutationCtx) -> int:
    if ctx.db.query(Entry).count() == 0:
        raise ReactorError("empty")
    return 1

@mutation(slow=True)
def write_slowly(ctx: MutationCtx) -> int:
    count = ctx.db.query(Entry).count()
    begun.set()
    assert gate.wait(10)
    ctx.db.insert(Entry(text="slow"))
    return count + 1

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [row.text for row in ctx.db.query(Entry)]
"""


async def send(
    app: Application, number: int, path: str = "write", session: str = "s", **args: Value
) -> Outcome:
    if path == "write":
        args.setdefault("text", "x")
    return await app.run_mutation(f"app:{path}", args, ANYONE, request=(session, number))


async def texts(app: Application) -> Value:
    return value_of(await app.run_query("app:texts", {}, ANYONE))


def rows(app: Application) -> int:
    table = app._database.tables.named(SESSION_REQUESTS)
    assert table is not None
    return len(table.by_id.versions)


def test_a_replay_gets_the_recorded_outcome_with_its_original_timestamp() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            first = await send(app, 0)
            await send(app, 1)
            again = await send(app, 0)
            assert (again.value, again.ts, again.log_lines) == (
                first.value, first.ts, ("[LOG] 'writing' 'x'",),
            )  # fmt: skip

    run(main())


def test_a_replay_does_not_run_the_mutation() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            for _ in range(3):
                await send(app, 0)
            assert await texts(app) == ["x"]

    run(main())


def test_requests_of_two_sessions_are_two_requests() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await send(app, 0, session="one")
            await send(app, 0, session="other")
            assert await texts(app) == ["x", "x"]

    run(main())


def test_a_call_that_is_no_request_runs_every_time() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            for _ in range(2):
                await app.run_mutation("app:write", {"text": "x"}, ANYONE)
            assert await texts(app) == ["x", "x"]
            assert rows(app) == 0

    run(main())


def test_a_failed_request_runs_again() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert (await send(app, 0, "fail_once")).error is not None
            await send(app, 1)
            assert value_of(await send(app, 0, "fail_once")) == 1

    run(main())


def test_a_request_that_wrote_nothing_is_remembered_too() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await send(app, 0, "read_only")) == 0
            await send(app, 1)
            assert value_of(await send(app, 0, "read_only")) == 0

    run(main())


def test_a_request_sent_again_while_it_runs_is_done_once() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            spec = app.loaded.registry.find("app:writeSlowly")
            assert spec is not None
            module = spec.handler.__globals__
            both = [asyncio.create_task(send(app, 0, "write_slowly")) for _ in range(2)]
            assert await asyncio.to_thread(module["begun"].wait, 10)
            module["gate"].set()
            one, other = await asyncio.gather(*both)
            assert (one.value, one.ts) == (other.value, other.ts) == (b"1", one.ts)
            assert await texts(app) == ["slow"]

    run(main())


@pytest.mark.parametrize("url", ["memory", "duckdb"])
def test_a_replay_after_a_restart_gets_the_recorded_outcome(url: str, tmp_path: Path) -> None:
    memory = MemoryStore()
    store = memory if url == "memory" else f"duckdb:///{tmp_path / 'data.duckdb'}"

    async def main() -> None:
        async with running(SOURCE, store=store) as app:
            first = await send(app, 0)
            await send(app, 1)
        async with running(SOURCE, store=store) as app:
            again = await send(app, 0)
            assert (again.value, again.ts) == (first.value, first.ts)
            assert await texts(app) == ["x", "x"]

    run(main())


def test_a_row_that_left_the_window_of_its_session_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_requests, "WINDOW", 3)

    async def main() -> None:
        async with running(SOURCE) as app:
            await send(app, 0, session="other")
            for number in range(10):
                await send(app, number)
            assert rows(app) == 3 + 1
            await send(app, 9)
            assert len(await texts(app)) == 11  # type: ignore[arg-type]

    run(main())


def test_rows_older_than_two_weeks_are_pruned_in_batches() -> None:
    async def main() -> None:
        clock = HandClock()
        async with running(SOURCE, clock=clock) as app:
            for number in range(5):
                await send(app, number)
            clock.ns += int(session_requests.RETENTION_MS * 1e6) + 1_000_000
            await send(app, 5)
            assert [await pruned(app, 3), await pruned(app, 3)] == [3, 2]
            assert rows(app) == 1

    run(main())


def test_the_oldest_rows_beyond_the_bound_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_requests, "ROWS_MAX", 2)

    async def main() -> None:
        async with running(SOURCE) as app:
            for number in range(5):
                await send(app, number)
            assert await pruned(app, 100) == 3
            await send(app, 4)
            assert len(await texts(app)) == 5  # type: ignore[arg-type]
            await send(app, 0)
            assert len(await texts(app)) == 6  # type: ignore[arg-type]

    run(main())


async def pruned(app: Application, batch: int) -> int:
    database = app._database
    transaction = database.begin_mutation(Meter(TransactionLimits()))
    count = prune(transaction, database.tables, database.clock.now_ns(), batch)
    committed = database.commit(transaction)
    assert isinstance(committed, int)
    await database.wait_durable(committed)
    return count


def test_session_and_number_are_kept_apart_in_the_id_of_a_row() -> None:
    assert SessionRequest("a", 11).row_id() != SessionRequest("a1", 1).row_id()
