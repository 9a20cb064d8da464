"""Routes: exact first, then the longest prefix."""

import pytest

from reactor.errors import LoadError
from reactor.functions.arguments import Signature
from reactor.functions.http_router import HttpRouter
from reactor.functions.limits import Limits
from reactor.functions.registry import FunctionKind, FunctionSpec, Route


def spec(name: str, method: str, path: str, *, is_prefix: bool = False) -> FunctionSpec:
    async def handler(ctx: object, request: object) -> object:
        return None

    return FunctionSpec(
        module="http",
        name=name,
        wire_name=name,
        kind=FunctionKind.HTTP_ACTION,
        public=False,
        handler=handler,
        signature=Signature.of_http_action(handler),
        limits=Limits(),
        slow=False,
        digest="",
        route=Route(method, path, is_prefix),
    )


def router(*specs: FunctionSpec) -> HttpRouter:
    made = HttpRouter()
    for one in specs:
        made.add(one)
    return made


def name_of(found: FunctionSpec | None) -> str | None:
    return None if found is None else found.name


FILES = router(
    spec("root", "GET", "/", is_prefix=True),
    spec("files", "GET", "/files/", is_prefix=True),
    spec("images", "GET", "/files/images/", is_prefix=True),
    spec("index", "GET", "/files/index", is_prefix=False),
    spec("upload", "POST", "/files/", is_prefix=True),
)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/files/index", "index"),
        ("GET", "/files/index/", "files"),
        ("GET", "/files/a", "files"),
        ("GET", "/files/", "files"),
        ("GET", "/files", "root"),
        ("GET", "/files/images/a.png", "images"),
        ("HEAD", "/files/index", "index"),
        ("POST", "/files/index", "upload"),
        ("POST", "/other", None),
        ("DELETE", "/files/a", None),
    ],
)
def test_the_most_specific_route_answers(method: str, path: str, name: str | None) -> None:
    assert name_of(FILES.match(method, path)) == name


def test_one_route_has_one_function() -> None:
    with pytest.raises(LoadError, match=r"`a` \(.*\) and `b` \(.*\) both answer POST /event"):
        router(spec("a", "POST", "/event"), spec("b", "POST", "/event"))


def test_one_prefix_has_one_function() -> None:
    with pytest.raises(LoadError, match=r"both answer GET /files/\*"):
        router(
            spec("a", "GET", "/files/", is_prefix=True), spec("b", "GET", "/files/", is_prefix=True)
        )


def test_a_path_and_a_prefix_may_be_equal() -> None:
    both = router(spec("exact", "GET", "/a/"), spec("below", "GET", "/a/", is_prefix=True))
    assert name_of(both.match("GET", "/a/")) == "exact"
    assert name_of(both.match("GET", "/a/b")) == "below"


def test_its_length_is_the_number_of_routes() -> None:
    assert len(router()) == 0
    assert len(FILES) == 5
