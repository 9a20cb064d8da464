"""A Reactor inside other programs: mounted under a prefix, by its lifespan, and without a loop."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from reactor import BlockingReactor, Problem, Reactor, ReactorError
from tests.functions.running_apps import module_app, run

APP = """
class Item(Table, name="items"):
    a: int

@query
def total(ctx: QueryCtx) -> int:
    return sum(row.a for row in ctx.db.query(Item))

@mutation
def add(ctx: MutationCtx, a: int) -> Id[Item]:
    return ctx.db.insert(Item, a=a)

@mutation
def refuse(ctx: MutationCtx) -> None:
    raise ReactorError({"code": 7})

@action
async def add_twice(ctx: ActionCtx, a: int) -> int:
    await ctx.run_mutation(add, a=a)
    await ctx.run_mutation("app:add", a=a)
    return await ctx.run_query(total)
"""


async def ask(app: Starlette, prefix: str = "") -> Any:
    """What a client over HTTP gets for the query `total`."""
    body = {"path": "app:total", "args": {}, "format": "json"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        return (await client.post(f"{prefix}/api/query", json=body)).json()


def test_the_lifespan_starts_and_stops_the_reactor() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(APP))
        async with reactor.asgi.router.lifespan_context(reactor.asgi):
            assert (await ask(reactor.asgi))["value"] == 0
        assert not reactor.is_running

    run(main())


def test_the_lifespan_leaves_a_reactor_running_that_it_did_not_start() -> None:
    async def main() -> None:
        async with Reactor(module_app(APP)) as reactor:
            async with reactor.asgi.router.lifespan_context(reactor.asgi):
                pass
            assert await reactor.query("app:total") == 0

    run(main())


def test_a_reactor_answers_under_the_prefix_it_is_mounted_at() -> None:
    async def main() -> None:
        async with Reactor(module_app(APP)) as reactor:
            host = Starlette(routes=[Mount("/deep/api-of-mine", app=reactor.asgi)])
            assert (await ask(host, "/deep/api-of-mine"))["value"] == 0

    run(main())


def test_a_stopped_reactor_is_not_started_again() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(APP))
        async with reactor:
            pass
        with pytest.raises(Problem, match=r"was stopped\. Make a new one"):
            await reactor.start()

    run(main())


def test_a_call_before_the_start_says_how_to_start() -> None:
    async def main() -> None:
        with pytest.raises(Problem, match=r"is not running\. Start it first"):
            await Reactor(module_app(APP)).query("app:total")

    run(main())


def test_stopping_twice_is_fine() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(APP))
        await reactor.start()
        await reactor.stop()
        await reactor.stop()

    run(main())


def test_a_direct_subscription_gives_the_result_now_and_after_each_change() -> None:
    async def main() -> None:
        async with Reactor(module_app(APP)) as reactor:
            totals = reactor.subscribe("app:total")
            seen = [await anext(totals)]
            await reactor.mutation("app:add", a=4)
            seen.append(await anext(totals))
            await totals.aclose()
            assert seen == [0, 4]

    run(main())


def test_blocking_calls_work_without_an_event_loop() -> None:
    with BlockingReactor(module_app(APP)) as reactor:
        reactor.mutation("app:add", a=2)
        assert (reactor.query("app:total"), reactor.action("app:add_twice", a=1)) == (2, 4)


def test_a_blocking_call_raises_the_application_s_error_with_its_data() -> None:
    with BlockingReactor(module_app(APP)) as reactor:
        with pytest.raises(ReactorError) as caught:
            reactor.mutation("app:refuse")
        assert caught.value.data == {"code": 7}


def test_a_blocking_subscription_iterates_over_the_results() -> None:
    with BlockingReactor(module_app(APP)) as reactor:
        totals = reactor.subscribe("app:total")
        seen = [next(totals)]
        reactor.mutation("app:add", a=3)
        seen.append(next(totals))
        totals.close()  # type: ignore[attr-defined]
        assert seen == [0, 3]


def test_a_blocking_reactor_leaves_no_thread_behind() -> None:
    with BlockingReactor(module_app(APP)) as reactor:
        reactor.query("app:total")
    assert not [t for t in threading.enumerate() if t.name.startswith("reactor-blocking")]


def test_a_blocking_call_outside_of_with_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not running: use `with BlockingReactor"):
        BlockingReactor(module_app(APP)).query("app:total")
