"""The writer thread: order, groups, failures and the way out."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable

import pytest

from reactor.data.ids import InternalId
from reactor.engine.log_writer import LogWriter
from reactor.errors import StoreUnavailable
from reactor.store.base import Behind, Commit, DocumentWrite
from reactor.types import Timestamp
from tests.engine.faulty_store import FaultyStore


class Reports:
    """What the writer told the loop, in order; `next` waits for the next report."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self.durable_ts: list[Timestamp] = []
        self.threads: set[int] = set()
        self._news: asyncio.Queue[object] = asyncio.Queue()

    def durable(self, upto: Timestamp) -> None:
        self.durable_ts.append(upto)
        self._add(upto)

    def failed(self, generation: int, error: Exception) -> None:
        self._add((generation, str(error)))

    def _add(self, report: object) -> None:
        self.threads.add(threading.get_ident())
        self.all.append(report)
        self._news.put_nowait(report)

    async def next(self) -> object:
        return await asyncio.wait_for(self._news.get(), 20)


Body = Callable[[LogWriter, FaultyStore, Reports], Awaitable[None]]


def run(body: Body) -> None:
    async def main() -> None:
        store, reports = FaultyStore(), Reports()
        store.open()
        writer = LogWriter(store, 0, on_durable=reports.durable, on_failed=reports.failed)
        writer.start(asyncio.get_running_loop())
        try:
            await body(writer, store, reports)
        finally:
            store.release()
            await writer.stop()

    asyncio.run(main())


def commit(ts: Timestamp) -> Commit:
    return Commit(ts, (DocumentWrite(10_001, InternalId(ts.to_bytes(16, "big")), b"{}"),))


def test_commits_become_durable_in_the_order_in_which_they_were_handed_over() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        for ts in range(1, 50):
            writer.submit(0, commit(ts))
        while await reports.next() != 49:
            pass
        assert all(earlier < later for earlier, later in itertools.pairwise(reports.durable_ts))
        assert [c.ts for c in store.replay(0)] == list(range(1, 50))

    run(body)


def test_what_gathers_while_the_store_is_busy_is_appended_at_once() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.block()
        writer.submit(0, commit(1))
        await store.blocked()
        for ts in (2, 3, 4):
            writer.submit(0, commit(ts))
        store.release()
        assert [await reports.next(), await reports.next()] == [1, 4]
        assert store.groups == [(1,), (2, 3, 4)]

    run(body)


def test_a_group_is_bounded() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.block()
        writer.submit(0, commit(1))
        await store.blocked()
        for ts in range(2, 1_500):
            writer.submit(0, commit(ts))
        store.release()
        while await reports.next() != 1_499:
            pass
        assert [len(group) for group in store.groups] == [1, 1024, 474]

    run(body)


def test_reports_arrive_on_the_thread_of_the_loop() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        writer.submit(0, commit(1))
        await reports.next()
        assert reports.threads == {threading.get_ident()}

    run(body)


def test_a_failed_append_is_reported_with_its_generation_and_error() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.fail(StoreUnavailable("No space left."))
        writer.submit(3, commit(1))
        assert await reports.next() == (3, "No space left.")

    run(body)


def test_nothing_of_a_failed_generation_is_appended_any_more() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.fail()
        writer.submit(0, commit(1))
        await reports.next()
        writer.submit(0, commit(2))
        await writer.call(lambda: None)
        assert store.groups == []

    run(body)


def test_a_failure_is_reported_once_for_all_of_its_generation() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.block()
        store.fail()
        for ts in (1, 2, 3):
            writer.submit(0, commit(ts))
        store.release()
        await reports.next()
        await writer.call(lambda: None)
        assert len(reports.all) == 1

    run(body)


def test_the_next_generation_is_appended_after_a_failure() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.fail()
        writer.submit(0, commit(1))
        await reports.next()
        writer.submit(1, commit(2))
        assert await reports.next() == 2

    run(body)


def test_a_group_of_a_failed_and_a_new_generation_appends_only_the_new_one() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.fail()
        writer.submit(0, commit(1))
        await reports.next()
        busy, go_on = threading.Event(), threading.Event()

        def wait() -> None:
            busy.set()
            go_on.wait(20)

        job = asyncio.create_task(writer.call(wait))
        assert await asyncio.to_thread(busy.wait, 20)
        writer.submit(0, commit(2))
        writer.submit(1, commit(3))
        go_on.set()
        await job
        assert await reports.next() == 3
        assert store.groups == [(3,)]

    run(body)


def test_commits_of_another_writer_are_a_failure() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.behind = Behind((commit(7),))
        writer.submit(0, commit(1))
        assert "Another process wrote to this store" in str(await reports.next())

    run(body)


def test_a_call_runs_in_the_thread_of_the_store_behind_earlier_commits() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        writer.submit(0, commit(1))
        seen = await writer.call(lambda: (threading.current_thread().name, len(store.groups)))
        assert seen == ("reactor-log", 1)

    run(body)


def no_views() -> None:
    raise StoreUnavailable("no views")


def test_a_call_raises_to_its_caller_what_it_raised() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        with pytest.raises(StoreUnavailable, match="views"):
            await writer.call(no_views)

    run(body)


def test_a_call_that_was_given_up_disturbs_nobody() -> None:
    async def body(writer: LogWriter, store: FaultyStore, reports: Reports) -> None:
        store.block()
        writer.submit(0, commit(1))
        await store.blocked()
        call = asyncio.create_task(writer.call(lambda: 1))
        await asyncio.sleep(0)
        call.cancel()
        store.release()
        await asyncio.gather(call, return_exceptions=True)
        assert call.cancelled()
        assert await writer.call(lambda: 2) == 2

    run(body)


def test_stopping_finishes_what_was_handed_over() -> None:
    async def main() -> None:
        store, reports = FaultyStore(), Reports()
        store.open()
        writer = LogWriter(store, 0, on_durable=reports.durable, on_failed=reports.failed)
        writer.start(asyncio.get_running_loop())
        store.block()
        for ts in (1, 2, 3):
            writer.submit(0, commit(ts))
        stopping = asyncio.create_task(writer.stop())
        await store.blocked()
        store.release()
        await stopping
        assert reports.all[-1] == 3

    asyncio.run(main())


def test_a_report_to_a_loop_that_is_gone_is_dropped() -> None:
    store, reports = FaultyStore(), Reports()
    store.open()
    writer = LogWriter(store, 0, on_durable=reports.durable, on_failed=reports.failed)

    async def start() -> None:
        writer.start(asyncio.get_running_loop())
        store.block()
        writer.submit(0, commit(1))
        await store.blocked()

    asyncio.run(start())
    store.release()
    asyncio.run(writer.stop())
    assert store.groups == [(1,)] and reports.all == []
