"""Digests that tell which functions a change of source files can affect.

The digest of a module covers its own bytes and those of every module of the app that it imports,
directly or not, as written in its `import` statements (also inside functions). A change elsewhere
in the app leaves it as it is, so live queries of untouched modules are not run again.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType


class SourceGraph:
    """The modules of one folder and their imports. Names are dotted and relative to the folder; ""
    is the folder's own `__init__.py`. `sources` are contents that are known already.
    """

    def __init__(self, folder: Path, sources: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._sources: dict[str, bytes | None] = dict(sources)
        self._imports: dict[str, frozenset[str]] = {}

    def digest(self, module: str, salt: str = "") -> str:
        """Hex digest of the module with the path `dir/mod` and all that it imports."""
        reached: set[str] = set()
        waiting = [module.replace("/", ".")]
        while waiting:
            name = waiting.pop()
            if name not in reached and self._source(name) is not None:
                reached.add(name)
                waiting.extend(self._imports_of(name))
        digest = hashlib.blake2b(salt.encode(), digest_size=16)
        for name in sorted(reached):
            content = self._source(name) or b""
            digest.update(f"\0{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def _source(self, name: str) -> bytes | None:
        """The module's bytes; None when the app has no such module."""
        if name not in self._sources:
            self._sources[name] = None
            for file in self._candidates(name):
                if file.is_file():
                    self._sources[name] = file.read_bytes()
        return self._sources[name]

    def _candidates(self, name: str) -> list[Path]:
        place = self._folder.joinpath(*name.split(".")) if name else self._folder
        init = place / "__init__.py"
        return [init] if not name else [place.with_name(f"{place.name}.py"), init]

    def _is_package(self, name: str) -> bool:
        return not name or self._folder.joinpath(*name.split(".")).is_dir()

    def _imports_of(self, name: str) -> frozenset[str]:
        found = self._imports.get(name)
        if found is None:
            found = self._imports[name] = frozenset(self._read_imports(name))
        return found

    def _read_imports(self, name: str) -> set[str]:
        parts = name.split(".") if name else []
        package = parts if self._is_package(name) else parts[:-1]
        imported = set(_with_parents(package))
        for node in ast.walk(ast.parse(self._source(name) or b"")):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            imported.update(_with_parents(base))
            imported.update(".".join([*base, alias.name]) for alias in node.names)
        return imported


def _with_parents(parts: list[str]) -> list[str]:
    """A package and everything above it: importing a module runs all their `__init__.py`."""
    return [".".join(parts[:length]) for length in range(len(parts) + 1)]


def module_digest(module: ModuleType, salt: str = "") -> str:
    """Digest of a module object that is an app by itself: its source, or the code of its functions
    when it has no source (modules made in tests, notebooks).
    """
    digest = hashlib.blake2b(salt.encode(), digest_size=16)
    try:
        digest.update(inspect.getsource(module).encode())
    except (OSError, TypeError):
        for name, value in sorted(vars(module).items()):
            if isinstance(value, FunctionType):
                digest.update(f"\0{name}\0".encode())
                _update_with_code(digest, value.__code__)
                digest.update(repr((value.__defaults__, value.__kwdefaults__)).encode())
    return digest.hexdigest()


def _update_with_code(digest: hashlib.blake2b, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _update_with_code(digest, constant)
        else:
            digest.update(repr(constant).encode())
