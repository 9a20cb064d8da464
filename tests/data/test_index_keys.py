"""Which key a document has in an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.data.ids import InternalId
from reactor.data.index_keys import BY_ID, field_value, index_key
from reactor.data.keys import decode_key
from reactor.data.values import UNDEFINED, Int64, Value

ID = InternalId(bytes(range(16)))
VALUE: dict[str, Value] = {
    "name": "a",
    "note": None,
    "phase": {"type": "x", "inner": {"deep": Int64(5)}},
    "tags": ["t"],
    "with.dot": True,
}


def fields_of(*fields: str) -> list[object]:
    return list(decode_key(index_key(fields, VALUE, 2.5, ID)))


def test_creation_time_and_id_follow_the_fields() -> None:
    assert fields_of("name", "tags") == ["a", ["t"], 2.5, ID]


def test_the_order_is_that_of_the_index() -> None:
    assert fields_of("tags", "name") == [["t"], "a", 2.5, ID]


def test_by_creation_time_has_no_fields() -> None:
    assert fields_of() == [2.5, ID]


def test_by_id_has_the_id_alone() -> None:
    assert fields_of(*BY_ID) == [ID]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("note", None),
        ("nothing", UNDEFINED),
        ("phase.type", "x"),
        ("phase.inner.deep", Int64(5)),
        ("phase.nothing", UNDEFINED),
        ("nothing.type", UNDEFINED),
        ("name.type", UNDEFINED),
        ("note.type", UNDEFINED),
        ("tags.0", UNDEFINED),
        ("with.dot", True),
    ],
)
def test_a_path_leads_to_a_value_or_to_undefined(path: str, expected: object) -> None:
    assert field_value(VALUE, path) == expected
    assert fields_of(path)[0] == expected


numbers = st.floats(allow_nan=False).filter(lambda number: number != 0)


@given(numbers, numbers, numbers, numbers)
def test_keys_order_by_field_and_then_by_creation_time(
    first: float, second: float, first_time: float, second_time: float
) -> None:
    keys = [
        index_key(("a",), {"a": field}, time, ID)
        for field, time in ((first, first_time), (second, second_time))
    ]
    assert (keys[0] < keys[1]) == ((first, first_time) < (second, second_time))
