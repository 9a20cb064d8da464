"""What the kind of a function demands of its form: plain or `async`, and which context it takes.

Both are told when the app is loaded; otherwise a coroutine would be the result, and a method that
the context does not have would be missed by the first caller.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Final

from reactor.functions.context import ActionCtx, MutationCtx, QueryCtx
from reactor.functions.declarations import Declaration, FunctionKind
from reactor.functions.load_errors import error_at
from reactor.functions.parameters import context_annotation

#: What a function of a kind is handed, and what else it may call that.
_CONTEXTS: Final[dict[FunctionKind, tuple[type, ...]]] = {
    FunctionKind.QUERY: (QueryCtx,),
    FunctionKind.MUTATION: (MutationCtx, QueryCtx),
    FunctionKind.ACTION: (ActionCtx,),
    FunctionKind.HTTP_ACTION: (ActionCtx,),
}
_ALL_CONTEXTS: Final = (QueryCtx, MutationCtx, ActionCtx)
_DECORATORS: Final = {"QueryCtx": "@query", "MutationCtx": "@mutation", "ActionCtx": "@action"}


def check_kind(function: FunctionType, declaration: Declaration) -> None:
    """Raises LoadError, with file and line, when `function` is not written as its kind demands."""
    _check_colour(function, declaration)
    _check_context(function, declaration)


def _check_colour(function: FunctionType, declaration: Declaration) -> None:
    """`def` for transactions, `async def` for actions; a generator is neither."""
    name, decorator = function.__name__, declaration.decorator
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise error_at(
            function,
            f"@{decorator} `{name}` is a generator (it contains `yield`).",
            "A function has one result: collect it in a list and return that.",
        )
    is_async = inspect.iscoroutinefunction(function)
    if declaration.kind.is_transaction and is_async:
        raise error_at(
            function,
            f"@{decorator} `{name}` is an `async def`, but a {declaration.kind.value.lower()} runs "
            "as one transaction, and a transaction cannot suspend: everything that it reads must "
            "be of one moment.",
            "Write it as a plain `def`: `ctx.db` needs no await. For what must be awaited (HTTP "
            "requests, sleeping, other services) declare an @action, which calls queries and "
            "mutations through `await ctx.run_query(...)` and `await ctx.run_mutation(...)`.",
        )
    if not declaration.kind.is_transaction and not is_async:
        raise error_at(
            function,
            f"@{decorator} `{name}` is a plain `def`, but an action runs on the event loop beside "
            "all other calls and has to await what takes time.",
            "Write it as `async def`. If it only reads and writes the database, declare it as "
            "@query or @mutation instead.",
        )


def _check_context(function: FunctionType, declaration: Declaration) -> None:
    """An annotation that is one of our contexts must be the right one; any other is let pass."""
    annotation = context_annotation(function)
    allowed = _CONTEXTS[declaration.kind]
    if annotation in allowed or annotation not in _ALL_CONTEXTS:
        return
    name, decorator, right = function.__name__, declaration.decorator, allowed[0].__name__
    context = next(iter(inspect.signature(function).parameters))
    said = next(one.__name__ for one in _ALL_CONTEXTS if one is annotation)
    raise error_at(
        function,
        f"@{decorator} `{name}` declares `{context}: {said}`, but it is handed a {right}.",
        f"Write `{context}: {right}`, or, if the function needs what only a {said} can do, "
        f"declare it with {_DECORATORS[said]}.",
    )
