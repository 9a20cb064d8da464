"""Declaring tables, and typed documents: immutable, isolated from the store, cheap to read."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import cached_property
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    MISSING,
    BaseModel,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from reactor.data import wire
from reactor.data.annotations import WireNames
from reactor.data.schema import Schema, TableSchema
from reactor.data.tables import Id, Index, Table, TableReference
from reactor.data.values import Int64, Value
from reactor.errors import SchemaError


class Stored:
    """What the engine hands out."""

    def __init__(self, value: dict[str, Value]) -> None:
        self.value = {**value, "_id": "the id", "_creationTime": 1.5}
        self.encoded = wire.encode(self.value)
        self.typed: Table | None = None


class Phase(BaseModel):
    phase_type: str
    lines: list[int] = []


class Event(Table, name="events"):
    event_id: str
    amount: int = 3
    tool: str | None = None
    tool_input: Any = None
    phase: Phase | None = None
    tags: tuple[str, ...] = ()
    notes: list[str] = []  # noqa: RUF012  # pydantic copies it
    cost: float | MISSING = MISSING
    by_event = Index("event_id")


class Private(Table, name="privates"):
    name: str
    _seen: list[str] = PrivateAttr(default_factory=list)

    @cached_property
    def letters(self) -> list[str]:
        return list(self.name)


SCHEMA = Schema.build([Event, Private], WireNames.CAMEL_CASE)
EVENTS = SCHEMA.tables["events"]

FLAT: dict[str, Value] = {"eventId": "a", "amount": 4.0, "notes": []}
NESTED: dict[str, Value] = {
    "eventId": "a",
    "toolInput": {"in_any": [1, {"b": Int64(5)}]},
    "phase": {"phaseType": "x", "lines": [1.0, 2.0]},
    "tags": ["t"],
    "notes": ["n"],
}


def load(value: dict[str, Value]) -> Event:
    return load_from(Stored(value))


def load_from(document: Stored, table: TableSchema = EVENTS) -> Event:
    row = table.load(document)
    assert isinstance(row, Event)
    return row


def test_an_index_is_no_field() -> None:
    assert "by_event" not in Event.model_fields
    assert Event.by_event.fields == ("event_id",)
    assert Event.by_event.name == "by_event"


def test_an_index_needs_fields() -> None:
    with pytest.raises(SchemaError, match="names of one or more fields"):
        Index()


@pytest.mark.parametrize("name", ["id", "creation_time"])
def test_a_field_cannot_take_the_name_of_a_system_property(name: str) -> None:
    with pytest.raises(SchemaError, match=f"has `{name}` already"):
        type("Bad", (Table,), {"__annotations__": {name: str}}, name="bad")


def test_an_id_is_text_that_knows_its_table() -> None:
    kind, reference = get_args(Id[Event])
    assert kind is str
    assert isinstance(reference, TableReference)
    assert reference.target is Event


def test_an_id_refers_to_tables_only() -> None:
    with pytest.raises(SchemaError, match="does not name a table"):
        Id[int]  # type: ignore[type-var]


def test_a_new_row_is_validated() -> None:
    with pytest.raises(ValidationError):
        Event(event_id=5)  # type: ignore[arg-type]


def test_numbers_in_text_are_not_converted() -> None:
    with pytest.raises(ValidationError):
        Event(event_id="a", amount="5")  # type: ignore[arg-type]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        Event(event_id="a", evnt="b")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["id", "creation_time"])
def test_a_row_that_was_never_stored_says_so(name: str) -> None:
    with pytest.raises(AttributeError, match="This Event has no id and no creation_time"):
        getattr(Event(event_id="a"), name)


def test_a_stored_document_has_id_and_creation_time() -> None:
    row = load(FLAT)
    assert (row.id, row.creation_time) == ("the id", 1.5)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        load(NESTED).nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_documents_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(FLAT).event_id = "b"


def test_fields_read_as_what_is_declared() -> None:
    row = load(NESTED)
    assert row.phase == Phase(phase_type="x", lines=[1, 2])
    assert row.tags == ("t",)
    assert row.tool_input == {"in_any": [1, {"b": Int64(5)}]}
    assert type(row.tool_input["in_any"][1]["b"]) is Int64
    assert type(load(FLAT).amount) is int


def test_absent_fields_read_as_their_default() -> None:
    row = load({"eventId": "a"})
    assert row.tool is None
    assert row.amount == 3
    assert row.cost is MISSING
    assert row.notes == []


def test_loading_does_not_validate() -> None:
    assert load({"eventId": 5.0, "amount": "x"}).event_id == 5.0  # type: ignore[comparison-overlap]


def test_a_required_field_that_is_not_stored_reads_as_missing() -> None:
    assert load({}).event_id is MISSING  # type: ignore[comparison-overlap]


def test_a_flat_document_is_loaded_once_and_shared() -> None:
    document = Stored({"eventId": "a", "tool": "t"})
    table = Schema.build([Flat], WireNames.CAMEL_CASE).tables["flats"]
    assert table.load(document) is table.load(document)


class Flat(Table, name="flats"):
    event_id: str
    tool: str | None = None
    tool_input: Any = None


def test_another_schema_does_not_take_over_a_loaded_document() -> None:
    document = Stored({"eventId": "a", "event_id": "b"})
    camel, written = (Schema.build([Flat], names).tables["flats"] for names in WireNames)
    assert camel.load(document).event_id == "a"  # type: ignore[attr-defined]
    assert written.load(document).event_id == "b"  # type: ignore[attr-defined]


def test_rows_with_private_state_are_not_shared() -> None:
    document = Stored({"name": "abc"})
    table = SCHEMA.tables["privates"]
    first, second = table.load(document), table.load(document)
    assert isinstance(first, Private)
    assert isinstance(second, Private)
    first._seen.append("x")
    first.letters.append("x")
    assert second._seen == []
    assert second.letters == ["a", "b", "c"]


def mutate(row: Event) -> None:
    row.tool_input["in_any"][1]["b"] = "changed"
    row.tool_input["in_any"].append(1)
    row.notes.append("changed")
    assert row.phase is not None
    row.phase.lines.append(9)
    row.phase.phase_type = "changed"


def test_mutating_a_document_reaches_neither_the_store_nor_another_reader() -> None:
    document = Stored(copy.deepcopy(NESTED))
    before = load_from(document)
    early = before.tool_input
    mutate(load_from(document))
    assert document.value == Stored(NESTED).value
    assert before == load(NESTED)
    assert early == NESTED["toolInput"]
    assert load_from(document) == load(NESTED)


def test_mutating_a_default_reaches_no_other_reader() -> None:
    document = Stored({"eventId": "a"})
    load_from(document).notes.append("x")
    assert load_from(document).notes == []
    assert load({"eventId": "b"}).notes == []


def test_reading_twice_gives_the_same_nested_value() -> None:
    row = load(NESTED)
    assert row.phase is row.phase


def test_documents_are_equal_if_id_and_fields_are() -> None:
    other = Stored(NESTED)
    other.value["_id"] = "another id"
    assert load(NESTED) == load(NESTED)
    assert load(NESTED) != load_from(other)
    assert load(NESTED) != load({**NESTED, "notes": []})
    assert load(FLAT) != Event(event_id="a", amount=4, notes=[])
    assert Event(event_id="a") == Event(event_id="a")


def test_equal_documents_hash_alike() -> None:
    assert len({load(NESTED), load(NESTED)}) == 1


def test_a_document_shows_its_id_and_its_fields_in_order() -> None:
    row = load(NESTED)
    assert row.notes  # looked at before the others
    assert repr(row) == (
        "Event(id='the id', creation_time=1.5, event_id='a', amount=3, tool=None, "
        "tool_input={'in_any': [1, {'b': Int64(5)}]}, "
        "phase=Phase(phase_type='x', lines=[1, 2]), tags=('t',), notes=['n'], cost=MISSING)"
    )


DUMPED = {
    "event_id": "a",
    "amount": 3,
    "tool": None,
    "tool_input": {"in_any": [1, {"b": 5}]},
    "phase": {"phase_type": "x", "lines": [1, 2]},
    "tags": ("t",),
    "notes": ["n"],
}


def test_a_document_dumps_all_its_fields() -> None:
    assert load(NESTED).model_dump() == DUMPED
    assert list(load(NESTED).model_dump()) == list(DUMPED)


def test_documents_inside_of_other_types_dump_all_their_fields() -> None:
    assert TypeAdapter(list[Event]).dump_python([load(NESTED)]) == [DUMPED]


def test_a_document_dumps_as_json() -> None:
    assert Event.model_validate_json(load(FLAT).model_dump_json()).event_id == "a"


def test_a_dump_can_leave_out_what_was_not_given() -> None:
    assert load(FLAT).model_dump(exclude_unset=True) == {
        "event_id": "a",
        "amount": 4,
        "notes": [],
    }


def test_a_document_is_made_of_its_fields() -> None:
    assert dict(load(FLAT)) == {
        "event_id": "a",
        "amount": 4,
        "tool": None,
        "tool_input": None,
        "phase": None,
        "tags": (),
        "notes": [],
        "cost": MISSING,
    }


WAYS_TO_COPY: list[Callable[[Event], Event]] = [
    copy.copy,
    copy.deepcopy,
    lambda row: row.model_copy(),
    lambda row: row.model_copy(deep=True),
    lambda row: pickle.loads(pickle.dumps(row)),
]


@pytest.mark.parametrize("copied", WAYS_TO_COPY)
def test_copies_are_equal_and_keep_the_id(copied: Callable[[Event], Event]) -> None:
    twin = copied(load(NESTED))
    assert twin == load(NESTED)
    assert twin.id == "the id"


@pytest.mark.parametrize("copied", WAYS_TO_COPY)
def test_a_copy_of_a_new_row_is_new(copied: Callable[[Event], Event]) -> None:
    twin = copied(Event(event_id="a"))
    assert twin == Event(event_id="a")
    assert not hasattr(twin, "id")


def test_an_updated_copy_is_never_taken_for_the_stored_document() -> None:
    updated = load(FLAT).model_copy(update={"event_id": "b"})
    assert EVENTS.dump_result(updated) == {
        "_id": "the id",
        "_creationTime": 1.5,
        "eventId": "b",
        "amount": 4,
        "notes": [],
    }


def test_an_untouched_document_is_its_own_result() -> None:
    for value in (FLAT, NESTED):
        document = Stored(value)
        assert EVENTS.dump_result(load_from(document)) is document


def test_a_document_whose_flat_fields_were_read_is_untouched() -> None:
    document = Stored(NESTED)
    row = load_from(document)
    assert (row.event_id, row.amount, row.id) == ("a", 3, "the id")
    assert EVENTS.dump_result(row) is document


def test_a_changed_document_is_dumped_as_it_is_now() -> None:
    row = load(NESTED)
    mutate(row)
    assert EVENTS.dump_result(row) == {
        "_id": "the id",
        "_creationTime": 1.5,
        "eventId": "a",
        "toolInput": {"in_any": [1, {"b": "changed"}, 1]},
        "phase": {"phaseType": "changed", "lines": [1, 2, 9]},
        "tags": ["t"],
        "notes": ["n", "changed"],
    }


def test_a_document_that_was_only_looked_at_dumps_to_what_is_stored() -> None:
    document = Stored(NESTED)
    row = load_from(document)
    assert row.phase
    assert row.tool_input
    dumped = EVENTS.dump_result(row)
    assert wire.canonical(dumped) == wire.canonical(document.value)


def test_a_model_validator_of_a_table_sees_every_field() -> None:
    class Checked(Table, name="checked"):
        low: int
        high: int = Field(default=10)

        @model_validator(mode="after")
        def in_order(self) -> Checked:
            assert self.low <= self.high
            return self

    with pytest.raises(ValidationError):
        Checked(low=11)


any_values: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b_c"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(any_values)
def test_any_value_reads_as_it_was_stored(value: Value) -> None:
    document = Stored({"eventId": "a", "toolInput": value})
    row = load_from(document)
    assert row.tool_input == value
    assert wire.canonical(EVENTS.dump_result(row)) == wire.canonical(document.value)
