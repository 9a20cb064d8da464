"""Schemas: the tables of the apps under their wire names, what may be stored, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import new_class
from typing import Annotated, Any, ClassVar, Literal, cast

import pytest
from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from reactor.data.annotations import WireNames
from reactor.data.ids import InternalId, encode_id
from reactor.data.schema import Schema, TableSchema
from reactor.data.tables import Id, Index, Table
from reactor.data.values import UNDEFINED, Int64, Value
from reactor.errors import SchemaError, SchemaMismatch

CAMEL = WireNames.CAMEL_CASE


class Event(Table, name="events"):
    event_id: str
    session_id: str
    project_name: str
    type: Literal["pre_tool_use", "stop"]
    timestamp: float
    tool: str | None = None
    tool_input: Any = None
    redacted: bool | None = None
    by_project = Index("project_name", "timestamp")
    by_session = Index("sessionId", "timestamp")


class UserStatus(Table, name="userStatus"):
    user_id: str
    alert_level: Literal["L1", "L2", "L3", "L4"] | None = None
    last_check_in: float | MISSING = MISSING
    by_user = Index("user_id")


class Phase(BaseModel):
    type: str
    script_path: str | MISSING = MISSING


class Session(Table, name="sessions"):
    workspace_id: Id[Workspace]
    phase: Phase
    is_claude_busy: bool = False
    messages: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    by_phase = Index("phase.script_path")
    by_message = Index("messages.some_key.x_y")


class Workspace(Table, name="workspaces"):
    name: str
    last_session: Id[Session] | None = None


class Liquidation(Table, name="liquidations"):
    collateral_amount: str
    usd_value: float
    tx_hash: bytes
    block: Int64
    created_at: float
    by_created = Index("created_at")


class Limited(Table, name="limited"):
    """Everything that pydantic alone can demand."""

    limit: Annotated[int, Field(ge=1, le=10)]
    names: list[Annotated[str, Field(max_length=3)]] = []  # noqa: RUF012
    at: Annotated[float | None, BeforeValidator(lambda value: milliseconds(value))] = None
    low: float = 0
    high: float = 9

    @field_validator("names")
    @classmethod
    def lower(cls, names: list[str]) -> list[str]:
        return [name.lower() for name in names]

    @model_validator(mode="after")
    def in_order(self) -> Limited:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def milliseconds(value: object) -> object:
    return value.timestamp() * 1000 if isinstance(value, datetime) else value


SCHEMA = Schema.build([Event, UserStatus, Session, Workspace, Limited], CAMEL)
EVENTS, STATUS, SESSIONS, LIMITED = (
    SCHEMA.table_of(model) for model in (Event, UserStatus, Session, Limited)
)
MARKET = Schema.build([Liquidation], WireNames.AS_WRITTEN)

EVENT = {
    "event_id": "e",
    "session_id": "s",
    "project_name": "p",
    "type": "stop",
    "timestamp": 5.0,
}
STORED: dict[str, Value] = {
    "eventId": "e",
    "sessionId": "s",
    "projectName": "p",
    "type": "stop",
    "timestamp": 5.0,
}
WORKSPACE_ID = encode_id(10004, InternalId(bytes(16)))
SESSION_ID = encode_id(10003, InternalId(bytes(16)))


class Tables:
    def table_name(self, table_number: int) -> str | None:
        return {10003: "sessions", 10004: "workspaces"}.get(table_number)


# Names


def test_camel_case_names_reach_fields_and_indexes() -> None:
    assert list(EVENTS.validator.fields)[:3] == ["eventId", "sessionId", "projectName"]
    assert EVENTS.indexes["by_project"].fields == ("projectName", "timestamp")
    assert EVENTS.indexes["by_project"].python_fields == ("project_name", "timestamp")


def test_an_index_may_use_wire_names() -> None:
    assert EVENTS.indexes["by_session"].python_fields == ("session_id", "timestamp")


def test_names_as_written_stay() -> None:
    table = MARKET.tables["liquidations"]
    assert next(iter(table.validator.fields)) == "collateral_amount"
    assert table.indexes["by_created"].fields == ("created_at",)


def test_an_index_reaches_into_nested_objects() -> None:
    assert SESSIONS.indexes["by_phase"].fields == ("phase.scriptPath",)


def test_a_path_is_not_renamed_inside_of_records_and_any() -> None:
    assert SESSIONS.indexes["by_message"].fields == ("messages.some_key.x_y",)


def test_every_table_has_the_built_in_indexes() -> None:
    assert EVENTS.indexes["by_creation_time"].fields == ()
    assert EVENTS.indexes["by_id"].fields == ("_id",)


def test_one_class_can_serve_two_spellings() -> None:
    written = Schema.build([UserStatus], WireNames.AS_WRITTEN).tables["userStatus"]
    assert written.dump({"user_id": "u"}) == {"user_id": "u"}
    assert STATUS.dump({"user_id": "u"}) == {"userId": "u"}


def test_references_may_be_declared_before_their_table() -> None:
    assert SESSIONS.validator.fields["workspaceId"].validator.describe() == 'v.id("workspaces")'


def test_columns_have_kinds() -> None:
    assert EVENTS.columns == (
        ("_id", "id"),
        ("_creationTime", "number"),
        ("eventId", "string"),
        ("sessionId", "string"),
        ("projectName", "string"),
        ("type", "string"),
        ("timestamp", "number"),
        ("tool", "string"),
        ("toolInput", "json"),
        ("redacted", "boolean"),
    )
    assert [kind for _, kind in MARKET.tables["liquidations"].columns[2:]] == [
        "string",
        "number",
        "bytes",
        "bigint",
        "number",
    ]


def test_tables_are_found_by_class_and_by_name() -> None:
    assert SCHEMA.table_of(Event) is SCHEMA.table_of("events")


@pytest.mark.parametrize("table", ["evnts", Liquidation])
def test_an_unknown_table_is_told_with_the_known_ones(table: str | type[Table]) -> None:
    with pytest.raises(SchemaError, match="whose tables are: events, limited, sessions"):
        SCHEMA.table_of(table)


# What is stored


def test_absent_null_and_default_are_three_things() -> None:
    assert "tool" not in EVENTS.dump(Event(**EVENT))  # type: ignore[arg-type]
    assert EVENTS.dump(Event(**EVENT, tool=None))["tool"] is None  # type: ignore[arg-type]
    session = {"workspace_id": WORKSPACE_ID, "phase": {"type": "x"}}
    assert SESSIONS.dump(session) == {
        "workspaceId": WORKSPACE_ID,
        "phase": {"type": "x"},
        "isClaudeBusy": False,
        "messages": {},
    }


def test_the_three_hold_for_any() -> None:
    assert "toolInput" not in EVENTS.dump(EVENT)
    assert EVENTS.dump({**EVENT, "tool_input": None})["toolInput"] is None
    assert EVENTS.dump({**EVENT, "tool_input": {"a_b": (1,)}})["toolInput"] == {"a_b": [1]}


def test_missing_leaves_a_field_out() -> None:
    assert STATUS.dump({"user_id": "u", "last_check_in": MISSING}) == {"userId": "u"}
    assert STATUS.dump(UserStatus(user_id="u")) == {"userId": "u"}


def test_a_field_typed_missing_takes_no_null() -> None:
    with pytest.raises(SchemaMismatch, match=r"Path: \.lastCheckIn"):
        STATUS.dump({"user_id": "u", "last_check_in": None})


def test_both_spellings_are_accepted() -> None:
    assert EVENTS.dump(STORED) == STORED


def test_what_is_stored_shares_nothing_with_what_was_given() -> None:
    given: dict[str, Any] = {**EVENT, "tool_input": {"a": [1]}}
    stored = EVENTS.dump(given)
    given["tool_input"]["a"].append(2)
    assert stored["toolInput"] == {"a": [1]}


def test_ids_are_stored_as_plain_text() -> None:
    stored = SESSIONS.dump({"workspace_id": Id(WORKSPACE_ID), "phase": Phase(type="x")})
    assert type(stored["workspaceId"]) is str


def test_a_document_can_be_stored_again() -> None:
    class Stored:
        def __init__(self) -> None:
            self.value = {**STORED, "tool": None, "_id": "i", "_creationTime": 1.0}
            self.encoded = b""
            self.typed: Table | None = None

    assert EVENTS.dump(EVENTS.load(Stored())) == {**STORED, "tool": None}


def test_an_id_of_another_table_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="from table `sessions`"):
        SESSIONS.dump({"workspace_id": SESSION_ID, "phase": {"type": "x"}}, ids=Tables())


def test_a_mismatch_names_table_path_and_validator() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        EVENTS.dump({**EVENT, "timestamp": "5"})
    assert caught.value.message == (
        'Failed to insert or update a document in table "events" because it does not match the '
        "schema: Value does not match validator.\n"
        "Path: .timestamp\n"
        'Value: "5"\n'
        "Validator: v.float64()"
    )


def test_a_row_of_another_table_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="whose rows are Event"):
        EVENTS.dump(UserStatus(user_id="u"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"_foo": 1}, "Field '_foo' starts with an underscore"),
        ({"_id": "x"}, "the server chooses it"),
        ({"_creationTime": 1.0}, "the server chooses it"),
        ({"nonsense": 1}, "extra field `nonsense`"),
        ({"eventId": "also"}, "extra field `event_id`"),
    ],
)
def test_fields_that_do_not_belong_there_are_refused(
    fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(SchemaMismatch, match=reason):
        EVENTS.dump({**EVENT, **fields})


def test_a_replacement_may_repeat_the_system_fields() -> None:
    stored: dict[str, Value] = {**STORED, "_id": "i", "_creationTime": 1.0}
    assert EVENTS.dump(stored, stored=stored) == STORED


@pytest.mark.parametrize(
    ("field", "reason"),
    [("_id", "Provided document ID i doesn't match"), ("_creationTime", "Provided creation time")],
)
def test_a_replacement_may_not_change_the_system_fields(field: str, reason: str) -> None:
    stored: dict[str, Value] = {**STORED, "_id": "i", "_creationTime": 1.0}
    with pytest.raises(SchemaMismatch, match=reason):
        EVENTS.dump({**stored, field: "other"}, stored=stored)


# What pydantic demands


def test_a_broken_constraint_is_told_with_path_value_and_reason() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        LIMITED.dump({"limit": 5000})
    assert caught.value.message.split("schema: ")[1] == (
        "Value does not match validator.\n"
        "Path: .limit\n"
        "Value: 5000.0\n"
        "Validator: v.float64()\n"
        "Input should be less than or equal to 10"
    )


def test_constraints_of_elements_hold() -> None:
    with pytest.raises(SchemaMismatch, match=r"Path: \.names\[1\]"):
        LIMITED.dump({"limit": 1, "names": ["abc", "abcd"]})


def test_a_wrong_type_is_told_in_the_words_of_the_protocol_even_with_constraints() -> None:
    with pytest.raises(SchemaMismatch, match=r"Path: \.limit\nValue: \"5\"\nValidator: v.float64"):
        LIMITED.dump({"limit": "5"})


def test_an_integral_float_is_fine_for_a_constrained_int() -> None:
    assert LIMITED.dump({"limit": 5.0})["limit"] == 5


def test_validators_may_change_what_is_stored() -> None:
    assert LIMITED.dump({"limit": 1, "names": ["AB"]})["names"] == ["ab"]


def test_a_before_validator_may_accept_other_types() -> None:
    moment = datetime(2026, 1, 1)
    assert LIMITED.dump({"limit": 1, "at": moment})["at"] == moment.timestamp() * 1000


def test_defaults_are_stored_and_absent_stays_absent_with_constraints_too() -> None:
    assert LIMITED.dump({"limit": 1}) == {"limit": 1, "names": [], "low": 0, "high": 9}


def test_an_updated_copy_is_validated() -> None:
    row = Limited(limit=1).model_copy(update={"limit": 11})
    with pytest.raises(SchemaMismatch, match=r"Path: \.limit"):
        LIMITED.dump(row)


def test_a_validator_of_the_whole_row_is_told_without_path() -> None:
    with pytest.raises(SchemaMismatch, match="low is above high"):
        LIMITED.dump({"limit": 1, "low": 10})


# Patches


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tool": "x"}, {**STORED, "tool": "x"}),
        ({"tool": None}, {**STORED, "tool": None}),
        ({"project_name": "q"}, {**STORED, "projectName": "q"}),
        ({"projectName": "q"}, {**STORED, "projectName": "q"}),
        ({}, STORED),
    ],
)
def test_a_patch_changes_the_given_fields(
    changes: dict[str, object], expected: dict[str, Value]
) -> None:
    assert EVENTS.patched({**STORED, "_id": "i", "_creationTime": 1.0}, changes) == expected


def test_missing_removes_a_field() -> None:
    assert EVENTS.patched({**STORED, "tool": "x"}, {"tool": MISSING}) == STORED
    assert EVENTS.dump_patch({"tool": MISSING}) == {"tool": UNDEFINED}


def test_a_required_field_cannot_be_removed() -> None:
    with pytest.raises(SchemaMismatch, match="missing the required field `eventId`"):
        EVENTS.patched(STORED, {"event_id": MISSING})


def test_a_patch_does_not_bring_defaults_back() -> None:
    assert LIMITED.patched({"limit": 1}, {"limit": 2}) == {"limit": 2}


@pytest.mark.parametrize("changes", [{"limit": 11}, {"names": ["abcd"]}, {"low": 10}])
def test_a_patch_is_validated_as_a_whole(changes: dict[str, object]) -> None:
    with pytest.raises(SchemaMismatch):
        LIMITED.patched({"limit": 1, "names": []}, changes)


def test_a_whole_value_is_checked_with_or_without_system_fields() -> None:
    EVENTS.check(STORED)
    EVENTS.check({**STORED, "_id": "i", "_creationTime": 1.0})
    with pytest.raises(SchemaMismatch):
        EVENTS.check({**STORED, "nonsense": 1})
    with pytest.raises(SchemaMismatch):
        LIMITED.check({"limit": 11})


# Declarations


def declare(name: str | None = "bad", **namespace: Any) -> type[Table]:
    annotations = {"field": str, **namespace.pop("annotations", {})}
    body = {"__annotations__": annotations, "__module__": __name__, **namespace}
    metaclass: Any = type(Table)
    return cast("type[Table]", metaclass("Bad", (Table,), body, name=name))


NOWHERE: object = Id["Nowhere"]  # type: ignore[name-defined]
BAD: list[tuple[Callable[[], type[Table]], str]] = [
    (lambda: declare(None), "it has no name"),
    (lambda: declare("_reserved"), "names that start with _ are reserved"),
    (lambda: declare("has space"), "cannot be the name of a table"),
    (lambda: declare("x" * 65), "cannot be the name of a table"),
    (lambda: declare(by_id=Index("field")), "'by_id' cannot be the name of an index"),
    (lambda: declare(by_creation_time=Index("field")), "cannot be the name of an index"),
    (lambda: declare(_hidden=Index("field")), "'_hidden' cannot be the name of an index"),
    (lambda: declare(by_x=Index("x")), "there is no field 'x'; the fields there are: field"),
    (lambda: declare(by_x=Index("field.x")), "there is no field 'x' in field"),
    (lambda: declare(by_x=Index("creation_time")), "end every index anyway"),
    (lambda: declare(by_x=Index("field", "field")), "names field twice"),
    (
        lambda: declare(
            annotations={f"f{n}": str for n in range(17)},
            by_x=Index(*(f"f{n}" for n in range(17))),
        ),
        "has 17 fields, more than 16",
    ),
    (lambda: declare("bad", **{f"by_{n}": Index("field") for n in range(65)}), "it has 65 indexes"),
    (lambda: declare(annotations={"when": datetime}), "Bad.when: the annotation datetime"),
    (lambda: declare(annotations={"größe": str}), "printable ASCII"),
    (lambda: declare(annotations={"other": NOWHERE}), "refers to no table of this app"),
]


@pytest.mark.parametrize(("model", "reason"), BAD)
def test_bad_declarations_are_refused_with_the_class(
    model: Callable[[], type[Table]], reason: str
) -> None:
    with pytest.raises(SchemaError, match=r"class .*Bad") as caught:
        Schema.build([model()], CAMEL)
    assert reason in caught.value.message


def test_a_refusal_names_file_and_line() -> None:
    class Broken(Table, name="broken"):
        when: datetime

    with pytest.raises(SchemaError, match=r"Broken \(.*test_schema\.py, line \d+\)"):
        Schema.build([Broken], CAMEL)


def test_a_field_with_a_leading_underscore_is_refused() -> None:
    class Hidden(Table, name="hidden"):
        _x: str

    with pytest.raises(SchemaError, match=r"class .*Hidden .*field _x .*rename it, such as to x"):
        Schema.build([Hidden], CAMEL)


def test_what_is_private_on_purpose_is_no_field() -> None:
    class Private(Table, name="privates"):
        _limit: ClassVar[int] = 5
        _Known = frozenset({"a"})
        _seen: list[str] = PrivateAttr(default_factory=list)

    assert "_seen" not in Schema.build([Private], CAMEL).tables["privates"].validator.fields


@pytest.mark.parametrize(
    ("annotation", "default", "reason"),
    [
        (float, "x", "has the default 'x'"),
        (float, None, r"annotate it with `... | None`"),
        (list[str], {}, "has the default {}"),
        (Annotated[int, Field(ge=1)], 0, "greater than or equal to 1"),
        (Annotated[str, Field(max_length=1)] | None, 5, "has the default 5"),
    ],
)
def test_a_default_that_does_not_fit_is_refused(
    annotation: object, default: object, reason: str
) -> None:
    def fill(body: dict[str, object]) -> None:
        body.update(__annotations__={"a": annotation}, __module__=__name__, a=default)

    table = cast("type[Table]", new_class("Bad", (Table,), {"name": "bad"}, fill))
    with pytest.raises(SchemaError) as caught:
        Schema.build([table], CAMEL)
    assert "class Bad" in caught.value.message
    assert "field a has the default" in caught.value.message
    assert reason in caught.value.message


def test_defaults_that_fit_are_accepted() -> None:
    class Fine(Table, name="fine"):
        phase: Phase = Phase(type="x")
        size: Annotated[int, Field(ge=1)] = 1
        ratio: float = 0
        block: Annotated[Int64, Field(ge=0)] = Int64(5)
        level: Literal["L1", "L2"] | None = "L1"
        owner: Id[Workspace] | None = None
        left_out: Annotated[str, Field(max_length=3)] | MISSING = MISSING
        tags: Annotated[list[str], Field(max_length=2)] = []  # noqa: RUF012  # pydantic copies it

    assert "fine" in Schema.build([Fine, Workspace, Session], CAMEL).tables


def test_one_table_cannot_be_declared_twice() -> None:
    class Again(Table, name="events"):
        pass

    with pytest.raises(SchemaError, match=r"already declared by class Event \("):
        Schema.build([Event, Again], CAMEL)


def test_the_same_class_may_be_given_twice() -> None:
    assert list(Schema.build([Event, Event], CAMEL).tables) == ["events"]


def test_fields_and_indexes_are_inherited_from_bases() -> None:
    class Timed(Table):
        at: float
        by_time = Index("at")

    class Tick(Timed, name="ticks"):
        price: float

    table: TableSchema = Schema.build([Tick], CAMEL).tables["ticks"]
    assert list(table.validator.fields) == ["at", "price"]
    assert "by_time" in table.indexes
