"""A Reactor without an event loop of one's own."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from reactor import BlockingReactor, ReactorError
from reactor.errors import StoreLocked
from reactor.store.memory import MemoryStore
from tests.functions.running_apps import module_app

SOURCE = """
import asyncio

class Note(Table, name="notes"):
    text: str

begun = __import__("threading").Event()

@query
def count(ctx: QueryCtx) -> int:
    return ctx.db.query(Note).count()

@query
def refuse(ctx: QueryCtx) -> None:
    raise ReactorError("no")

@mutation
def write(ctx: MutationCtx, text: str = "x") -> Id[Note]:
    return ctx.db.insert(Note(text=text))

@action
async def twice(ctx: ActionCtx) -> int:
    await ctx.run_mutation(write)
    await ctx.run_mutation(write)
    return await ctx.run_query(count)

@action
async def for_ever(ctx: ActionCtx) -> None:
    begun.set()
    await asyncio.Event().wait()
"""


def test_calls_wait_for_their_results() -> None:
    with BlockingReactor(module_app(SOURCE)) as reactor:
        assert isinstance(reactor.mutation("app:write", text="a"), str)
        assert reactor.query("app:count") == 1
        assert reactor.action("app:twice") == 3


def test_a_failure_is_raised() -> None:
    with BlockingReactor(module_app(SOURCE)) as reactor, pytest.raises(ReactorError):
        reactor.query("app:refuse")


def test_a_subscription_gives_each_change() -> None:
    with BlockingReactor(module_app(SOURCE)) as reactor:
        seen = []
        for count in reactor.subscribe("app:count"):
            seen.append(count)
            if count == 3:
                break
            reactor.mutation("app:write")
        assert seen == [0, 1, 2, 3]


def test_a_subscription_that_outlives_the_reactor_ends_quietly() -> None:
    with BlockingReactor(module_app(SOURCE)) as reactor:
        counts = reactor.subscribe("app:count")
        assert next(counts) == 0
    del counts
    gc.collect()


def test_calls_from_many_threads_do_not_disturb_each_other() -> None:
    with BlockingReactor(module_app(SOURCE)) as reactor:
        threads = [
            threading.Thread(target=lambda: [reactor.mutation("app:write") for _ in range(10)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert reactor.query("app:count") == 80


def test_a_reactor_that_does_not_run_says_how_to_start_it() -> None:
    reactor = BlockingReactor(module_app(SOURCE))
    with pytest.raises(RuntimeError, match="with BlockingReactor"):
        reactor.query("app:count")


def test_starting_and_stopping_twice_is_like_once() -> None:
    reactor = BlockingReactor(module_app(SOURCE))
    reactor.start()
    reactor.start()
    assert reactor.query("app:count") == 0
    reactor.stop()
    reactor.stop()


def test_a_start_that_fails_leaves_no_thread() -> None:
    store = MemoryStore()
    store.open()
    with pytest.raises(StoreLocked), BlockingReactor(module_app(SOURCE), store=store):
        pass
    assert "reactor-blocking" not in {thread.name for thread in threading.enumerate()}


def test_stopping_ends_the_waiting_of_other_threads() -> None:
    module = module_app(SOURCE)
    reactor = BlockingReactor(module)
    reactor.start()
    ended = threading.Event()

    def wait() -> None:
        try:
            reactor.action("app:forEver")
        except BaseException:
            ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert module.begun.wait(10)
    reactor.stop()
    assert ended.wait(10)
    thread.join(10)


def test_data_outlives_the_reactor(tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path / 'notes.duckdb'}"
    for expected in (0, 1, 2):
        with BlockingReactor(module_app(SOURCE), store=url) as reactor:
            assert reactor.query("app:count") == expected
            reactor.mutation("app:write")
