"""Importing an app folder as a fresh, uniquely named package.

Each load gets its own package (`reactor_app_events_3`), so that two apps, or two versions of one
app, never share a module, while `from .schema import Event` works as in any package, also inside
functions and long after the load. Sources are compiled from the file each time: Python's bytecode
cache knows a file by its second and size, too coarse for live reload.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import itertools
import logging
import re
import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType

from reactor.functions.logs import print_and_log

_numbers = itertools.count(1)


class AppPackage:
    """One load of one folder. `sources` holds the very bytes that were compiled, by the dotted name
    inside the package ("" is the package itself).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"reactor_app_{re.sub(r'[^A-Za-z0-9_]', '_', folder.name)}_{next(_numbers)}"
        self.sources: dict[str, bytes] = {}
        self._modules_before = frozenset(sys.modules)

    def open(self) -> None:
        """Make the package importable and run its `__init__.py`, if there is one."""
        _finder.add(self)
        logging.getLogger(self.name).setLevel(logging.INFO)
        importlib.import_module(self.name)

    def import_module(self, module: str) -> ModuleType:
        """The module with the path `dir/mod`."""
        return importlib.import_module(f"{self.name}.{module.replace('/', '.')}")

    def forget(self) -> None:
        """Take every trace of this load out of `sys.modules`. Its functions keep working, except
        for imports inside them. Other packages that the app imported stay imported: many extension
        modules cannot be imported twice.
        """
        _finder.remove(self)
        for name, module in list(sys.modules.items()):
            is_second_copy = name not in self._modules_before and self.holds_file_of(module)
            if self.is_own(name) or is_second_copy:
                del sys.modules[name]

    def holds_file_of(self, module: ModuleType | None) -> bool:
        """Was `module` made from a file of this folder (under whatever name)?"""
        file = getattr(module, "__file__", None)
        return isinstance(file, str) and Path(file).is_relative_to(self.folder)

    def is_own(self, module_name: str) -> bool:
        return module_name == self.name or module_name.startswith(f"{self.name}.")

    def spec(self, fullname: str) -> importlib.machinery.ModuleSpec | None:
        """Where the import system finds `fullname`, looked up on the disk each time."""
        parts = fullname.split(".")[1:]
        place = self.folder.joinpath(*parts)
        init = place / "__init__.py"
        if init.is_file():
            return importlib.util.spec_from_file_location(
                fullname,
                init,
                loader=_AppLoader(fullname, str(init), self),
                submodule_search_locations=[str(place)],
            )
        if place.is_dir():
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        file = place.with_name(f"{place.name}.py")
        if file.is_file():
            return importlib.util.spec_from_file_location(
                fullname, file, loader=_AppLoader(fullname, str(file), self)
            )
        return None


class _AppLoader(importlib.machinery.SourceFileLoader):
    """Compiles without a bytecode cache and gives the module its `print`."""

    def __init__(self, fullname: str, path: str, package: AppPackage) -> None:
        super().__init__(fullname, path)
        self._package = package

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_data(self.path)
        self._package.sources[fullname.partition(".")[2]] = source
        return self.source_to_code(source, self.path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["print"] = print_and_log
        super().exec_module(module)


class _AppFinder(MetaPathFinder):
    """The one entry in `sys.meta_path` that knows the packages of all loaded apps."""

    def __init__(self) -> None:
        self._packages: dict[str, AppPackage] = {}
        self._lock = threading.Lock()

    def add(self, package: AppPackage) -> None:
        with self._lock:
            self._packages[package.name] = package
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)

    def remove(self, package: AppPackage) -> None:
        with self._lock:
            self._packages.pop(package.name, None)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package = self._packages.get(fullname.partition(".")[0])
        return None if package is None else package.spec(fullname)


_finder = _AppFinder()
