"""The context that a function declares must be the one that it is handed."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from reactor.errors import LoadError
from reactor.functions.context import ActionCtx, MutationCtx, QueryCtx
from reactor.functions.declarations import action, declaration_of, http_action, mutation, query
from reactor.functions.kind_rules import check_kind

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


def reads(ctx: QueryCtx) -> None: ...
def writes(ctx: MutationCtx) -> None: ...
def acts(ctx: ActionCtx) -> None: ...
def says_nothing(ctx) -> None: ...  # type: ignore[no-untyped-def]
def says_any(ctx: Any) -> None: ...
def says_what_only_type_checkers_know(ctx: Unknown) -> None: ...
async def awaits(ctx: ActionCtx) -> None: ...
async def awaits_with_a_transaction(ctx: MutationCtx) -> None: ...
async def answers(ctx: QueryCtx, request: object) -> None: ...


def check(decorate: Callable[[Any], Any], function: Callable[..., Any]) -> None:
    copy = FunctionType(function.__code__, globals(), function.__name__)
    copy.__annotations__ = dict(function.__annotations__)
    declaration = declaration_of(decorate(copy))
    assert declaration is not None
    check_kind(copy, declaration)


@pytest.mark.parametrize(
    ("decorate", "function"),
    [
        (query, reads),
        (mutation, writes),
        (mutation, reads),
        (action, awaits),
        (query, says_nothing),
        (query, says_any),
        (query, says_what_only_type_checkers_know),
    ],
)
def test_a_context_that_fits_or_is_not_known_passes(
    decorate: Callable[[Any], Any], function: Callable[..., Any]
) -> None:
    check(decorate, function)


@pytest.mark.parametrize(
    ("decorate", "function", "right", "instead"),
    [
        (query, writes, "QueryCtx", "@mutation"),
        (query, acts, "QueryCtx", "@action"),
        (mutation, acts, "MutationCtx", "@action"),
        (action, awaits_with_a_transaction, "ActionCtx", "@mutation"),
        (http_action("GET", "/"), answers, "ActionCtx", "@query"),
    ],
)
def test_a_wrong_context_is_refused_naming_the_right_one(
    decorate: Callable[[Any], Any], function: Callable[..., Any], right: str, instead: str
) -> None:
    with pytest.raises(LoadError) as caught:
        check(decorate, function)
    assert "test_kind_rules.py:" in caught.value.message
    assert f"Write `ctx: {right}`" in caught.value.message
    assert f"declare it with {instead}." in caught.value.message
