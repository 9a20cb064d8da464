"""Nothing is known of a function before its first run, so that run may not hold up others."""

from __future__ import annotations

import asyncio

from tests.functions.running_apps import module_app, run, running

SOURCE = """
import threading

entered, release = threading.Event(), threading.Event()

@query
def stuck(ctx: QueryCtx) -> int:
    entered.set()
    release.wait(30)
    return 1

@query
def quick(ctx: QueryCtx) -> int:
    return 2

@mutation(limits=Limits(run_seconds=60))
def endless(ctx: MutationCtx, number: int) -> None:
    entered.set()
    while not release.is_set():
        pass
"""


def test_a_first_run_that_waits_in_a_c_call_does_not_hold_up_other_calls() -> None:
    async def main() -> None:
        module = module_app(SOURCE)
        async with running(module) as app:
            waiting = asyncio.ensure_future(app.query("app:stuck"))
            assert await asyncio.to_thread(module.entered.wait, 10)
            assert await app.query("app:quick") == 2
            assert not waiting.done()
            module.release.set()
            assert await waiting == 1

    run(main())


def test_a_first_run_does_not_wait_behind_runaway_calls_of_another_function() -> None:
    async def main() -> None:
        module = module_app(SOURCE)
        async with running(module) as app:
            runaways = [
                asyncio.ensure_future(app.mutation("app:endless", number=number))
                for number in range(12)
            ]
            assert await asyncio.to_thread(module.entered.wait, 10)
            assert await app.query("app:quick") == 2
            assert not any(runaway.done() for runaway in runaways)
            module.release.set()
            await asyncio.gather(*runaways)

    run(main())
