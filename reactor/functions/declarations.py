"""The decorators that declare functions: `@query`, `@mutation`, `@action`, their `internal_*` forms
and `@http_action`.

A decorator only marks: it attaches a `Declaration` and returns the very same function, so that a
declared function stays a plain one that unit tests call and type checkers see through. There is no
global registry; a loader collects the marks of one app, so apps are isolated and can be reloaded.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar, overload

from reactor.errors import LoadError
from reactor.functions.limits import Limits

Function = TypeVar("Function", bound=Callable[..., object])

HTTP_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

_DECLARATION = "__reactor_declaration__"
_EXPORT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class FunctionKind(Enum):
    """What a function may do; `value` is the protocol's word for it."""

    QUERY = "Query"
    MUTATION = "Mutation"
    ACTION = "Action"
    HTTP_ACTION = "HttpAction"

    @property
    def is_transaction(self) -> bool:
        """Runs as one transaction, hence as a plain `def`."""
        return self in (FunctionKind.QUERY, FunctionKind.MUTATION)


@dataclass(frozen=True, slots=True)
class Route:
    """Where an HTTP action answers. A prefix ends in `/` and covers everything below it."""

    method: str
    path: str
    is_prefix: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'*' if self.is_prefix else ''}"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a decorator said about its function."""

    decorator: str
    kind: FunctionKind
    public: bool
    name: str | None = None
    limits: Limits | None = None
    slow: bool = False
    route: Route | None = None


def declaration_of(candidate: object) -> Declaration | None:
    """The mark of a declared function, None for anything else."""
    if not isinstance(candidate, types.FunctionType):
        return None
    found = candidate.__dict__.get(_DECLARATION)
    return found if isinstance(found, Declaration) else None


class FunctionDecorator:
    """`@query` or `@query(limits=Limits(...), slow=True, name="...")`.

    `slow` starts the function in a worker thread from its first run on, instead of after it has
    proved slow. `name` is the exported name where it must differ from the Python one.
    """

    def __init__(self, name: str, kind: FunctionKind, *, public: bool) -> None:
        self.__name__ = name
        self._kind = kind
        self._public = public

    @overload
    def __call__(self, function: Function, /) -> Function: ...
    @overload
    def __call__(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        limits: Limits | None = None,
        slow: bool = False,
    ) -> Callable[[Function], Function]: ...
    def __call__(
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        limits: Limits | None = None,
        slow: bool = False,
    ) -> object:
        if slow and not self._kind.is_transaction:
            raise LoadError(
                f"@{self.__name__}(slow=True): an action awaits what is slow and never blocks the "
                "event loop. Remove slow=True; move blocking work to asyncio.to_thread(...)."
            )
        declaration = Declaration(self.__name__, self._kind, self._public, name, limits, slow)
        return _mark(declaration) if function is None else _mark(declaration)(function)

    def __repr__(self) -> str:
        return f"<decorator @{self.__name__}>"


query: Final = FunctionDecorator("query", FunctionKind.QUERY, public=True)
mutation: Final = FunctionDecorator("mutation", FunctionKind.MUTATION, public=True)
action: Final = FunctionDecorator("action", FunctionKind.ACTION, public=True)
internal_query: Final = FunctionDecorator("internal_query", FunctionKind.QUERY, public=False)
internal_mutation: Final = FunctionDecorator(
    "internal_mutation", FunctionKind.MUTATION, public=False
)
internal_action: Final = FunctionDecorator("internal_action", FunctionKind.ACTION, public=False)


def http_action(
    method: str,
    path: str | None = None,
    *,
    prefix: str | None = None,
    name: str | None = None,
    limits: Limits | None = None,
) -> Callable[[Function], Function]:
    """Declare ``async def f(ctx, request) -> Response`` to answer `method` requests for `path`.

    `prefix="/files/"` in place of `path` answers for everything below it. An exact path wins over a
    prefix, a longer prefix over a shorter one; HEAD is answered by the GET route.
    """
    route = _route(method, path, prefix)
    return _mark(
        Declaration("http_action", FunctionKind.HTTP_ACTION, False, name, limits, route=route)
    )


def _route(method: str, path: str | None, prefix: str | None) -> Route:
    where_said = repr(path) if prefix is None else f"prefix={prefix!r}"
    said = f"http_action({method!r}, {where_said})"
    if not isinstance(method, str) or method.upper() not in HTTP_METHODS:
        hint = " HEAD is answered by the GET route." if method == "HEAD" else ""
        raise LoadError(f"@{said}: the method must be one of {', '.join(HTTP_METHODS)}.{hint}")
    if (path is None) == (prefix is None):
        raise LoadError(
            f'@{said}: give either a path ("/event") or a prefix (prefix="/files/"), not '
            f"{'neither' if path is None else 'both'}."
        )
    where = path if prefix is None else prefix
    if not isinstance(where, str) or not where.startswith("/"):
        raise LoadError(f'@{said}: the path must start with "/".')
    if prefix is not None and not prefix.endswith("/"):
        raise LoadError(f'@{said}: a prefix ends in "/"; write prefix="{prefix}/".')
    if "?" in where or "#" in where:
        raise LoadError(f"@{said}: a route has no query string; read it from request.query_params.")
    return Route(method.upper(), where, prefix is not None)


def _mark(declaration: Declaration) -> Callable[[Function], Function]:
    if declaration.limits is not None and not isinstance(declaration.limits, Limits):
        raise LoadError(
            f"@{declaration.decorator}(limits={declaration.limits!r}): expected a Limits, for "
            "example limits=Limits(run_seconds=10)."
        )
    if declaration.name is not None and not _EXPORT_NAME.fullmatch(declaration.name):
        raise LoadError(
            f"@{declaration.decorator}(name={declaration.name!r}): a function name consists of "
            "letters, digits and _, does not start with a digit, and has at most 64 characters."
        )

    def mark(function: Function) -> Function:
        if not isinstance(function, types.FunctionType):
            raise LoadError(
                f"@{declaration.decorator} was applied to {function!r}, which is not a function. "
                "Apply it to a function defined with `def` or `async def` at module level."
            )
        earlier = declaration_of(function)
        if earlier is not None:
            raise LoadError(
                f"`{function.__name__}` has both @{earlier.decorator} and "
                f"@{declaration.decorator}. Keep one; let both call a plain function to share code."
            )
        setattr(function, _DECLARATION, declaration)
        return function

    return mark
