from __future__ import annotations

import math

import pytest
from rich.console import Console

from reactor.data.values import Int64, Value
from reactor.errors import InvalidRequest
from reactor.tools.json_text import as_grid, as_json, parse_arguments


def test_arguments_are_a_json_object() -> None:
    assert parse_arguments('{"limit": 10, "names": ["a"]}') == {"limit": 10, "names": ["a"]}


def test_arguments_may_use_the_markers_of_convex_json() -> None:
    assert parse_arguments('{"n": {"$integer": "AQAAAAAAAAA="}}') == {"n": Int64(1)}


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "5", "'x'", "[" * 100_000, '{"a": 01}'])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match="The arguments"):
        parse_arguments(text)


def test_a_value_that_convex_does_not_know_is_named() -> None:
    with pytest.raises(InvalidRequest, match="not Convex values"):
        parse_arguments('{"a": {"$set": []}}')


def test_results_read_as_plain_json() -> None:
    assert as_json({"n": 5.0, "i": Int64(7), "s": "é", "nan": math.nan}, indent=None) in (
        '{"n": 5.0, "i": "7", "s": "é", "nan": "NaN"}',
        '{"n": 5, "i": "7", "s": "é", "nan": "NaN"}',
    )


def printed(documents: list[dict[str, Value]]) -> str:
    console = Console(width=4_000)
    with console.capture() as captured:
        console.print(as_grid(documents))
    return captured.get()


def test_a_grid_has_a_column_for_each_field_and_a_row_for_each_document() -> None:
    text = printed([{"_id": "a", "_creationTime": 1.5, "x": "one\ntwo"}, {"_id": "b", "y": [1.0]}])
    heading, _, first, second = text.strip().splitlines()
    assert heading.split() == ["_id", "_creationTime", "x", "y"]
    assert first.split() == ["a", "1.5", "one", "two"]
    assert second.split()[0] == "b"


def test_a_long_cell_is_shortened() -> None:
    text = printed([{"_id": "a", "x": "y" * 1_000}])
    assert "y" * 59 + "…" in text
    assert "y" * 60 not in text


def test_markup_in_data_is_only_text() -> None:
    assert "[red]a[/red]" in printed([{"_id": "[red]a[/red]"}])
