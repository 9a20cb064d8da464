"""Threads for slow functions: few places, and a stuck one gives up its place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from reactor.errors import Unavailable
from reactor.functions.worker_threads import WorkerThreads


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end of the test, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def blocked(begun: threading.Event, release: threading.Event) -> Callable[[], str]:
    def work() -> str:
        begun.set()
        release.wait(30)
        return "released"

    return work


def test_the_result_of_the_work_is_returned() -> None:
    assert asyncio.run(WorkerThreads(1).run(lambda: 6 * 7, 5.0)) == 42


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(WorkerThreads(1).run(lambda: 1 // 0, 5.0))


def test_work_that_does_not_end_in_time_is_given_up(release: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(WorkerThreads(1).run(blocked(threading.Event(), release), 0.05))


def test_a_stuck_thread_gives_up_its_place(release: threading.Event) -> None:
    async def main() -> int:
        threads = WorkerThreads(1)
        with pytest.raises(TimeoutError):
            await threads.run(blocked(threading.Event(), release), 0.05)
        return await threads.run(lambda: 1, 5.0)

    assert asyncio.run(main()) == 1


def test_no_more_than_the_places_run_at_a_time() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    async def main() -> None:
        threads = WorkerThreads(2)
        await asyncio.gather(*(threads.run(work, 5.0) for _ in range(12)))

    asyncio.run(main())
    assert most == 2


def test_stopping_refuses_those_who_wait_for_a_place(release: threading.Event) -> None:
    async def main() -> None:
        threads, begun = WorkerThreads(1), threading.Event()
        first = asyncio.ensure_future(threads.run(blocked(begun, release), 30.0))
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.ensure_future(threads.run(lambda: 1, 5.0))
        await asyncio.sleep(0)
        threads.stop()
        with pytest.raises(Unavailable):
            await second
        release.set()
        assert await first == "released"

    asyncio.run(main())


def test_a_caller_that_gives_up_waiting_takes_no_place(release: threading.Event) -> None:
    async def main() -> int:
        threads, begun = WorkerThreads(1), threading.Event()
        first = asyncio.ensure_future(threads.run(blocked(begun, release), 30.0))
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.ensure_future(threads.run(lambda: 1, 5.0))
        await asyncio.sleep(0)
        second.cancel()
        release.set()
        await first
        return await threads.run(lambda: 3, 5.0)

    assert asyncio.run(main()) == 3
