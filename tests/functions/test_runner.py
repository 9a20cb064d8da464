"""Where functions run, how often, and until when: on the event loop, in threads, side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from reactor.application import Application
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.errors import StoreUnavailable, Unavailable
from reactor.functions import runner as runner_module
from reactor.functions.deployment import deploy
from reactor.functions.loader import load_app
from reactor.identity import Identity
from reactor.live.live_query import QueryCall
from tests.engine.faulty_store import FaultyStore
from tests.functions.running_apps import run, running, text_of, value_of, write_app

ANYONE = Identity.ANONYMOUS

COUNTER = """
import threading
import time

class Counter(Table, name="counters"):
    name: str
    value: int

threads: list[str] = []
#: What `wait` waits for, and what it says when it has begun.
gate = threading.Event()
begun = threading.Event()

@mutation
def create(ctx: MutationCtx, name: str = "c", value: int = 0) -> Id[Counter]:
    return ctx.db.insert(Counter(name=name, value=value))

@query
def read(ctx: QueryCtx) -> int:
    threads.append(threading.current_thread().name)
    return sum(row.value for row in ctx.db.query(Counter))

@mutation(slow=True)
def add(ctx: MutationCtx, amount: int = 1) -> int:
    row = ctx.db.query(Counter).first()
    time.sleep(0.001)
    ctx.db.patch(row.id, value=row.value + amount)
    return row.value + amount

@mutation
def add_quickly(ctx: MutationCtx, amount: int = 1) -> None:
    row = ctx.db.query(Counter).first()
    ctx.db.patch(row.id, value=row.value + amount)

@mutation(slow=True)
def wait_and_add(ctx: MutationCtx) -> list[float]:
    row = ctx.db.query(Counter).first()
    drawn = [ctx.now(), ctx.random.random()]
    drawn_before.append(drawn)
    begun.set()
    assert gate.wait(10)
    ctx.db.patch(row.id, value=row.value + 1)
    return drawn

@mutation(slow=True)
def wait_and_read(ctx: MutationCtx) -> int:
    value = ctx.db.query(Counter).first().value
    begun.set()
    assert gate.wait(10)
    return value

@mutation(slow=True)
def wait_and_fail(ctx: MutationCtx) -> int:
    value = ctx.db.query(Counter).first().value
    begun.set()
    assert gate.wait(10)
    raise ReactorError(value)

@query(slow=True)
def wait_and_query(ctx: QueryCtx) -> int:
    begun.set()
    assert gate.wait(10)
    return sum(row.value for row in ctx.db.query(Counter))

@query
def busy(ctx: QueryCtx, seconds: float) -> list[float]:
    threads.append(threading.current_thread().name)
    drawn = [ctx.now(), ctx.random.random()]
    drawn_before.append(drawn)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass
    return drawn

drawn_before: list[list[float]] = []

@query(limits=Limits(run_seconds=0.1))
def for_ever(ctx: QueryCtx) -> None:
    while True:
        pass

@query(limits=Limits(run_seconds=0.1, ranges_read=10_000_000, documents_read=10_000_000))
def for_ever_reading(ctx: QueryCtx) -> None:
    while True:
        ctx.db.query(Counter).first()

@mutation(limits=Limits(run_seconds=0.1))
def for_ever_mutating(ctx: MutationCtx) -> None:
    ctx.db.insert(Counter(name="x", value=1_000))
    while True:
        pass

@mutation(limits=Limits(run_seconds=0.1, documents_written=10_000_000, ranges_read=10_000_000))
def for_ever_writing(ctx: MutationCtx) -> None:
    row = ctx.db.query(Counter).first()
    while True:
        ctx.db.patch(row.id, value=1_000)

@query(slow=True, limits=Limits(run_seconds=0.05))
def asleep(ctx: QueryCtx) -> None:
    assert gate.wait(10)

@query(slow=True, limits=Limits(run_seconds=2.0))
def unhurried(ctx: QueryCtx, number: int) -> int:
    time.sleep(0.03)
    return ctx.db.query(Counter).count()

@query(limits=Limits(documents_read=3))
def greedy(ctx: QueryCtx) -> int:
    return len(ctx.db.query(Counter).collect())

