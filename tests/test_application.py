"""The one door to an app: its lifecycle, and direct calls in process."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

import pytest

from reactor import Int64
from reactor.application import Application
from reactor.data.values import Value
from reactor.errors import (
    FunctionNotFound,
    InvalidFunctionPath,
    OutOfRetention,
    ReactorError,
    StoreDamaged,
    StoreUnavailable,
    Unauthenticated,
    Unavailable,
)
from reactor.functions.failures import CallFailed
from reactor.functions.runner import FunctionLog
from reactor.identity import Identity
from reactor.store.memory import MemoryStore
from tests.engine.faulty_store import FaultyStore
from tests.functions.running_apps import module_app, run, running, text_of, value_of

ANYONE = Identity.ANONYMOUS

SOURCE = """
class Note(Table, name="notes"):
    text: str
    likes: int = 0

@query
def notes(ctx: QueryCtx) -> list[Note]:
    return ctx.db.query(Note).collect()

@query
def count(ctx: QueryCtx) -> int:
    return ctx.db.query(Note).count()

@query
def same(ctx: QueryCtx, value: Any) -> Any:
    return value

@query
def refuse_when_empty(ctx: QueryCtx) -> int:
    if not (number := ctx.db.query(Note).count()):
        raise ReactorError({"code": "EMPTY"})
    return number

@query
def crash(ctx: QueryCtx) -> None:
    raise ValueError("boom")

@mutation
def write(ctx: MutationCtx, text: str) -> Id[Note]:
    return ctx.db.insert(Note(text=text))

@internal_mutation
def wipe(ctx: MutationCtx) -> int:
    rows = ctx.db.query(Note).collect()
    for row in rows:
        ctx.db.delete(row.id)
    return len(rows)

@action
async def shout(ctx: ActionCtx, text: str) -> str:
    await ctx.run_mutation(write, text=text.upper())
    return text.upper()
