"""How a broken app is reported: file and line first, then the line itself, then the way out.

apps/events/events.py:12: SyntaxError: expected ':'
    def list_events(ctx)
Correct the line and load the app again.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from reactor.errors import LoadError, Problem, SchemaError

#: How `Schema.build` names the class that is wrong.
_PLACED_CLASS: Final = re.compile(r"class (\S+) \((.+), line (\d+)\): (.*)", re.DOTALL)


def located_error(
    cause: str, way_out: str, *, file: Path | str | None, line: int | None = None
) -> LoadError:
    """A LoadError in the house form; the offending line is shown when the file has it."""
    place = "" if file is None else shown_path(file)
    if place and line is not None:
        place = f"{place}:{line}"
    lines = [f"{place}: {cause}" if place else cause]
    source = _source_line(file, line)
    if source:
        lines.append(f"    {source}")
    if way_out:
        lines.append(way_out)
    return LoadError("\n".join(lines))


def shown_path(file: Path | str) -> str:
    """Relative to the current directory when the file is below it, otherwise as it is."""
    path = Path(file)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def error_at(function: Callable[..., object], cause: str, way_out: str) -> LoadError:
    """A LoadError at the `def` line of `function`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return located_error(cause, way_out, file=None)
    line = _definition_line(code.co_filename, code.co_firstlineno, code.co_name)
    return located_error(cause, way_out, file=code.co_filename, line=line)


def schema_error(error: SchemaError, models: Iterable[type]) -> LoadError:
    """A wrong declaration of one of `models`, at the line of its class."""
    placed = _PLACED_CLASS.match(error.message)
    if placed is not None:
        name, file, line, cause = placed.groups()
        return located_error(f"SchemaError: class {name}: {cause}", "", file=file, line=int(line))
    for model in models:
        if error.message.startswith(f"{model.__qualname__}."):
            try:
                file, line_number = inspect.getfile(model), inspect.getsourcelines(model)[1]
            except (OSError, TypeError):
                break
            return located_error(f"SchemaError: {error.message}", "", file=file, line=line_number)
    return located_error(f"SchemaError: {error.message}", "", file=None)


def import_error(
    error: BaseException, *, folder: Path, file: Path, package: str, modules: Collection[str]
) -> LoadError:
    """Why importing `file` failed. `package` is the private name under which the app is imported;
    it is taken out of the texts. `modules` are the module paths of the app.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        return located_error(
            f"{type(error).__name__}: {error.msg}",
            "Correct the line and load the app again.",
            file=error.filename,
            line=error.lineno,
        )
    where, line = _innermost_frame(error, folder) or (str(file), None)
    text = str(error).replace(f"{package}.", ".").replace(package, folder.name)
    cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return located_error(cause, _way_out(error, modules), file=where, line=line)


def _way_out(error: BaseException, modules: Collection[str]) -> str:
    if isinstance(error, Problem):
        return ""
    if isinstance(error, SystemExit):
        return (
            "The module ends the process when it is imported. Put what runs as a script under "
            '`if __name__ == "__main__":`, or start the file\'s name with `_` to leave it out.'
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top in {module.partition("/")[0] for module in modules}:
            return (
                "Modules of an app import each other relatively: "
                f"write `from .{error.name} import ...`."
            )
        return (
            f"Install what provides `{top}` into the Python environment that runs reactor, or "
            "correct the name."
        )
    if isinstance(error, ImportError):
        return (
            "Check that the name is spelled as it is defined, and that no two modules import each "
            "other."
        )
    return "The module raised this while it was imported. Correct it and load the app again."


def _innermost_frame(error: BaseException, folder: Path) -> tuple[str, int | None] | None:
    """The last place inside the app that the error passed through."""
    root = folder.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve().is_relative_to(root):
            return frame.filename, frame.lineno
    return None


def _source_line(file: Path | str | None, line: int | None) -> str:
    if file is None or line is None:
        return ""
    lines = _lines(file)
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def _definition_line(file: str, first_line: int, name: str) -> int:
    """`first_line` is that of the first decorator; the `def` comes after it."""
    definition = re.compile(rf"\s*(async\s+)?def\s+{re.escape(name)}\b")
    for number, text in enumerate(_lines(file)[first_line - 1 :], start=first_line):
        if definition.match(text):
            return number
    return first_line


def _lines(file: Path | str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []
