"""From an app folder (or a module) to a `LoadedApp`: its schema, functions, routes and settings.

Loading has no effect until the caller uses the result: nothing is registered globally, a failed
load leaves no modules behind, and an earlier version of the same app keeps running beside it. Every
failure is one LoadError with file, line, cause and the way out.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, TypeVar

from reactor.data.annotations import AnnotationReader
from reactor.data.schema import Schema
from reactor.data.tables import Table
from reactor.data.validators import Validator
from reactor.data.wire_names import WireNames
from reactor.errors import LoadError, Problem, SchemaError
from reactor.functions.app import App
from reactor.functions.app_folder import app_modules, checked_folder, discover_apps
from reactor.functions.app_import import AppPackage
from reactor.functions.arguments import Signature
from reactor.functions.http_router import HttpRouter
from reactor.functions.kind_rules import check_kind
from reactor.functions.load_errors import error_at, import_error, located_error, schema_error
from reactor.functions.logs import print_and_log
from reactor.functions.registry import (
    Declaration,
    FunctionKind,
    FunctionSpec,
    Registry,
    declaration_of,
)
from reactor.functions.source_digests import SourceGraph, module_digest

__all__ = ["LoadedApp", "discover_apps", "load_app"]

#: Modules that clients cannot call into, with what belongs there (protocol section 5).
_DECLARATION_MODULES: Final = {
    "http": "HTTP actions",
    "schema": "tables",
    "app": "the app's settings",
    "crons": "cron jobs",
}
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, eq=False)
class LoadedApp:
    """One version of an app. `module_digests` maps module paths to digests, `digest` covers all."""

    name: str
    folder: Path | None
    schema: Schema
    registry: Registry
    router: HttpRouter
    settings: App
    digest: str
    module_digests: Mapping[str, str]
    package: AppPackage | None = None

    @cached_property
    def anything(self) -> Validator:
        """Dumps whatever Python code passes as arguments, models of the app included."""
        return AnnotationReader(self.schema.names, self.schema.class_names).read(Any, "")

    def forget(self) -> None:
        """Release the imported modules once no function of this version runs any more."""
        if self.package is not None:
            self.package.forget()


@dataclass(frozen=True, slots=True)
class _Source:
    """The imported modules of an app, and how to tell what was defined in them."""

    name: str
    folder: Path | None
    modules: Mapping[str, ModuleType]
    package: AppPackage | None

    def defined(self, module: ModuleType, kind: type[_Thing]) -> Iterator[tuple[str, _Thing]]:
        """Objects of `kind` that `module` defines. In a folder what it merely imports from another
        module does not count; a module given as an object is taken as it is.
        """
        for name, value in list(vars(module).items()):
            if isinstance(value, kind) and (
                self.package is None or getattr(value, "__module__", None) == module.__name__
            ):
                yield name, value


def load_app(source: Path | str | ModuleType) -> LoadedApp:
    """Load the app in a folder, or the declarations of a module object. Raises LoadError only."""
    if isinstance(source, ModuleType):
        name = source.__name__.rpartition(".")[2].strip("_") or "app"
        source.__dict__.setdefault("print", print_and_log)
        loaded = _assemble(_Source(name, None, {name: source}, None))
        if not len(loaded.registry) and not loaded.schema.tables:
            raise LoadError(
                f"Module `{source.__name__}` declares nothing: no function with @query, @mutation "
                "or @action, and no Table. Give the module that has them, or an app folder."
            )
        return loaded
    folder = checked_folder(Path(source))
    files = app_modules(folder)
    if not files:
        raise LoadError(
            f"{folder.name}: the folder has no Python modules, so it is not an app. Make a new app "
            "with `reactor init NAME`."
        )
    package = AppPackage(folder)
    try:
        modules = _import_all(package, files)
        return _assemble(_Source(folder.name, folder, modules, package))
    except BaseException:
        package.forget()
        raise


def _import_all(package: AppPackage, files: Mapping[str, Path]) -> dict[str, ModuleType]:
    modules = {}
    importing = package.folder / "__init__.py"
    try:
        package.open()
        for module, file in files.items():
            importing = file
            modules[module] = package.import_module(module)
    except (Exception, SystemExit) as error:
        raise import_error(
            error, folder=package.folder, file=importing, package=package.name, modules=files
        ) from error
    for module, loaded in modules.items():
        _refuse_second_copies(package, loaded, files[module])
    return modules


def _refuse_second_copies(package: AppPackage, module: ModuleType, file: Path) -> None:
    """An absolute import of the app's own code would make a second copy of its tables and
    functions, which look the same and are not.
    """
    for name, value in vars(module).items():
        home = getattr(value, "__module__", None)
        is_declared = declaration_of(value) is not None or _is_table(value)
        if not is_declared or not isinstance(home, str) or package.is_own(home):
            continue
        if package.holds_file_of(inspect.getmodule(value)):
            raise located_error(
                f"`{name}` is imported as `{home}`, a second copy of this app's own module.",
                f"Import it relatively: `from .{home.rpartition('.')[2]} import {name}`.",
                file=file,
            )


def _assemble(source: _Source) -> LoadedApp:
    settings = _settings(source)
    schema = _schema(source, settings)
    salt = f"{settings.wire_names.name} {settings.limits!r}"
    digests = _digests(source, salt)
    class_names = {table.model.__name__: name for name, table in schema.tables.items()}
    registry, router = Registry(), HttpRouter()
    for module_path, module in source.modules.items():
        for name, function in source.defined(module, FunctionType):
            declaration = declaration_of(function)
            if declaration is None:
                continue
            _check_place(source, module_path, function, declaration)
            signature = _signature(function, declaration, settings.wire_names, class_names)
            spec = FunctionSpec(
                module=module_path,
                name=name,
                wire_name=declaration.name or settings.wire_names.wire(name),
                kind=declaration.kind,
                public=declaration.public,
                handler=function,
                signature=signature,
                limits=settings.limits.merged(declaration.limits),
                slow=declaration.slow,
                digest=digests[module_path],
                route=declaration.route,
            )
            _add(spec, registry, router)
    _refuse_app_without_settings(source)  # after what is told better: functions declared there
    return LoadedApp(
        name=source.name,
        folder=source.folder,
        schema=schema,
        registry=registry,
        router=router,
        settings=settings,
        digest=hashlib.blake2b(repr(sorted(digests.items())).encode(), digest_size=16).hexdigest(),
        module_digests=digests,
        package=source.package,
    )


def _settings(source: _Source) -> App:
    found: list[tuple[str, App]] = []
    for path, module in source.modules.items():
        found += [(path, value) for value in vars(module).values() if isinstance(value, App)]
    found.sort(key=lambda entry: entry[0] != "app")  # others may import it from there
    apps = {id(app): (path, app) for path, app in reversed(found)}
    if len(apps) > 1:
        places = ", ".join(f"`{path}`" for path, _ in sorted(apps.values(), key=lambda e: e[0]))
        raise LoadError(
            f"{source.name}: settings are declared more than once, in {places}. Keep one "
            "`app = App(...)`, in app.py."
        )
    for path, app in apps.values():
        if source.package is not None and path != "app":
            raise located_error(
                "App(...) is declared outside app.py.",
                "Move the declaration into a file app.py at the top of the app folder.",
                file=getattr(source.modules[path], "__file__", None),
            )
        return app
    return App()


def _refuse_app_without_settings(source: _Source) -> None:
    module = source.modules.get("app")
    if source.package is None or module is None:
        return
    found = [module.app] if hasattr(module, "app") else list(vars(module).values())
    if any(isinstance(value, App) for value in found):
        return
    said = f"`app` is {repr(module.app)[:80]}" if hasattr(module, "app") else "there is none"
    raise located_error(
        f"The module `app` is for the app's settings, an App, but {said}.",
        "Write `app = App(...)` there, with `from reactor import App`. An app without settings "
        "of its own needs no app.py; give a module for anything else another name.",
        file=getattr(module, "__file__", None),
    )


def _is_table(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Table) and value is not Table


def _schema(source: _Source, settings: App) -> Schema:
    models: list[type[Table]] = []
    for module in source.modules.values():
        models += [
            value
            for _, value in source.defined(module, type)
            if issubclass(value, Table) and value is not Table and value not in models
        ]
    try:
        return Schema.build(models, settings.wire_names)
    except SchemaError as error:
        raise schema_error(error, models) from error


def _digests(source: _Source, salt: str) -> dict[str, str]:
    if source.package is None:
        return {path: module_digest(module, salt) for path, module in source.modules.items()}
    graph = SourceGraph(source.package.folder, source.package.sources)
    return {path: graph.digest(path, salt) for path in source.modules}


def _check_place(
    source: _Source, module: str, function: FunctionType, declaration: Declaration
) -> None:
    purpose = _DECLARATION_MODULES.get(module) if source.package is not None else None
    if purpose is None or declaration.kind is FunctionKind.HTTP_ACTION:
        return
    raise error_at(
        function,
        f"`{function.__name__}` is declared in the module `{module}`, which is for {purpose} and "
        "has no paths that could be called.",
        "Move the function to a module of another name.",
    )


def _signature(
    function: FunctionType,
    declaration: Declaration,
    names: WireNames,
    class_names: Mapping[str, str],
) -> Signature:
    check_kind(function, declaration)
    try:
        if declaration.kind is FunctionKind.HTTP_ACTION:
            return Signature.of_http_action(function)
        return Signature.of(function, names, class_names=class_names)
    except Problem as error:
        raise error_at(function, error.message, "") from error


def _add(spec: FunctionSpec, registry: Registry, router: HttpRouter) -> None:
    try:
        registry.add(spec)
        if spec.route is not None:
            router.add(spec)
    except LoadError as error:
        raise error_at(spec.handler, error.message, "") from error
