"""Function paths: many spellings, one canonical text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.errors import InvalidFunctionPath
from reactor.functions.paths import canonical_path, parse_path

EXPORTS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
MODULES = st.lists(st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True), min_size=1, max_size=3).map(
    "/".join
)


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("messages:list", "messages:list"),
        ("messages.js:list", "messages:list"),
        ("dir/mod:list", "dir/mod:list"),
        ("dir/mod", "dir/mod"),
        ("dir/mod.js", "dir/mod"),
        ("dir/mod:default", "dir/mod"),
        ("dir/mod.js:default", "dir/mod"),
        ("a.b:c", "a.b:c"),
    ],
)
def test_every_spelling_has_its_canonical_form(spelling: str, canonical: str) -> None:
    assert canonical_path(spelling) == canonical


@given(MODULES, EXPORTS)
def test_canonical_paths_stay_as_they_are(module: str, export: str) -> None:
    canonical = canonical_path(f"{module}.js:{export}")
    assert canonical_path(canonical) == canonical


@given(MODULES, EXPORTS)
def test_parts_are_recovered(module: str, export: str) -> None:
    assert parse_path(f"{module}:{export}") == (module, export)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":list",
        "messages:",
        "a:b:c",
        "/messages:list",
        "a//b:list",
        "../secrets:list",
        "a/../b:list",
        "./a:list",
        "messages:1st",
        "messages:li st",
        "messages:liste\n",
        "messages\n:list",
        "mess\0ages:list",
        "é:list",
        "messages:" + "x" * 65,
        "m" * 2000 + ":list",
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidFunctionPath):
        parse_path(text)


def test_the_error_names_the_text_and_the_expected_form() -> None:
    with pytest.raises(InvalidFunctionPath) as caught:
        parse_path("../x:f")
    assert caught.value.message == (
        "'../x:f' is not a function path: its module has the component '..'. Write it as "
        "`module:function` or `folder/module:function`, for example `messages:list`."
    )


def test_a_huge_text_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidFunctionPath) as caught:
        parse_path("m" * 100_000)
    assert len(caught.value.message) < 300