@mutation(limits=Limits(ranges_read=1, documents_written=1))
def modest(ctx: MutationCtx) -> str:
    ctx.db.insert(Counter(name="m", value=1))
    return "done"
"""


async def call(app: Application, path: str, **args: Value) -> Outcome:
    return await app.run_mutation(f"app:{path}", args, ANYONE)


async def ask(app: Application, path: str, **args: Value) -> Outcome:
    return await app.run_query(f"app:{path}", args, ANYONE)


def handle(app: Application, name: str) -> object:
    """A global of the app's module."""
    spec = app.loaded.registry.find("app:read")
    assert spec is not None
    return spec.handler.__globals__[name]


async def begun(app: Application) -> None:
    """Return once a function of the app waits at the gate."""
    event = handle(app, "begun")
    assert await asyncio.to_thread(event.wait, 10)  # type: ignore[attr-defined]
    event.clear()  # type: ignore[attr-defined]


def open_gate(app: Application) -> None:
    handle(app, "gate").set()  # type: ignore[attr-defined]


@pytest.fixture
def quick_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(runner_module, "INLINE_SECONDS", 0.02)
    monkeypatch.setattr(runner_module, "_GRACE_SECONDS", 0.1)
    yield


# -- where ---------------------------------------------------------------------------------------


def test_a_function_runs_on_the_event_loop_once_it_has_proved_quick() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            for _ in range(3):
                await ask(app, "read")
                await call(app, "create")
            first, *others = cast("list[str]", handle(app, "threads"))
            assert first != "MainThread" and others == ["MainThread"] * 2

    run(main())


