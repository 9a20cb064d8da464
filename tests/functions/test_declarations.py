"""Decorators only mark, and refuse what cannot work."""

from collections.abc import Callable

import pytest

from reactor.errors import LoadError
from reactor.functions.declarations import (
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


def test_a_decorated_function_is_the_same_plain_function() -> None:
    def double(ctx: object, n: float) -> float:
        return 2 * n

    assert query(double) is double
    assert query(slow=True)(lambda ctx: None)(None) is None
    assert double(None, 2) == 4


@pytest.mark.parametrize(
    ("decorator", "kind", "public"),
    [
        (query, FunctionKind.QUERY, True),
        (mutation, FunctionKind.MUTATION, True),
        (action, FunctionKind.ACTION, True),
        (internal_query, FunctionKind.QUERY, False),
        (internal_mutation, FunctionKind.MUTATION, False),
        (internal_action, FunctionKind.ACTION, False),
        (http_action("GET", "/"), FunctionKind.HTTP_ACTION, False),
    ],
)
def test_each_decorator_marks_its_kind_and_visibility(
    decorator: Callable[[Callable[..., object]], Callable[..., object]],
    kind: FunctionKind,
    public: bool,
) -> None:
    declaration = declaration_of(decorator(lambda ctx: None))
    assert declaration is not None
    assert (declaration.kind, declaration.public) == (kind, public)


def test_options_are_kept() -> None:
    limits = Limits(run_seconds=1)

    @query(limits=limits, slow=True, name="other")
    def function(ctx: object) -> None: ...

    declaration = declaration_of(function)
    assert declaration is not None
    assert (declaration.limits, declaration.slow, declaration.name) == (limits, True, "other")


@pytest.mark.parametrize("decorator", [query, mutation, action])
def test_limits_that_are_no_limits_are_refused(decorator: FunctionDecorator) -> None:
    with pytest.raises(LoadError, match=r"limits=5\): expected a Limits, for example"):
        decorator(limits=5)  # type: ignore[call-overload]


def test_limits_of_an_http_action_are_checked_too() -> None:
    with pytest.raises(LoadError, match=r"@http_action\(limits=5\): expected a Limits"):
        http_action("GET", "/", limits=5)  # type: ignore[arg-type]


def test_what_is_not_declared_has_no_declaration() -> None:
    assert declaration_of(print) is None
    assert declaration_of(lambda: None) is None
    assert declaration_of(None) is None


def test_a_second_decorator_is_refused() -> None:
    with pytest.raises(LoadError, match="`twice` has both @query and @mutation"):

        @mutation
        @query
        def twice(ctx: object) -> None: ...


def test_only_functions_can_be_decorated() -> None:
    with pytest.raises(LoadError, match="which is not a function"):
        query(print)


def test_an_action_cannot_be_slow() -> None:
    with pytest.raises(LoadError, match=r"asyncio\.to_thread"):
        action(slow=True)


def test_an_exported_name_must_be_an_identifier() -> None:
    with pytest.raises(LoadError, match="a function name consists of"):
        query(name="list events")


def test_routes_are_exact_or_prefixes() -> None:
    exact = declaration_of(http_action("post", "/event")(lambda ctx, request: None))
    prefix = declaration_of(http_action("GET", prefix="/files/")(lambda ctx, request: None))
    assert exact is not None and exact.route == Route("POST", "/event", is_prefix=False)
    assert prefix is not None and prefix.route == Route("GET", "/files/", is_prefix=True)


@pytest.mark.parametrize(
    ("method", "path", "prefix", "reason"),
    [
        ("HEAD", "/a", None, "HEAD is answered by the GET route"),
        ("FETCH", "/a", None, "the method must be one of GET, POST"),
        ("GET", None, None, "not neither"),
        ("GET", "/a", "/b/", "not both"),
        ("GET", "a", None, 'must start with "/"'),
        ("GET", None, "/files", 'write prefix="/files/"'),
        ("GET", "/a?b", None, "request.query_params"),
    ],
)
def test_unusable_routes_are_refused(
    method: str, path: str | None, prefix: str | None, reason: str
) -> None:
    with pytest.raises(LoadError, match=r"@http_action\(.*\): ") as caught:
        http_action(method, path, prefix=prefix)
    assert reason in caught.value.message
