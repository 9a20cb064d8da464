"""Finding functions by path and by the function itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from reactor.data.wire_names import WireNames
from reactor.errors import FunctionNotFound, InvalidFunctionPath, LoadError
from reactor.functions.arguments import Signature
from reactor.functions.limits import Limits
from reactor.functions.registry import FunctionKind, FunctionSpec, Registry, query


def spec(
    module: str,
    name: str,
    handler: Callable[..., object] | None = None,
    names: WireNames = WireNames.CAMEL_CASE,
) -> FunctionSpec:
    def function(ctx: object) -> None: ...

    handler = handler or function
    return FunctionSpec(
        module=module,
        name=name,
        wire_name=names.wire(name),
        kind=FunctionKind.QUERY,
        public=True,
        handler=handler,
        signature=Signature.of(handler, names),
        limits=Limits(),
        slow=False,
        digest="",
    )


def registry(*specs: FunctionSpec) -> Registry:
    made = Registry()
    for one in specs:
        made.add(one)
    return made


@pytest.mark.parametrize(
    "path",
    [
        "events:listEvents",
        "events:list_events",
        "events.js:listEvents",
        "events.js:list_events",
    ],
)
def test_a_function_is_found_in_every_spelling(path: str) -> None:
    listed = spec("events", "list_events")
    assert registry(listed, spec("events", "other")).find(path) is listed


@pytest.mark.parametrize(
    "path", ["dir/my_mod", "dir/myMod", "dir/my_mod:default", "dir/my_mod.js:default"]
)
def test_a_default_export_is_found_by_its_module(path: str) -> None:
    default = spec("dir/my_mod", "default")
    assert registry(default).find(path) is default


@pytest.mark.parametrize("path", ["events:nope", "nope:listEvents", "events", "listEvents"])
def test_unknown_paths_find_nothing(path: str) -> None:
    assert registry(spec("events", "list_events")).find(path) is None


def test_a_malformed_path_is_an_error() -> None:
    with pytest.raises(InvalidFunctionPath):
        registry().find("../events:list")


def test_paths_are_shown_in_the_apps_wire_names() -> None:
    camel_case = spec("dir/my_mod", "list_events")
    as_written = spec("dir/my_mod", "list_events", names=WireNames.AS_WRITTEN)
    assert camel_case.path == "dir/my_mod:listEvents"
    assert camel_case.internal_form == "dir/my_mod.js:listEvents"
    assert as_written.path == "dir/my_mod:list_events"
    assert registry(as_written).find("dir/my_mod:listEvents") is as_written


def test_a_default_export_is_shown_as_its_module() -> None:
    default = spec("dir/mod", "default")
    assert (default.path, default.internal_form) == ("dir/mod", "dir/mod.js:default")


def test_an_exported_name_is_found_beside_the_python_one() -> None:
    renamed = replace(spec("events", "list_events"), wire_name="all")
    found = registry(renamed)
    assert found.find("events:all") is found.find("events:listEvents") is renamed
    assert renamed.path == "events:all"


def test_names_that_are_one_name_to_clients_collide() -> None:
    with pytest.raises(LoadError) as caught:
        registry(spec("events", "list_events"), spec("events", "listEvents"))
    message = caught.value.message
    assert "`list_events`" in message and "`listEvents`" in message
    assert "`events:listEvents`" in message and message.endswith("Rename one of them.")


def test_modules_that_are_one_path_to_clients_collide() -> None:
    with pytest.raises(LoadError, match="Modules `my_mod` and `myMod` both export"):
        registry(spec("my_mod", "f"), spec("myMod", "f"))


def test_equal_names_in_different_modules_do_not_collide() -> None:
    assert len(registry(spec("a", "f"), spec("b", "f"))) == 2


def test_a_function_is_its_own_reference() -> None:
    def handler(ctx: object) -> None: ...

    one = spec("events", "one", handler)
    assert registry(one).spec_of(handler) is one


def test_a_function_that_is_not_declared_is_named_with_the_way_out() -> None:
    def stranger(ctx: object) -> None: ...

    with pytest.raises(FunctionNotFound, match="`stranger` is not a declared function"):
        registry().spec_of(stranger)


def test_a_declared_function_of_another_app_is_named_with_the_way_out() -> None:
    @query
    def stranger(ctx: object) -> None: ...

    with pytest.raises(FunctionNotFound, match="does not belong to this app"):
        registry().spec_of(stranger)


def test_iteration_gives_all_functions_in_order() -> None:
    specs = [spec("a", "f"), spec("b", "f"), spec("a", "g")]
    assert list(registry(*specs)) == specs