def test_a_function_that_takes_long_is_run_again_in_a_thread_and_stays_there(
    quick_patience: None,
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            for seconds in (0.0, 0.05, 0.0):
                value_of(await ask(app, "busy", seconds=seconds))
            on_the_loop = [
                name == "MainThread" for name in cast("list[str]", handle(app, "threads"))
            ]
            assert on_the_loop == [False, True, False, False]

    run(main())


def test_a_function_that_was_quick_again_for_a_while_returns_to_the_event_loop(
    quick_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_QUICK_RUNS_AFTER_SLOW", 3)
    monkeypatch.setattr(runner_module, "INLINE_SECONDS", 0.1)

    async def main() -> None:
        async with running(COUNTER) as app:
            value_of(await ask(app, "busy", seconds=0.12))
            threads = cast("list[str]", handle(app, "threads"))
            runs = 0
            while threads[-1] != "MainThread":
                value_of(await ask(app, "busy", seconds=0.0))
                runs += 1
            assert runs > 3

    run(main())


def test_a_slow_query_does_not_keep_others_waiting() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create", value=5)
            slow = asyncio.create_task(ask(app, "wait_and_query"))
            await begun(app)
            assert value_of(await ask(app, "read")) == 5
            value_of(await call(app, "add_quickly"))
            open_gate(app)
            assert value_of(await slow) == 5, "it reads the snapshot at which it began"

    run(main())


# -- how often -----------------------------------------------------------------------------------


def test_fifty_mutations_of_one_document_in_threads_all_succeed_and_none_is_lost() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            outcomes = await asyncio.gather(*(call(app, "add") for _ in range(50)))
            assert sorted(map(value_of, outcomes)) == list(range(1, 51))  # type: ignore[type-var]
            assert value_of(await ask(app, "read")) == 50
            assert len({outcome.ts for outcome in outcomes}) == 50

    run(main())


def test_mutations_on_the_event_loop_and_in_threads_do_not_lose_each_others_writes() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            paths = ["add", "add_quickly", "add_quickly"] * 12
            for outcome in await asyncio.gather(*(call(app, path) for path in paths)):
                value_of(outcome)
            assert value_of(await ask(app, "read")) == len(paths)

    run(main())


def test_a_mutation_that_is_run_again_sees_the_same_time_and_random_numbers() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            slow = asyncio.create_task(call(app, "wait_and_add"))
            await begun(app)
            await call(app, "add_quickly")
            open_gate(app)
            drawn = value_of(await slow)
            assert handle(app, "drawn_before") == [drawn, drawn]
            assert value_of(await ask(app, "read")) == 2

    run(main())


def test_a_query_that_is_run_again_sees_the_same_time_and_random_numbers(
    quick_patience: None,
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            value_of(await ask(app, "busy", seconds=0.0))
            drawn = value_of(await ask(app, "busy", seconds=0.03))
            assert cast("list[object]", handle(app, "drawn_before"))[1:] == [drawn, drawn]

    run(main())


def test_two_calls_of_a_function_draw_different_random_numbers() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            one, other = [value_of(await ask(app, "busy", seconds=0.0)) for _ in range(2)]
            assert one[1] != other[1]  # type: ignore[index]

    run(main())


def test_a_cancelled_mutation_has_no_effect_and_holds_up_nobody() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            slow = asyncio.create_task(call(app, "wait_and_add"))
            await begun(app)
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
            open_gate(app)
            for outcome in await asyncio.gather(*(call(app, "add") for _ in range(8))):
                value_of(outcome)
            assert value_of(await ask(app, "read")) == 8
            assert app._database._held == {}

    run(main())


def test_a_cancelled_mutation_that_ran_alone_lets_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner_module, "_OPTIMISTIC_TRIES", 0)

    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            alone = asyncio.create_task(call(app, "wait_and_add"))
            await begun(app)
            waiting = asyncio.create_task(call(app, "add_quickly"))
            also_waiting = asyncio.create_task(call(app, "add_quickly"))
            await asyncio.sleep(0)
            also_waiting.cancel()
            alone.cancel()
            open_gate(app)
            await asyncio.gather(alone, also_waiting, return_exceptions=True)
            value_of(await waiting)
            assert value_of(await ask(app, "read")) == 1

    run(main())


# -- when the store fails ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["wait_and_read", "wait_and_fail"])
def test_what_was_read_of_a_commit_that_was_taken_back_is_told_to_nobody(path: str) -> None:
    async def main() -> None:
        store = FaultyStore()
        async with running(COUNTER, store=store) as app:
            await call(app, "create", value=7)
            store.block()
            lost = asyncio.create_task(call(app, "add_quickly"))
            await store.blocked()
            reading = asyncio.create_task(call(app, path))
            await begun(app)
            store.fail()
            store.release()
            with pytest.raises(StoreUnavailable):
                await lost
            open_gate(app)
            outcome = await reading
            if path == "wait_and_read":
                assert value_of(outcome) == 7
            else:
                assert outcome.error is not None and outcome.error.data == b"7"

    run(main())


def test_a_mutation_that_began_on_a_commit_that_was_taken_back_is_run_again() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with running(COUNTER, store=store) as app:
            await call(app, "create", value=7)
            store.block()
            lost = asyncio.create_task(call(app, "add_quickly", amount=100))
            await store.blocked()
            adding = asyncio.create_task(call(app, "wait_and_add"))
            await begun(app)
            store.fail()
            store.release()
            with pytest.raises(StoreUnavailable):
                await lost
            open_gate(app)
            value_of(await adding)
            assert value_of(await ask(app, "read")) == 8

    run(main())


def test_a_mutation_is_answered_when_it_is_durable_and_not_before() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with running(COUNTER, store=store) as app:
            await call(app, "create")
            store.block()
            adding = asyncio.create_task(call(app, "add_quickly"))
            await store.blocked()
            assert not adding.done()
            assert value_of(await ask(app, "read")) == 0
            store.release()
            value_of(await adding)
            assert value_of(await ask(app, "read")) == 1

    run(main())


# -- until when ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["for_ever", "for_ever_reading"])
def test_a_query_that_never_ends_is_stopped_while_other_calls_go_on(
    path: str, quick_patience: None
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create", value=3)
            stuck = asyncio.create_task(ask(app, path))
            answers = 0
            while not stuck.done():
                value_of(await call(app, "add_quickly"))
                answers += 1
            assert answers >= 1
            assert text_of(await stuck) == (
                f"Function execution timed out: app:{_camel(path)} ran longer than its limit of "
                "0.1 s (run_seconds). Read less, use an index, or raise the limit with "
                "Limits(run_seconds=...) on the function or the app.\n"
            )

    run(main())


@pytest.mark.parametrize("path", ["for_ever_mutating", "for_ever_writing"])
def test_a_mutation_that_never_ends_is_stopped_and_writes_nothing(
    path: str, quick_patience: None
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create", value=3)
            assert "timed out" in text_of(await call(app, path))
            assert value_of(await ask(app, "read")) == 3

    run(main())


def test_a_caller_is_answered_although_a_blocked_function_cannot_be_stopped(
    quick_patience: None,
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            assert "timed out" in text_of(await ask(app, "asleep"))
            open_gate(app)

    run(main())


def test_a_live_query_that_timed_out_is_run_again_when_what_it_read_changes(
    quick_patience: None,
) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            call_ = QueryCall("app:for_ever_reading", {}, b"{}", ANYONE, None)
            before = await app._runner.evaluate_query(call_, app.latest_ts())
            ts = (await call(app, "create")).ts
            conflict = app._database.conflict_since(before.reads, before.outcome.ts)
            assert conflict is not None and conflict.ts == ts

    run(main())


def test_waiting_for_a_free_thread_is_not_running(
    quick_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = COUNTER.replace("run_seconds=2.0", "run_seconds=0.1")

    async def main() -> None:
        async with running(source) as app:
            calls = [ask(app, "unhurried", number=number) for number in range(40)]
            assert [value_of(outcome) for outcome in await asyncio.gather(*calls)] == [0] * 40

    run(main())


def test_stopping_ends_the_calls_that_wait_for_a_thread_as_unavailable() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            await call(app, "create")
            waiting = []
            for _ in range(runner_module._WORKERS):
                waiting.append(asyncio.create_task(call(app, "wait_and_read")))
                await begun(app)
            late = asyncio.create_task(call(app, "add"))
            await asyncio.sleep(0)
            await app.stop()
            with pytest.raises(Unavailable):
                await late
            open_gate(app)
            await asyncio.gather(*waiting, return_exceptions=True)

    run(main())


# -- limits --------------------------------------------------------------------------------------


def test_a_broken_limit_is_told_with_the_scan_that_broke_it() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            for _ in range(4):
                await call(app, "create")
            text = text_of(await ask(app, "greedy"))
            assert text.startswith(
                "Too many documents read in a single function execution (limit: 3). "
            )
            assert "counters.by_creation_time" in text

    run(main())


def test_what_the_system_reads_and_writes_does_not_count_against_the_limits() -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            for number in range(2):
                outcome = await app.run_mutation("app:modest", {}, ANYONE, request=("s", number))
                assert value_of(outcome) == "done"

    run(main())


# -- code that is swapped while it runs ----------------------------------------------------------


OLD = """
import threading
gate, begun = threading.Event(), threading.Event()

class Counter(Table, name="counters"):
    value: int
    by_value = Index("value")

@mutation
def create(ctx: MutationCtx) -> None:
    ctx.db.insert(Counter(value=1))

@mutation(slow=True)
def change(ctx: MutationCtx) -> str:
    row = ctx.db.query(Counter).with_index("by_value").eq(value=1).first()
    begun.set()
    assert gate.wait(10)
    ctx.db.patch(row.id, value=2)
    return "old"
"""


def test_a_mutation_during_which_its_code_was_swapped_runs_the_new_code(tmp_path: Path) -> None:
    new = OLD.replace("assert gate.wait(10)", "pass").replace('"old"', '"new"')

    async def main() -> None:
        async with running(load_app(write_app(tmp_path, {"m.py": OLD}))) as app:
            await app.run_mutation("m:create", {}, ANYONE)
            changing = asyncio.create_task(app.run_mutation("m:change", {}, ANYONE))
            spec = app.loaded.registry.find("m:change")
            assert spec is not None
            module = spec.handler.__globals__
            assert await asyncio.to_thread(module["begun"].wait, 10)
            write_app(tmp_path, {"m.py": new})
            await deploy(app._database, app._runner, load_app(tmp_path))
            module["gate"].set()
            assert value_of(await changing) == "new"

    run(main())


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def test_the_event_loop_is_never_held_much_longer_than_the_bound(quick_patience: None) -> None:
    async def main() -> None:
        async with running(COUNTER) as app:
            value_of(await ask(app, "busy", seconds=0.0))
            started = time.monotonic()
            long = asyncio.create_task(ask(app, "busy", seconds=0.5))
            await asyncio.sleep(0)
            assert time.monotonic() - started < 0.4
            value_of(await long)

    run(main())
