"""What the commands print.

Standard output carries what was asked for: results, documents, and what a server has to say about
itself. Standard error carries errors, and the log lines of `reactor run`. Texts of apps and errors
are printed as they are, never interpreted as markup, and never folded to a width.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from reactor.errors import Problem, ReactorError
from reactor.functions.load_errors import shown_path
from reactor.functions.loader import LoadedApp
from reactor.functions.registry import FunctionSpec
from reactor.functions.runner import FunctionLog
from reactor.tools.changes import Change
from reactor.tools.targets import Target

UNFOLDED_WIDTH = 2_000
_LEVEL_STYLES = {"[ERROR]": "red", "[WARN]": "yellow", "[DEBUG]": "dim"}
_CHANGE_STYLES = {"+": "green", "-": "red", "~": "yellow"}


class Printer:
    """Writes to the two streams of the process; colours only where somebody looks."""

    def __init__(self, out: TextIO | None = None, errors: TextIO | None = None) -> None:
        self._out = Console(file=out or sys.stdout, highlight=False, soft_wrap=True)
        self._errors = Console(file=errors or sys.stderr, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        return self._out.is_terminal

    def result(self, text: str) -> None:
        """Something that was asked for."""
        self._out.print(Text(text))

    def grid(self, grid: Grid) -> None:
        """Documents side by side, as wide as they need to be where nobody folds lines."""
        out = self._out
        if not self.is_terminal:
            out = Console(file=out.file, highlight=False, width=UNFOLDED_WIDTH)
        out.print(grid, soft_wrap=False)

    def note(self, text: str) -> None:
        """Something worth knowing that is not the result itself."""
        self._errors.print(Text(text, style="dim"))

    def error(self, error: Exception | str) -> None:
        """What went wrong. A `Problem` speaks for itself; of anything else the kind is told too."""
        text = str(error)
        if isinstance(error, Exception) and not isinstance(error, Problem):
            text = f"{type(error).__name__}: {text}"
        self._errors.print(Text.assemble(("error: ", "bold red"), text))

    def log_lines(self, lines: Iterable[str]) -> None:
        """Log lines of a call whose result goes to standard output."""
        for line in lines:
            self._errors.print(_log_text(line))

    def function_log(self, time: str, entry: FunctionLog, folder: Path) -> None:
        """What one call logged, and if it failed, where in the app."""
        place = Text.assemble((f"{time} ", "dim"), (entry.path, "cyan"), " ")
        for line in entry.log_lines:
            self._out.print(place + _log_text(line))
        if entry.error is not None:
            self._out.print(place + Text(_failure(entry.error, folder), style="red"))

    def function_bug(self, time: str, entry: FunctionLog, folder: Path) -> None:
        """A failure that the app did not mean: somebody has to know, even if clients must not."""
        if entry.error is not None and not isinstance(entry.error, (Problem, ReactorError)):
            failure = _failure(entry.error, folder)
            self._errors.print(Text(f"{time} {entry.path} {failure}"))

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int], None] | None]:
        """Shows that a large store takes its time, where somebody looks."""
        if not self._errors.is_terminal:
            yield None
            return
        with self._errors.status(Text(what)) as status:
            yield lambda versions: status.update(Text(f"{what}: {versions:,} versions"))

    def app(self, target: Target, loaded: LoadedApp) -> None:
        """One app: where its data is, its tables, functions and routes."""
        self._out.print()
        self._out.print(Text.assemble((target.name, "bold"), "  ", (_store_text(target), "dim")))
        self._rows("tables", _table_rows(loaded))
        specs = sorted(loaded.registry, key=lambda spec: spec.path)
        self._rows("functions", [_function_row(spec) for spec in specs if spec.route is None])
        self._rows("routes", [str(spec.route) for spec in specs if spec.route is not None])

    def addresses(self, rows: Sequence[tuple[str, str]]) -> None:
        """Where a server answers, by what is found there."""
        self._out.print()
        width = max(len(label) for label, _ in rows)
        for label, url in rows:
            self._out.print(Text.assemble((f"{label:{width}}  ", "dim"), (url, "bold")))

    def ready(self, url: str) -> None:
        """The one line that programs wait for."""
        self._out.print(Text(f"ready {url}"))

    def reloaded(self, name: str, changes: Sequence[Change]) -> None:
        """What a saved file changed."""
        self._out.print(Text(f"reloaded {name}", style="green"))
        for change in changes:
            self._out.print(Text(f"  {change}", style=_CHANGE_STYLES[change.sign]))

    def still_serving(self, name: str, error: Exception) -> None:
        """A saved file is broken."""
        self.error(error)
        self.note(f"still serving the previous version of {name}")

    def stopped(self) -> None:
        self._out.print(Text("stopped", style="dim"))

    def _rows(self, label: str, rows: Sequence[str]) -> None:
        for position, row in enumerate(rows or ["none"]):
            heading = label if position == 0 else ""
            self._out.print(Text.assemble((f"  {heading:11}", "dim"), row))


def _store_text(target: Target) -> str:
    file = target.store_file
    return target.store if file is None else shown_path(Path(file))


def _table_rows(loaded: LoadedApp) -> list[str]:
    rows = []
    for name, table in loaded.schema.tables.items():
        indexes = [
            f"{index.name} [{', '.join(index.fields)}]"
            for index in table.indexes.values()
            if index.name not in ("by_id", "by_creation_time")
        ]
        rows.append("  ".join([name, *indexes]))
    return rows


def _function_row(spec: FunctionSpec) -> str:
    kind = spec.kind.value.lower()
    return f"{kind:9} {spec.path}" + ("" if spec.public else "  (internal)")


def _failure(error: BaseException, folder: Path) -> str:
    """The error, and for one that the app did not mean to raise, the app's own lines."""
    if isinstance(error, Problem):
        return error.message
    text = "".join(traceback.format_exception_only(error)).rstrip()
    if isinstance(error, ReactorError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    places = [f"    {shown_path(frame.filename)}:{frame.lineno}: {frame.line}" for frame in own]
    return "\n".join([text, *places])


def _log_text(line: str) -> Text:
    level = line.partition(" ")[0]
    return Text(line, style=_LEVEL_STYLES.get(level, ""))
