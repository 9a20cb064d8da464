"""`reactor init`: a small app that works at once, copied from `templates/app`."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from reactor.errors import InvalidRequest

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PLACEHOLDER: Final = "APP_NAME"
#: Files that packaging or git would treat specially under their own name.
_RENAMED: Final = {"gitignore": ".gitignore"}


def create_app(folder: Path) -> list[Path]:
    """Write a new app into `folder`; what was written. InvalidRequest leaves everything alone."""
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot be the name of an app: it becomes part of URLs. Use a letter, then "
            "letters, digits, `_` or `-`, at most 64 together."
        )
    if folder.is_dir() and not any(folder.iterdir()):
        pass
    elif folder.exists() or folder.is_symlink():
        what = "is not empty" if folder.is_dir() else "is a file"
        raise InvalidRequest(f"{folder} {what}. Choose another name, or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return [_copy(source, folder, name) for source in _template_files()]


def _template_files() -> list[Traversable]:
    template = files("reactor.tools") / "templates" / "app"
    return sorted(
        (entry for entry in template.iterdir() if entry.is_file()), key=lambda entry: entry.name
    )


def _copy(source: Traversable, folder: Path, name: str) -> Path:
    file = folder / _RENAMED.get(source.name, source.name)
    file.write_text(source.read_text("utf-8").replace(_PLACEHOLDER, name), encoding="utf-8")
    return file
