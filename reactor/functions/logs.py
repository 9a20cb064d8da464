"""What functions print and log, carried to the client that called them.

The loader gives every module of an app the `print` below, and `capture` lets one `logging` handler
listen while a function runs. Both write to the `LogSink` of the current context, so concurrent
calls never mix their lines, and code that runs outside a function logs as it always did.

A line is `[LEVEL] ` and its arguments in the notation of a JavaScript inspector, as official
clients expect: strings in single quotes, objects as `{ name: 'x' }`.
"""

from __future__ import annotations

import builtins
import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Final, Literal, TextIO

Level = Literal["DEBUG", "LOG", "INFO", "WARN", "ERROR"]

LINE_LENGTH_MAX: Final = 32_768
LINES_MAX: Final = 256

_TRUNCATED = " (truncated due to length)"
_DEPTH_MAX = 6
_ITEMS_MAX = 100
_PLAIN_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
_ESCAPED = re.compile(r"['\\\x00-\x1f\x7f]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "'": "\\'", "\\": "\\\\"}


class LogSink:
    """The lines of one call. `echo=False` keeps them off the process's own standard output."""

    __slots__ = ("_dropped", "_lines", "echo")

    def __init__(self, *, echo: bool = True) -> None:
        self.echo = echo
        self._lines: list[str] = []
        self._dropped = 0

    def write(self, level: Level, *arguments: object) -> None:
        """Add a line. Arguments are rendered now: what they hold may change later."""
        if len(self._lines) >= LINES_MAX:
            self._dropped += 1
            return
        self.add_line(level, " ".join(map(inspect_value, arguments)))

    def add_line(self, level: Level, text: str) -> None:
        """Add a line whose text is rendered already."""
        if len(self._lines) >= LINES_MAX:
            self._dropped += 1
            return
        # What UTF-8 cannot express could not be sent.
        line = f"[{level}] {text}".encode(errors="backslashreplace").decode()
        if len(line) > LINE_LENGTH_MAX:
            line = line[: LINE_LENGTH_MAX - len(_TRUNCATED)] + _TRUNCATED
        self._lines.append(line)

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines; when some had to be dropped, the last line says how many."""
        if not self._dropped:
            return tuple(self._lines)
        plural = "line was" if self._dropped == 1 else "lines were"
        note = (
            f"[WARN] '{self._dropped} more log {plural} dropped: "
            f"a call keeps its first {LINES_MAX}'"
        )
        return (*self._lines, note)


_current: ContextVar[LogSink | None] = ContextVar("reactor_log_sink", default=None)


def current_sink() -> LogSink | None:
    """The sink of the function that is running in this context, if any."""
    return _current.get()


class capture:  # lower case: used like a function, ``with capture(LogSink()) as sink``
    """Collect in `sink` what the calling context prints and logs.

    A worker thread must run in a copy of the context (`contextvars.copy_context().run`) to be part
    of it. When captures nest, the innermost sink receives the lines.
    """

    __slots__ = ("_sink", "_token")

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def __enter__(self) -> LogSink:
        self._token = _current.set(self._sink)
        _handler.acquire_root()
        return self._sink

    def __exit__(self, *_: object) -> None:
        _handler.release_root()
        _current.reset(self._token)


def print_and_log(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: TextIO | None = None,
    flush: bool = False,
) -> None:
    """The `print` of app modules: the builtin, and a log line when a function is running.

    Text for a file of its own stays out of the log; standard error is logged as ERROR.
    """
    sink = _current.get()
    if sink is None or not (file is None or file is sys.stdout or file is sys.stderr):
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    if sink.echo:
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
    sink.write("LOG" if file is None or file is sys.stdout else "ERROR", *values)


class _SinkHandler(logging.Handler):
    """Hands records to the current sink.

    It is on the root logger only while some function runs: a handler there for good would make a
    later `logging.basicConfig()` of the embedding program do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._users = 0
        self._users_lock = threading.Lock()

    def acquire_root(self) -> None:
        with self._users_lock:
            self._users += 1
            if self._users == 1:
                logging.root.addHandler(self)

    def release_root(self) -> None:
        with self._users_lock:
            self._users -= 1
            if self._users == 0:
                logging.root.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sink = _current.get()
            if sink is not None:
                sink.add_line(_level_name(record.levelno), _record_text(record))
            # With us as the only handler, logging's handler of last resort would fall silent.
            last_resort = logging.lastResort
            alone = len(logging.root.handlers) == 1 and (sink is None or sink.echo)
            if alone and last_resort is not None and record.levelno >= last_resort.level:
                last_resort.handle(record)
        except Exception:
            self.handleError(record)


_handler: Final = _SinkHandler()


def _level_name(level: int) -> Level:
    if level >= logging.ERROR:
        return "ERROR"
    if level >= logging.WARNING:
        return "WARN"
    return "INFO" if level >= logging.INFO else "DEBUG"


_traceback_formatter: Final = logging.Formatter()


def _record_text(record: logging.LogRecord) -> str:
    text = inspect_value(record.getMessage())
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text} {_traceback_formatter.formatException(record.exc_info)}"
    return text


def inspect_value(value: object, depth: int = 0) -> str:
    """`value` as an inspector shows it; never raises, bounded in depth and length."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth >= _DEPTH_MAX:
            return "[Object]" if isinstance(value, Mapping) else "[Array]"
        try:
            return _inspect_container(value, depth)
        except Exception as error:
            return f"[{type(value).__name__}: {type(error).__name__} while inspecting]"
    try:
        return repr(value)
    except Exception as error:
        return f"[{type(value).__name__}: {type(error).__name__} in its repr]"


def _inspect_container(value: Iterable[object], depth: int) -> str:
    if isinstance(value, Mapping):
        shown = [
            f"{_key(name)}: {inspect_value(value[name], depth + 1)}"
            for name, _ in zip(value, range(_ITEMS_MAX), strict=False)
        ]
        opening, closing, total = "{", "}", len(value)
    else:
        items = list(value)
        shown = [inspect_value(item, depth + 1) for item in items[:_ITEMS_MAX]]
        opening, closing, total = "[", "]", len(items)
        if isinstance(value, (set, frozenset)):
            opening, closing = f"Set({total}) {{", "}"
    if total > _ITEMS_MAX:
        shown.append(f"... {total - _ITEMS_MAX} more items")
    return f"{opening} {', '.join(shown)} {closing}" if shown else f"{opening}{closing}"


def _key(name: object) -> str:
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else inspect_value(name)


def _quoted(text: str) -> str:
    if len(text) > LINE_LENGTH_MAX:
        text = text[:LINE_LENGTH_MAX]
    return f"'{_ESCAPED.sub(_escape, text)}'"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\x{ord(character):02X}"