"""


def function(app: Application, name: str) -> Any:
    spec = app.loaded.registry.find(f"app:{name}")
    assert spec is not None
    return spec.handler


# -- lifecycle -----------------------------------------------------------------------------------


def test_nothing_runs_before_the_start() -> None:
    async def main() -> None:
        app = Application(module_app(SOURCE))
        with pytest.raises(Unavailable, match="is not running"):
            await app.query("app:count")

    run(main())


def test_nothing_runs_after_the_stop() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            pass
        for call in (app.query("app:count"), app.mutation("app:write", text="x")):
            with pytest.raises(Unavailable):
                await call
        with pytest.raises(Unavailable):
            app.open_live_client(lambda: None)

    run(main())


def test_starting_and_stopping_twice_is_like_once() -> None:
    async def main() -> None:
        app = Application(module_app(SOURCE))
        await app.start()
        await app.start()
        assert await app.query("app:count") == 0
        await app.stop()
        await app.stop()

    run(main())


def test_a_stopped_application_is_not_started_again() -> None:
    async def main() -> None:
        app = Application(module_app(SOURCE))
        await app.start()
        await app.stop()
        with pytest.raises(Unavailable, match="was stopped"):
            await app.start()

    run(main())


def test_what_was_acknowledged_is_there_after_a_restart() -> None:
    async def main() -> None:
        store = MemoryStore()
        async with running(SOURCE, store=store) as app:
            for number in range(20):
                await app.mutation("app:write", text=str(number))
        async with running(SOURCE, store=store) as app:
            assert [note.text for note in await app.query("app:notes")] == list(map(str, range(20)))

    run(main())


def test_a_store_that_cannot_be_replayed_is_closed_again() -> None:
    async def main() -> None:
        store = FaultyStore()
        store.replay_error = StoreDamaged("a block is unreadable")
        with pytest.raises(StoreDamaged):
            await Application(module_app(SOURCE), store=store).start()
        store.replay_error = None
        async with running(SOURCE, store=store) as app:
            assert await app.query("app:count") == 0

    run(main())


def test_a_start_that_fails_while_deploying_closes_the_store() -> None:
    async def main() -> None:
        store = FaultyStore()
        store.fail()
        with pytest.raises(StoreUnavailable):
            await Application(module_app(SOURCE), store=store).start()
        async with running(SOURCE, store=store) as app:
            assert await app.query("app:count") == 0

    run(main())


def test_stopping_waits_for_commits_under_way() -> None:
    async def main() -> None:
        store = FaultyStore()
        async with running(SOURCE, store=store) as app:
            store.block()
            writing = asyncio.create_task(app.mutation("app:write", text="x"))
            await store.blocked()
            stopping = asyncio.create_task(app.stop())
            await asyncio.sleep(0)
            store.release()
            await stopping
            assert isinstance(await writing, str)

    run(main())


# -- direct calls --------------------------------------------------------------------------------


def test_direct_calls_take_and_give_python_values() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            note_id = await app.mutation("app:write", text="hello")
            (note,) = await app.query("app:notes")
            assert (note.id, note.text, note.likes) == (note_id, "hello", 0)

    run(main())


def test_a_function_is_its_own_reference() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await app.mutation(function(app, "write"), text="x")
            assert await app.query(function(app, "count")) == 1

    run(main())


@pytest.mark.parametrize("value", [None, True, 5, 5.5, "x", b"x", [1, [2]], {"a": {"b": None}}])
def test_values_of_every_type_go_in_and_come_out(value: Value) -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert await app.query("app:same", value=value) == value

    run(main())


def test_an_int64_stays_one() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert isinstance(await app.query("app:same", value=Int64(2**60)), Int64)

    run(main())


def test_direct_calls_reach_internal_functions() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await app.mutation("app:write", text="x")
            assert await app.mutation("app:wipe") == 1

    run(main())


def test_an_action_can_be_called_directly() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert await app.action("app:shout", text="x") == "X"
            assert await app.query("app:count") == 1

    run(main())


def test_an_application_error_is_raised_with_its_data() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(ReactorError) as caught:
                await app.query("app:refuseWhenEmpty")
            assert caught.value.data == {"code": "EMPTY"}

    run(main())


def test_any_other_failure_is_raised_with_its_text() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(CallFailed, match="Uncaught ValueError: boom"):
                await app.query("app:crash")

    run(main())


def test_a_path_that_is_none_is_refused() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(InvalidFunctionPath):
                await app.query("app:a:b:c")

    run(main())


# -- subscriptions -------------------------------------------------------------------------------


def test_a_subscription_gives_the_result_now_and_after_each_change() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            counts = app.subscribe("app:count")
            assert await anext(counts) == 0
            for number in (1, 2):
                await app.mutation("app:write", text="x")
                assert await anext(counts) == number
            await counts.aclose()
            assert not any(query.watchers for query in app._live._by_key.values())

    run(main())


def test_two_subscribers_are_both_told_of_every_change() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            one, other = app.subscribe("app:count"), app.subscribe("app:count")
            assert (await anext(one), await anext(other)) == (0, 0)
            for number in (1, 2, 3):
                await app.mutation("app:write", text="x")
                assert await app.query("app:count") == number
                assert (await anext(one), await anext(other)) == (number, number)
            await one.aclose()
            await other.aclose()

    run(main())


def test_a_subscription_raises_a_failure_when_there_is_one() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await app.mutation("app:write", text="x")
            counts = app.subscribe("app:refuseWhenEmpty")
            assert await anext(counts) == 1
            await app.mutation("app:wipe")
            with pytest.raises(ReactorError):
                await anext(counts)

    run(main())


def test_a_subscription_to_an_unknown_function_is_refused() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(FunctionNotFound):
                await anext(app.subscribe("app:nope"))

    run(main())


def test_a_subscription_ends_when_the_application_stops() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            counts = app.subscribe("app:count")
            await anext(counts)
            waiting = asyncio.create_task(anext(counts))
            await asyncio.sleep(0)
            await app.stop()
            with pytest.raises(Unavailable):
                await waiting

    run(main())


# -- the door ------------------------------------------------------------------------------------


def test_a_query_at_a_past_timestamp_reads_the_state_of_that_time() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            before = app.latest_ts()
            await app.mutation("app:write", text="x")
            outcome = await app.run_query("app:count", {}, ANYONE, at=before)
            assert (value_of(outcome), outcome.ts) == (0, before)

    run(main())


@pytest.mark.parametrize("ahead", [-(10**12), 1])
def test_a_timestamp_that_is_not_kept_is_refused(ahead: int) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with running(SOURCE, store=store):
            pass
        async with running(SOURCE, store=store) as app:
            with pytest.raises(OutOfRetention):
                await app.run_query("app:count", {}, ANYONE, at=app.latest_ts() + ahead)

    run(main())


def test_an_administrator_may_run_any_function_by_its_path() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            for path, args, expected in (
                ("app:count", {}, 0.0),
                ("app:wipe", {}, 0.0),
                ("app:shout", {"text": "x"}, "X"),
            ):
                outcome = await app.run_any(path, dict[str, Value](args), Identity.ADMIN)
                assert value_of(outcome) == expected

    run(main())


def test_a_client_reaches_no_internal_function() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            outcome = await app.run_mutation("app:wipe", {}, ANYONE)
            assert text_of(outcome) == "Could not find public function for 'app:wipe'.\n"

    run(main())


def test_the_admin_key_makes_an_administrator() -> None:
    async def main() -> None:
        async with running(SOURCE, admin_key="app|secret") as app:
            for key in ("app|secret", "dev:app|secret", "prod:app|secret"):
                assert await app.authenticate("Admin", key, None) == Identity.ADMIN
            acting = await app.authenticate("Admin", "app|secret", {"subject": "ann"})
            assert acting.is_admin and acting.user() == {"subject": "ann"}

    run(main())


@pytest.mark.parametrize("key", ["", "wrong", "app|secret ", "äpp"])
def test_any_other_key_makes_nobody(key: str) -> None:
    async def main() -> None:
        async with running(SOURCE, admin_key="app|secret") as app:
            with pytest.raises(Unauthenticated):
                await app.authenticate("Admin", key, None)

    run(main())


def test_every_call_is_told_to_the_log_listener() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            seen: list[FunctionLog] = []
            app.on_log = seen.append
            await app.mutation("app:write", text="x")
            await app.query("app:count")
            with pytest.raises(CallFailed):
                await app.query("app:crash")
            assert [entry.path for entry in seen] == ["app:write", "app:count", "app:crash"]
            assert [type(entry.error) for entry in seen] == [type(None), type(None), ValueError]

    run(main())


def test_an_app_may_be_given_as_a_module() -> None:
    module = module_app(SOURCE)
    assert isinstance(module, ModuleType)
    assert Application(module).name == "app"
