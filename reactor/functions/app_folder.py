"""Which folders are apps and which files are their modules; decided by looking, never by importing.

Left out of an app: files named `_*`, `test_*` and `conftest.py`, and folders that start with a
dot or an underscore, are called `node_modules`, or cannot be part of a module path. (A left-out
file can still be imported by the app's modules.)
"""

from __future__ import annotations

import re
from pathlib import Path

from reactor.errors import LoadError
from reactor.functions.load_errors import located_error, shown_path

_IMPORTS_REACTOR = re.compile(rb"^\s*(?:from|import)\s+reactor\b", re.MULTILINE)
# A script that merely uses reactor may lie beside app folders, and must not be imported as an app.
_DECLARES = re.compile(
    rb"^\s*@(?:\w+\.)?(?:(?:internal_)?(?:query|mutation|action)|http_action)\b"
    rb"|^\s*class\s+\w+\([^)]*\bTable\b|\bApp\(",
    re.MULTILINE,
)
_TELLING_NAMES = frozenset({"schema.py", "app.py"})


def checked_folder(path: Path) -> Path:
    """The absolute path of an existing folder, LoadError for anything else."""
    try:
        resolved = path.resolve()
        if resolved.is_dir():
            return resolved
        is_file = resolved.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise LoadError(
            f"{str(path)!r} is not a usable path: {error}. Give an app folder."
        ) from None
    if is_file:
        raise LoadError(
            f"{shown_path(path)} is a file, but an app is a folder. Give the folder: "
            f"{shown_path(resolved.parent)}"
        )
    raise LoadError(
        f"There is no folder {shown_path(path)}. Give the folder of an app, or make a new app with "
        f"`reactor init {path.name or 'NAME'}`."
    )


def app_modules(folder: Path) -> dict[str, Path]:
    """Module paths (`events`, `dir/mod`) of an app with their files, in order of path."""
    modules: dict[str, Path] = {}
    _collect(folder, folder, "", modules)
    return dict(sorted(modules.items()))


def discover_apps(path: Path) -> dict[str, Path]:
    """The apps at `path`: itself when it is an app folder, otherwise each app folder in it."""
    folder = checked_folder(path)
    if _declares(folder):
        return {folder.name: folder}
    below = {
        entry.name: entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and _is_app_name(entry.name) and _declares(entry)
    }
    if below:
        return below
    if _top_level_files(folder):
        return {folder.name: folder}
    raise LoadError(
        f"{shown_path(folder)} is neither an app nor a folder of apps. Looked for Python files "
        "that declare tables or functions (such as schema.py or app.py) in it and in each folder "
        "in it. Make a new app with `reactor init NAME`."
    )


def _collect(root: Path, folder: Path, prefix: str, modules: dict[str, Path]) -> None:
    for file in _top_level_files(folder):
        if not file.stem.isidentifier() or not file.stem.isascii():
            raise located_error(
                f"`{file.name}` cannot be imported as a module.",
                f"Rename it to `{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}.py`, or start its name "
                "with `_` to leave it out.",
                file=file,
            )
        if not file.resolve().is_relative_to(root):
            raise located_error(
                f"the file is a link to {file.resolve()}, outside the app.",
                "Copy it into the app, or start its name with `_` to leave it out.",
                file=file,
            )
        modules[f"{prefix}{file.stem}"] = file
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink() and _is_module_folder(entry.name):
            _collect(root, entry, f"{prefix}{entry.name}/", modules)


def _top_level_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.glob("*.py")
        if not file.name.startswith((".", "_", "test_"))
        and file.name != "conftest.py"
        and file.is_file()
    )


def _declares(folder: Path) -> bool:
    return any(map(_is_part_of_an_app, _top_level_files(folder)))


def _is_part_of_an_app(file: Path) -> bool:
    if file.name in _TELLING_NAMES:
        return True
    source = file.read_bytes()
    return bool(_IMPORTS_REACTOR.search(source) and _DECLARES.search(source))


def _is_module_folder(name: str) -> bool:
    return (
        name.isidentifier()
        and name.isascii()
        and not name.startswith("_")
        and name != "node_modules"
    )


def _is_app_name(name: str) -> bool:
    return not name.startswith((".", "_")) and name != "node_modules"
