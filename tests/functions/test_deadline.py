"""The watchdog under pressure: its interrupt hits the guarded run, or nothing at all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reactor.functions.deadline import Interrupted, Watchdog
from reactor.runtime import SystemClock

CLOCK = SystemClock()


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog(CLOCK)
    watchdog.start()
    yield watchdog
    watchdog.stop()


def busy(seconds: float) -> str:
    ends = CLOCK.monotonic_seconds() + seconds
    while CLOCK.monotonic_seconds() < ends:
        pass
    return "done"


def for_ever() -> None:
    while True:
        pass


def test_a_run_that_is_quick_enough_gives_its_result(watchdog: Watchdog) -> None:
    assert watchdog.run(10, lambda: busy(0.0)) == "done"


def test_an_endless_loop_is_interrupted(watchdog: Watchdog) -> None:
    with pytest.raises(Interrupted):
        watchdog.run(0.01, for_ever)


def test_an_exception_of_the_run_passes(watchdog: Watchdog) -> None:
    with pytest.raises(ZeroDivisionError):
        watchdog.run(10, lambda: 1 // 0)


def test_code_that_swallows_the_interrupt_is_interrupted_again(watchdog: Watchdog) -> None:
    swallowed = 0

    def stubborn() -> None:
        nonlocal swallowed
        try:
            for_ever()
        except BaseException:
            swallowed += 1
        for_ever()

    with pytest.raises(Interrupted):
        watchdog.run(0.01, stubborn)
    assert swallowed == 1


def hammer(watchdog: Watchdog, runs: int, seconds: float) -> int:
    """Runs that end about when their time does; how many were interrupted. What surfaces between
    two runs fails the test."""
    interrupted = 0
    for number in range(runs):
        spread = (number % 20 - 10) / 10 * seconds / 4
        if number % 5 == 0:
            spread = 4 * seconds  # long enough to be interrupted for certain
        try:
            watchdog.run(seconds, lambda s=seconds + spread: busy(s))
        except Interrupted:
            interrupted += 1
        for _ in range(200):
            pass
    return interrupted


def test_an_interrupt_never_surfaces_after_its_run(watchdog: Watchdog) -> None:
    assert hammer(watchdog, 60, 0.012) >= 12


def test_an_interrupt_never_reaches_another_thread(watchdog: Watchdog) -> None:
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(hammer, watchdog, 15, 0.012) for _ in range(4)]
        for run in runs:
            run.result(timeout=30)


def test_runs_of_no_length_at_their_deadline_do_no_harm(watchdog: Watchdog) -> None:
    for _ in range(3_000):
        try:
            watchdog.run(0.0, int)
        except Interrupted:
            continue


def test_a_run_after_an_interrupted_one_has_its_whole_time(watchdog: Watchdog) -> None:
    with pytest.raises(Interrupted):
        watchdog.run(0.01, for_ever)
    assert watchdog.run(10, lambda: busy(0.05)) == "done"


def test_an_interrupt_waits_for_a_finaliser_to_end(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    finished: list[str] = []

    class Slow:
        def __del__(self) -> None:
            finished.append(busy(0.06))

    def work() -> None:
        Slow()
        for_ever()

    with pytest.raises(Interrupted):
        watchdog.run(0.02, work)
    assert (finished, lost) == (["done"], [])


@pytest.mark.timeout(20)
def test_a_finaliser_that_never_ends_is_interrupted_all_the_same(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    class Endless:
        def __del__(self) -> None:
            for_ever()

    def work() -> None:
        Endless()
        for_ever()

    with pytest.raises(Interrupted):
        watchdog.run(0.01, work)


def test_stopping_waits_for_nobody_when_there_are_no_runs() -> None:
    watchdog = Watchdog(CLOCK)
    watchdog.start()
    watchdog.stop()
    assert "reactor-watchdog" not in {thread.name for thread in threading.enumerate()}


def test_a_run_under_way_is_still_stopped_after_the_watchdog_was(watchdog: Watchdog) -> None:
    started = threading.Event()

    def work() -> None:
        started.set()
        for_ever()

    def run(finished: Callable[[str], None]) -> None:
        try:
            watchdog.run(0.05, work)
        except Interrupted:
            finished("interrupted")

    outcomes: list[str] = []
    thread = threading.Thread(target=run, args=(outcomes.append,))
    thread.start()
    assert started.wait(5)
    watchdog.stop()
    thread.join(5)
    assert outcomes == ["interrupted"]
