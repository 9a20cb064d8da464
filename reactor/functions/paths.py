"""Function paths: `module/path:function`, as clients write them (protocol section 5).

The same function arrives spelled in several ways (`dir/mod`, `dir/mod:default`,
`dir/mod.js:default`). One spelling is canonical and used for every comparison, cache key, log and
error text: the module without `.js`, and no `:default`.

A path is only text: it is looked up in a registry, never in a file system. Still, components such
as `..` are refused, so that a hostile path is an error here and not a puzzle elsewhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from reactor.errors import InvalidFunctionPath

DEFAULT_EXPORT = "default"

_PATH_LENGTH_MAX = 1024
_COMPONENT = re.compile(r"[A-Za-z0-9_.]*[A-Za-z0-9_][A-Za-z0-9_.]*", re.ASCII)
_EXPORT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class FunctionPath(NamedTuple):
    """A parsed path: `module` uses slashes and has no extension."""

    module: str
    name: str

    def __str__(self) -> str:
        return self.module if self.name == DEFAULT_EXPORT else f"{self.module}:{self.name}"


def parse_path(text: str) -> FunctionPath:
    """Split `text` at its last colon; without one the function is the module's default export.

    >>> parse_path("dir/mod.js:list")
    FunctionPath(module='dir/mod', name='list')
    """
    if len(text) > _PATH_LENGTH_MAX:
        raise _invalid(text, f"it is longer than {_PATH_LENGTH_MAX} characters")
    module, colon, name = text.rpartition(":")
    if not colon:
        module, name = text, DEFAULT_EXPORT
    module = module.removesuffix(".js")
    if not module:
        raise _invalid(text, "it names no module")
    for component in module.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise _invalid(text, f"its module has the component {component!r}")
    if not _EXPORT.fullmatch(name):
        raise _invalid(text, f"{_shortened(name)} is not a function name")
    return FunctionPath(module, name)


def canonical_path(text: str) -> str:
    """The one spelling of a path: `dir/mod.js:list` -> `dir/mod:list`, `mod:default` -> `mod`.

    Raises InvalidFunctionPath. Whether names are snake_case or camelCase is the registry's matter.
    """
    return str(parse_path(text))


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _invalid(text: str, reason: str) -> InvalidFunctionPath:
    return InvalidFunctionPath(
        f"{_shortened(text)} is not a function path: {reason}. Write it as `module:function` or "
        "`folder/module:function`, for example `messages:list`."
    )
