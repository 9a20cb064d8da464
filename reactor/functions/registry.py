"""The functions of one app, by path and by the function object itself.

Python names are snake_case while clients often write camelCase, so a path is found in either
spelling: `events:list_events` and `events:listEvents` are one function. That is why two names that
differ only in this way may not live in one module. A registry is filled once by the loader and only
read afterwards, so any number of threads may share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from reactor.data.wire_names import WireNames
from reactor.errors import FunctionNotFound, LoadError
from reactor.functions.arguments import Signature
from reactor.functions.declarations import (
    Declaration,
    FunctionDecorator,
    FunctionKind,
    Route,
    action,
    declaration_of,
    http_action,
    internal_action,
    internal_mutation,
    internal_query,
    mutation,
    query,
)
from reactor.functions.limits import Limits
from reactor.functions.paths import FunctionPath, parse_path

__all__ = [
    "Declaration",
    "FunctionDecorator",
    "FunctionKind",
    "FunctionSpec",
    "Registry",
    "Route",
    "action",
    "declaration_of",
    "http_action",
    "internal_action",
    "internal_mutation",
    "internal_query",
    "mutation",
    "query",
]


@dataclass(frozen=True, eq=False)
class FunctionSpec:
    """One declared function, ready to run. Compared by identity.

    `module` is its path in the app (`dir/mod`), `name` its Python name and `wire_name` the exported
    one. `digest` changes when the function's module, or anything that it imports in the app, does.
    """

    module: str
    name: str
    wire_name: str
    kind: FunctionKind
    public: bool
    handler: Callable[..., object]
    signature: Signature
    limits: Limits
    slow: bool
    digest: str
    route: Route | None = None

    @cached_property
    def path(self) -> str:
        """The canonical spelling: `dir/mod:listEvents`; a default export is just `dir/mod`."""
        return str(FunctionPath(self.module, self.wire_name))

    @cached_property
    def internal_form(self) -> str:
        """The protocol's internal spelling, used in a few error texts: `dir/mod.js:listEvents`."""
        return f"{self.module}.js:{self.wire_name}"

    @property
    def location(self) -> str:
        """`file:line` of the handler, for messages to developers."""
        code = getattr(self.handler, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else self.module

    def __repr__(self) -> str:
        return f"<{'' if self.public else 'internal '}{self.kind.value.lower()} {self.path}>"


class Registry:
    """All functions of an app."""

    def __init__(self) -> None:
        self._specs: list[FunctionSpec] = []
        self._by_spelling: dict[str, FunctionSpec] = {}
        self._by_folded: dict[FunctionPath, FunctionSpec] = {}
        self._by_handler: dict[Callable[..., object], FunctionSpec] = {}

    def add(self, spec: FunctionSpec) -> None:
        """Make `spec` findable. LoadError when its path is taken, in either spelling."""
        for name in {spec.wire_name, spec.name}:
            folded = _folded(FunctionPath(spec.module, name))
            taken = self._by_folded.setdefault(folded, spec)
            if taken is not spec:
                raise LoadError(_collision(taken, spec))
        for name in {spec.wire_name, spec.name}:
            self._by_spelling[f"{spec.module}:{name}"] = spec
            self._by_spelling[f"{spec.module}.js:{name}"] = spec
        self._by_spelling[spec.path] = spec
        self._by_handler.setdefault(spec.handler, spec)
        self._specs.append(spec)

    def find(self, path: str) -> FunctionSpec | None:
        """The function that a client's `path` names, None when there is none.

        Raises InvalidFunctionPath for text that is no path. O(1); the common spellings cost one
        dictionary look-up.
        """
        spec = self._by_spelling.get(path)
        return spec if spec is not None else self._by_folded.get(_folded(parse_path(path)))

    def spec_of(self, function: Callable[..., object]) -> FunctionSpec:
        """What is known of a declared function of this app, given the function itself."""
        try:
            return self._by_handler[function]
        except (KeyError, TypeError):
            raise FunctionNotFound(_not_registered(function)) from None

    def __iter__(self) -> Iterator[FunctionSpec]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def _folded(path: FunctionPath) -> FunctionPath:
    """Where all spellings of one path meet: camelCase throughout."""
    if "_" not in path.module and "_" not in path.name:
        return path
    camel_case = WireNames.CAMEL_CASE.wire
    return FunctionPath("/".join(map(camel_case, path.module.split("/"))), camel_case(path.name))


def _collision(first: FunctionSpec, second: FunctionSpec) -> str:
    if first.module != second.module:
        return (
            f"Modules `{first.module}` and `{second.module}` both export `{second.path}`, because "
            "snake_case and camelCase paths name the same function. Rename one module."
        )
    wire = FunctionPath(*_folded(FunctionPath(second.module, second.wire_name)))
    return (
        f"`{first.name}` ({first.location}) and `{second.name}` ({second.location}) are both "
        f"`{wire}` to clients, because snake_case and camelCase names are the same function. "
        "Rename one of them."
    )


def _not_registered(function: object) -> str:
    name = getattr(function, "__name__", None) or repr(function)
    declaration = declaration_of(function)
    if declaration is None:
        return (
            f"`{name}` is not a declared function. Decorate it with @query, @mutation or @action, "
            "or call it directly as a plain Python function."
        )
    module = getattr(function, "__module__", "?")
    return (
        f"`{name}` of module `{module}` is declared but does not belong to this app. Import it "
        f"relatively from a module of the app (`from .module import {name}`), or pass its path as "
        f'text ("module:{name}").'
    )
