"""Convex values as people read and write them on a command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table as Grid
from rich.text import Text

from reactor.data.values import Value
from reactor.data.wire import from_json, to_clean_json
from reactor.errors import InvalidRequest, InvalidValue

CELL_CHARACTERS_MAX: Final = 60


#: Characters of the document ids of user tables.
ID_LENGTH = 32


def parse_arguments(text: str) -> dict[str, Value]:
    """The arguments of a call from their JSON text; InvalidRequest says where it is wrong."""
    try:
        tree = json.loads(text)
    except RecursionError:
        raise InvalidRequest("The arguments are nested too deeply.") from None
    except ValueError as error:
        raise InvalidRequest(
            f"The arguments are not JSON: {error}. Got {_shortened(text)}. Write a JSON object in "
            """single quotes, such as '{"limit": 10}'."""
        ) from None
    if not isinstance(tree, dict):
        raise InvalidRequest(
            f"The arguments must be a JSON object, such as '{{\"limit\": 10}}', not "
            f"{_shortened(text)}."
        )
    try:
        value = from_json(tree)
    except InvalidValue as error:
        raise InvalidRequest(f"The arguments are not Convex values: {error.message}") from None
    return value if isinstance(value, dict) else {}


def as_json(value: Value, *, indent: int | None = 2) -> str:
    """A value as JSON text; an int64 appears as its decimal digits in a string."""
    return json.dumps(to_clean_json(value), indent=indent, ensure_ascii=False)


def as_grid(documents: Sequence[dict[str, Value]]) -> Grid:
    """Documents as a table: system fields first, then the others in order of appearance."""
    names = dict.fromkeys(["_id", "_creationTime"])
    for document in documents:
        names.update(dict.fromkeys(document))
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        # An id is there to be copied, so it is never cut; what else does not fit ends in "…".
        whole = len(name) if name != "_id" else ID_LENGTH
        grid.add_column(name, overflow="ellipsis", no_wrap=True, min_width=whole)
    for document in documents:
        grid.add_row(*(Text(_cell(document, name)) for name in names))
    return grid


def _cell(document: dict[str, Value], name: str) -> str:
    if name not in document:
        return ""
    value = document[name]
    text = value if isinstance(value, str) else as_json(value, indent=None)
    text = " ".join(text.split()) if isinstance(value, str) else text
    return _shortened(text, quoted=False)


def _shortened(text: str, *, quoted: bool = True) -> str:
    if len(text) > CELL_CHARACTERS_MAX:
        text = text[: CELL_CHARACTERS_MAX - 1] + "…"
    return repr(text) if quoted else text
