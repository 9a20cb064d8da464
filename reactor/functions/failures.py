"""Turning an exception of a function into what its caller may see (protocol section 8).

In development a failure says everything: the text, and the frames of the app's own code. In
redacted mode it says only that a server error happened, with an id that also stands in the server's
log; the data of an application error is never redacted, because it is meant for users.
"""

from __future__ import annotations

import logging
import traceback
from hashlib import sha256
from pathlib import Path

from reactor.data import wire
from reactor.data.values import check_value, describe
from reactor.engine.outcome import FunctionFailure
from reactor.errors import InvalidCursor, InvalidValue, Problem, ReactorError

_LOGGER = logging.getLogger("reactor.functions")
_OWN_CODE = Path(__file__).resolve().parents[1]


class CallFailed(Exception):
    """A call made from inside an action failed; carries the callee's failure unchanged."""

    def __init__(self, failure: FunctionFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class CallFailedWithData(ReactorError):
    """As `CallFailed`, when the callee raised a `ReactorError`: `data` is what it raised."""

    def __init__(self, failure: FunctionFailure) -> None:
        assert failure.data is not None
        super().__init__(wire.decode(failure.data))
        self.failure = failure


def request_id(session_id: str | None, number: int | None, random_bytes: bytes) -> str:
    """16 hex digits: derived for WebSocket requests, random otherwise (protocol section 8.1)."""
    if session_id is None or number is None:
        return random_bytes[:8].hex()
    return sha256(f"{session_id}|{number}".encode()).hexdigest()[:16]


def describe_failure(
    error: BaseException, *, path: str, request: str, redact: bool, folder: Path | None
) -> FunctionFailure:
    """The failure that a client sees for `error`, which the function at `path` raised."""
    first_line = f"[Request ID: {request}] Server Error"
    data = _data_of(error)
    if redact:
        _LOGGER.error("%s: %s", first_line, path, exc_info=error)
        return FunctionFailure(first_line, data)
    if isinstance(error, CallFailed | CallFailedWithData):
        inner = error.failure.message.partition("\n")[2] or error.failure.message
        return FunctionFailure(f"{first_line}\n{inner}", data)
    text = f"{first_line}\n{_text(error)}\n{_frames(error, folder)}"
    # A lone surrogate cannot be sent, and must not turn one failure into another one.
    return FunctionFailure(text.encode(errors="backslashreplace").decode(), data)


def _data_of(error: BaseException) -> bytes | None:
    if not isinstance(error, ReactorError):
        return None
    try:
        check_value(error.data)
        return wire.encode(error.data)
    except InvalidValue as problem:
        return wire.encode(f"ReactorError was raised with data that no client can read: {problem}")


def _text(error: BaseException) -> str:
    if isinstance(error, InvalidCursor):
        return f"Uncaught ConvexError: {error}"
    if isinstance(error, ReactorError):
        try:
            shown = wire.encode(error.data).decode()
        except InvalidValue:
            shown = describe(repr(error.data))
        return f"Uncaught ConvexError: {shown}"
    if isinstance(error, Problem):
        return error.message
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as problem:
        text = f"({type(problem).__name__} while its text was made)"
    return f"Uncaught {name}: {text}" if text else f"Uncaught {name}"


def _frames(error: BaseException, folder: Path | None) -> str:
    """The frames of the app's own code, innermost first, each line ended by a newline."""
    lines = []
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if folder is not None:
            if not file.is_relative_to(folder):
                continue
            shown = file.relative_to(folder.parent)
        elif file.is_relative_to(_OWN_CODE) or frame.filename.startswith("<"):
            continue
        else:
            shown = Path(file.name)
        lines.append(f"    at {frame.name} ({shown}:{frame.lineno})\n")
    return "".join(lines)
