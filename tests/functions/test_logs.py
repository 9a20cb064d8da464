"""Log lines: what functions print and log, and the notation that clients expect."""

import asyncio
import contextvars
import logging
import sys
import threading

import pytest

from reactor.functions import logs
from reactor.functions.logs import LogSink, capture, current_sink, inspect_value, print_and_log


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("hi", "'hi'"),
        ("it's", r"'it\'s'"),
        ("a\nb\tc\\", r"'a\nb\tc\\'"),
        ("\x1b[0m", r"'\x1B[0m'"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ([1, "a"], "[ 1, 'a' ]"),
        ((1,), "[ 1 ]"),
        ({}, "{}"),
        ({"a": {"b": None}}, "{ a: { b: null } }"),
        ({"not plain": 1, 2: 3}, "{ 'not plain': 1, 2: 3 }"),
        ({1}, "Set(1) { 1 }"),
        (b"x", "b'x'"),
    ],
)
def test_values_are_shown_as_an_inspector_does(value: object, shown: str) -> None:
    assert inspect_value(value) == shown


def test_a_value_that_contains_itself_is_cut_off() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert inspect_value(loop) == "[ [ [ [ [ [ [Array] ] ] ] ] ] ]"


def test_long_containers_are_cut_off() -> None:
    assert inspect_value(list(range(150))).endswith("99, ... 50 more items ]")
    assert inspect_value(dict.fromkeys(map(str, range(101)), 0)).endswith("... 1 more items }")


def test_an_object_with_a_broken_repr_does_not_break_logging() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert inspect_value([Broken()]) == "[ [Broken: RuntimeError in its repr] ]"


def test_print_makes_a_line_of_all_arguments() -> None:
    with capture(LogSink()) as sink:
        print_and_log("hi", 3, {"a": 1})
    assert sink.lines == ("[LOG] 'hi' 3 { a: 1 }",)


def test_print_also_reaches_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with capture(LogSink()):
        print_and_log("hi", "there", sep="-")
    assert capsys.readouterr().out == "hi-there\n"


def test_a_sink_can_keep_lines_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with capture(LogSink(echo=False)) as sink:
        print_and_log("hi")
    assert capsys.readouterr().out == ""
    assert sink.lines == ("[LOG] 'hi'",)


def test_print_to_standard_error_is_an_error_line() -> None:
    with capture(LogSink()) as sink:
        print_and_log("no", file=sys.stderr)
    assert sink.lines == ("[ERROR] 'no'",)


def test_outside_a_function_print_is_the_builtin(capsys: pytest.CaptureFixture[str]) -> None:
    print_and_log("hi", end="!")
    assert capsys.readouterr().out == "hi!"
    assert current_sink() is None


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.WARNING, "[WARN] 'n is 5'"),
        (logging.ERROR, "[ERROR] 'n is 5'"),
        (logging.CRITICAL, "[ERROR] 'n is 5'"),
    ],
)
def test_logging_records_become_lines(level: int, shown: str) -> None:
    with capture(LogSink(echo=False)) as sink:
        logging.getLogger("some.app").log(level, "n is %d", 5)
    assert sink.lines == (shown,)


def test_a_logged_exception_brings_its_traceback() -> None:
    with capture(LogSink(echo=False)) as sink:
        try:
            raise ValueError("boom")
        except ValueError:
            logging.getLogger("some.app").exception("failed")
    assert sink.lines[0].startswith("[ERROR] 'failed' Traceback (most recent call last):\n")
    assert sink.lines[0].endswith("ValueError: boom")


def test_the_handler_stays_only_while_functions_run() -> None:
    before = list(logging.root.handlers)
    with capture(LogSink()):
        with capture(LogSink()):
            assert len(logging.root.handlers) == len(before) + 1
        assert len(logging.root.handlers) == len(before) + 1
    assert logging.root.handlers == before


def test_nested_calls_have_their_own_lines() -> None:
    with capture(LogSink()) as outer:
        print_and_log("before")
        with capture(LogSink()) as inner:
            print_and_log("inside")
        print_and_log("after")
    assert outer.lines == ("[LOG] 'before'", "[LOG] 'after'")
    assert inner.lines == ("[LOG] 'inside'",)


def test_concurrent_tasks_do_not_mix_their_lines() -> None:
    async def call(name: str) -> tuple[str, ...]:
        with capture(LogSink()) as sink:
            for _ in range(3):
                print_and_log(name)
                await asyncio.sleep(0)
        return sink.lines

    async def both() -> list[tuple[str, ...]]:
        return list(await asyncio.gather(call("a"), call("b")))

    assert asyncio.run(both()) == [("[LOG] 'a'",) * 3, ("[LOG] 'b'",) * 3]


def test_a_worker_thread_in_a_copied_context_writes_to_the_sink() -> None:
    with capture(LogSink()) as sink:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(print_and_log, "from afar"))
        thread.start()
        thread.join(timeout=10)
    assert sink.lines == ("[LOG] 'from afar'",)


def test_long_lines_are_cut_with_the_official_suffix() -> None:
    sink = LogSink()
    sink.write("LOG", "x" * 40_000)
    assert len(sink.lines[0]) == logs.LINE_LENGTH_MAX == 32_768
    assert sink.lines[0].endswith("x (truncated due to length)")


def test_too_many_lines_are_counted_instead_of_kept() -> None:
    sink = LogSink()
    for number in range(logs.LINES_MAX + 44):
        sink.write("LOG", number)
    assert len(sink.lines) == logs.LINES_MAX + 1
    assert sink.lines[-1] == "[WARN] '44 more log lines were dropped: a call keeps its first 256'"


def test_values_are_shown_as_they_were_when_logged() -> None:
    row = {"n": 1}
    with capture(LogSink()) as sink:
        print_and_log(row)
        row["n"] = 2
    assert sink.lines == ("[LOG] { n: 1 }",)
