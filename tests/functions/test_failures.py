"""What a caller sees of a failure: everything in development, a request id in redacted mode."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from reactor.engine.outcome import FunctionFailure, Outcome
from reactor.errors import DocumentProblem, InvalidCursor, ReactorError
from reactor.functions.failures import (
    CallFailed,
    CallFailedWithData,
    describe_failure,
    request_id,
)
from reactor.functions.loader import load_app
from reactor.identity import Identity
from tests.functions.running_apps import run, running, write_app

FIRST = "[Request ID: 0123456789abcdef] Server Error"


def describe(error: BaseException, *, redact: bool = False) -> FunctionFailure:
    return describe_failure(
        error, path="a:b", request="0123456789abcdef", redact=redact, folder=None
    )


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


# -- development ---------------------------------------------------------------------------------


def test_an_exception_is_told_with_its_name_and_text() -> None:
    assert describe(ValueError("boom")).message == f"{FIRST}\nUncaught ValueError: boom\n"


def test_an_exception_without_text_is_told_with_its_name() -> None:
    assert describe(KeyboardInterrupt()).message == f"{FIRST}\nUncaught KeyboardInterrupt\n"


def test_a_problem_that_reactor_raised_is_told_without_uncaught() -> None:
    assert describe(DocumentProblem("No such thing.")).message == f"{FIRST}\nNo such thing.\n"


def test_an_application_error_is_told_with_its_data_as_json() -> None:
    failure = describe(ReactorError({"code": "NOT_YOURS", "n": 1}))
    assert failure.message == f'{FIRST}\nUncaught ConvexError: {{"code":"NOT_YOURS","n":1}}\n'
    assert failure.data == b'{"code":"NOT_YOURS","n":1}'


def test_an_application_error_without_data_has_null_as_its_data() -> None:
    assert describe(ReactorError()).data == b"null"


def test_any_other_error_has_no_data() -> None:
    assert describe(ValueError("boom")).data is None


def test_an_application_error_with_data_that_no_client_can_read_says_so() -> None:
    failure = describe(ReactorError({"at": object()}))
    assert failure.data is not None
    assert failure.data.startswith(b'"ReactorError was raised with data that no client can read')
    assert "Uncaught ConvexError" in failure.message


def test_a_cursor_of_another_query_is_told_as_clients_expect_it() -> None:
    failure = describe(InvalidCursor())
    assert failure.data == b'{"isConvexSystemError":true,"paginationError":"InvalidCursor"}'
    assert failure.message.startswith(
        f"{FIRST}\nUncaught ConvexError: InvalidCursor: Tried to run a query starting from a cursor"
    )


def test_the_failure_of_an_inner_call_is_told_without_a_second_first_line() -> None:
    inner = FunctionFailure("[Request ID: ffff] Server Error\nUncaught ValueError: boom\n")
    assert describe(CallFailed(inner)).message == f"{FIRST}\nUncaught ValueError: boom\n"


def test_the_data_of_an_inner_call_is_passed_on() -> None:
    inner = FunctionFailure("[Request ID: ffff] Server Error\nUncaught ConvexError: 5\n", b"5")
    error = CallFailedWithData(inner)
    assert error.data == 5
    assert describe(error).data == b"5"


def test_frames_of_reactor_and_of_python_are_left_out() -> None:
    failure = describe(raised(ValueError("boom")))
    assert re.fullmatch(
        re.escape(FIRST)
        + r"\nUncaught ValueError: boom\n    at raised \(test_failures\.py:\d+\)\n",
        failure.message,
    )


def test_frames_of_an_app_folder_come_innermost_first_with_file_and_line(tmp_path: Path) -> None:
    source = """
def inner() -> None:
    raise ValueError("boom")

@query
def outer(ctx: QueryCtx) -> None:
    inner()
"""

    async def main() -> str:
        folder = write_app(tmp_path / "shop", {"things.py": source})
        async with running(load_app(folder)) as app:
            outcome = await app.run_query("things:outer", {}, Identity.ANONYMOUS)
            assert outcome.error is not None
            return outcome.error.message.partition("\n")[2]

    assert run(main()) == (
        "Uncaught ValueError: boom\n"
        "    at inner (shop/things.py:6)\n"
        "    at outer (shop/things.py:10)\n"
    )


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_whose_text_cannot_be_made_is_told_all_the_same() -> None:
    assert "Uncaught Speechless: (RuntimeError " in describe(Speechless()).message


def test_a_text_that_cannot_be_sent_is_escaped() -> None:
    message = describe(ValueError("half \ud800")).message
    assert "Uncaught ValueError: half \\ud800" in message
    message.encode()


# -- redacted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("secret"), DocumentProblem("secret"), ReactorError("public")]
)
def test_a_redacted_failure_is_its_first_line(error: Exception) -> None:
    assert describe(error, redact=True).message == FIRST


def test_the_data_of_an_application_error_is_never_redacted() -> None:
    assert describe(ReactorError("public"), redact=True).data == b'"public"'


def test_a_redacted_failure_is_logged_whole_under_its_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, "reactor.functions"):
        describe(raised(ValueError("secret")), redact=True)
    assert "0123456789abcdef" in caplog.text and "ValueError: secret" in caplog.text


def test_no_text_of_a_redacted_failure_reaches_a_client_through_an_action() -> None:
    source = """
@internal_query
def inner(ctx: QueryCtx) -> None:
    raise ValueError("secret")

@action
async def outer(ctx: ActionCtx) -> None:
    await ctx.run_query(inner)
"""

    async def main() -> Outcome:
        async with running(source, redact=True) as app:
            return await app.run_action("app:outer", {}, Identity.ANONYMOUS)

    error = run(main()).error
    assert error is not None
    assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", error.message)


# -- request ids ---------------------------------------------------------------------------------


def test_the_request_id_of_a_session_follows_from_session_and_number() -> None:
    one = request_id("session", 7, b"12345678")
    assert one == request_id("session", 7, b"abcdefgh") != request_id("session", 8, b"12345678")
    assert re.fullmatch("[0-9a-f]{16}", one)


def test_any_other_request_id_is_random() -> None:
    assert request_id(None, None, b"12345678") == b"12345678".hex()
