"""Arguments and results: what a signature accepts, how it binds, what it sends back."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict, Unpack

import pytest
from pydantic import MISSING, AfterValidator, BaseModel, Field

from reactor.data import wire
from reactor.data.ids import InternalId, encode_id
from reactor.data.schema import Schema
from reactor.data.tables import Id, Table
from reactor.data.values import Int64, Value
from reactor.data.wire_names import WireNames
from reactor.errors import (
    ArgumentMismatch,
    InvalidValue,
    LoadError,
    Problem,
    ReturnMismatch,
    SchemaError,
)
from reactor.functions.arguments import Signature


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Event(Table, name="events"):
    project_name: str
    timestamp: float
    tool: str | None = None


class Note(Table, name="notes"):
    text: str
    labels: list[str]


class Point(BaseModel):
    x_pos: float
    y_pos: Annotated[float, Field(le=10)] = 0.0


class EventInput(TypedDict):
    session_id: str
    tool_input: NotRequired[Any]


EVENT_ID = encode_id(10_001, InternalId(bytes(16)))
NOTE_ID = encode_id(10_002, InternalId(bytes(16)))
SCHEMA = Schema.build([Event, Note], WireNames.CAMEL_CASE)


@dataclass
class Stored:
    """A document as the engine keeps it."""

    value: dict[str, Value]
    encoded: bytes = b""
    typed: Table | None = field(default=None)

    def __post_init__(self) -> None:
        self.encoded = wire.encode(self.value)


def event(**fields: Value) -> Any:
    value: dict[str, Value] = {
        "_id": EVENT_ID,
        "_creationTime": 1.0,
        "projectName": "p",
        "timestamp": 5.0,
        **fields,
    }
    return SCHEMA.tables["events"].load(Stored(value))


def note(*labels: Value) -> Any:
    value: dict[str, Value] = {
        "_id": NOTE_ID,
        "_creationTime": 1.0,
        "text": "t",
        "labels": list(labels),
    }
    return SCHEMA.tables["notes"].load(Stored(value))


def signature(handler: Callable[..., object], names: WireNames = WireNames.CAMEL_CASE) -> Signature:
    return Signature.of(handler, names)


def list_events(
    ctx: object,
    project_name: str | None = None,
    limit: Annotated[int, Field(ge=1, le=1000)] = 100,
) -> list[Event]:
    return []


LIST_EVENTS = signature(list_events)


def mismatch(of: Signature, args: dict[str, Value]) -> str:
    with pytest.raises(ArgumentMismatch) as caught:
        of.bind(args)
    return caught.value.message


# -- binding


def test_absent_arguments_are_left_to_the_python_defaults() -> None:
    assert LIST_EVENTS.bind({}) == {}


@pytest.mark.parametrize("spelling", ["project_name", "projectName"])
def test_both_spellings_of_a_name_are_accepted(spelling: str) -> None:
    assert LIST_EVENTS.bind({spelling: "p"}) == {"project_name": "p"}


def test_both_spellings_at_once_are_an_error() -> None:
    message = mismatch(LIST_EVENTS, {"project_name": "p", "projectName": "q"})
    assert message.startswith(
        "ArgumentValidationError: Object contains extra field `project_name` that is not in the "
        "validator."
    )


def test_an_integral_float_is_an_int() -> None:
    bound = LIST_EVENTS.bind({"limit": 5.0})
    assert bound == {"limit": 5} and type(bound["limit"]) is int


def test_an_int_is_a_float_where_one_is_declared() -> None:
    def at(ctx: object, time: float) -> None: ...

    assert signature(at).bind({"time": 5}) == {"time": 5.0}


@pytest.mark.parametrize("wrong", ["5", True, None, [5.0], 5.5])
def test_nothing_else_is_converted(wrong: Value) -> None:
    assert "Path: .limit\nValue: " in mismatch(LIST_EVENTS, {"limit": wrong})


def test_null_is_allowed_only_where_it_is_annotated() -> None:
    assert LIST_EVENTS.bind({"projectName": None}) == {"project_name": None}
    assert mismatch(LIST_EVENTS, {"limit": None}) == (
        "ArgumentValidationError: Value does not match validator.\n"
        "Path: .limit\n"
        "Value: null\n"
        "Validator: v.float64()"
    )


def test_an_extra_argument_is_reported_in_the_protocols_words() -> None:
    assert mismatch(LIST_EVENTS, {"lim": 5.0}) == (
        "ArgumentValidationError: Object contains extra field `lim` that is not in the validator.\n"
        "\n"
        "Object: {lim: 5.0}\n"
        "Validator: v.object({limit: v.optional(v.float64()), "
        "projectName: v.optional(v.union(v.string(), v.null()))})"
    )


def test_a_missing_argument_is_reported_in_the_protocols_words() -> None:
    def greet(ctx: object, first_name: str) -> None: ...

    assert mismatch(signature(greet), {}) == (
        "ArgumentValidationError: Object is missing the required field `firstName`. Consider "
        "wrapping the field validator in `v.optional(...)` if this is expected.\n"
        "\n"
        "Object: {}\n"
        "Validator: v.object({firstName: v.string()})"
    )


def test_a_broken_constraint_names_path_value_and_reason() -> None:
    assert mismatch(LIST_EVENTS, {"limit": 5000.0}) == (
        "ArgumentValidationError: Value does not match validator.\n"
        "Path: .limit\n"
        "Value: 5000.0\n"
        "Validator: v.float64()\n"
        "Input should be less than or equal to 1000"
    )


def test_names_as_written_stay_so() -> None:
    as_written = signature(list_events, WireNames.AS_WRITTEN)
    assert as_written.bind({"project_name": "p"}) == {"project_name": "p"}
    assert as_written.bind({"projectName": "p"}) == {"project_name": "p"}
    assert "project_name" in as_written.validator.fields


def test_missing_is_an_argument_that_may_be_absent_but_not_null() -> None:
    def update(ctx: object, text: str | MISSING = MISSING) -> None: ...

    assert signature(update).bind({}) == {}
    assert signature(update).bind({"text": "a"}) == {"text": "a"}
    assert "Value: null" in mismatch(signature(update), {"text": None})


def test_missing_without_a_default_is_passed_when_absent() -> None:
    def update(ctx: object, text: str | MISSING) -> None: ...

    assert signature(update).bind({}) == {"text": MISSING}


def test_unpacked_keywords_are_arguments() -> None:
    def store(ctx: object, kind: str, **event: Unpack[EventInput]) -> None: ...

    of = signature(store)
    assert of.bind({"kind": "a", "sessionId": "s", "toolInput": {"a_b": 1.0}}) == {
        "kind": "a",
        "session_id": "s",
        "tool_input": {"a_b": 1.0},
    }
    assert "missing the required field `sessionId`" in mismatch(of, {"kind": "a"})
    assert "extra field `other`" in mismatch(of, {"kind": "a", "sessionId": "s", "other": 1.0})


def test_models_are_constructed_and_their_constraints_checked() -> None:
    def move(ctx: object, to: Point) -> None: ...

    of = signature(move)
    assert of.bind({"to": {"xPos": 1.0}}) == {"to": Point(x_pos=1.0)}
    assert of.bind({"to": {"x_pos": 1.0, "y_pos": 2}}) == {"to": Point(x_pos=1.0, y_pos=2)}
    assert mismatch(of, {"to": {"xPos": 1.0, "yPos": 11.0}}) == (
        "ArgumentValidationError: Value does not match validator.\n"
        "Path: .to.yPos\n"
        "Value: 11.0\n"
        "Validator: v.float64()\n"
        "Input should be less than or equal to 10"
    )


def test_constraints_inside_containers_are_checked() -> None:
    def add(ctx: object, words: list[Annotated[str, Field(min_length=2)]]) -> None: ...

    assert signature(add).bind({"words": ["ab"]}) == {"words": ["ab"]}
    assert 'Path: .words[1]\nValue: "b"' in mismatch(signature(add), {"words": ["ab", "b"]})


def test_validators_of_the_application_may_convert() -> None:
    def shout(ctx: object, text: Annotated[str, AfterValidator(str.upper)]) -> None: ...

    assert signature(shout).bind({"text": "hi"}) == {"text": "HI"}


def test_every_kind_of_annotation_binds() -> None:
    def everything(  # type: ignore[no-untyped-def]
        ctx: object,
        big: Int64,
        raw: bytes,
        flag: bool,
        kind: Literal["a", "b"],
        colour: Colour,
        pairs: tuple[float, ...],
        by_name: dict[str, float],
        anything: Any,
        untyped,
        limit: Annotated[int, Field(gt=0)] = 1,
    ) -> None: ...

    bound = signature(everything).bind(
        {
            "big": Int64(5),
            "raw": b"x",
            "flag": True,
            "kind": "a",
            "colour": "red",
            "pairs": [1.0, 2.0],
            "byName": {"a_b": 1.0},
            "anything": [None],
            "untyped": "u",
            "limit": 3.0,
        }
    )
    assert bound == {
        "big": Int64(5),
        "raw": b"x",
        "flag": True,
        "kind": "a",
        "colour": Colour.RED,
        "pairs": (1.0, 2.0),
        "by_name": {"a_b": 1.0},
        "anything": [None],
        "untyped": "u",
        "limit": 3,
    }
    assert type(bound["big"]) is Int64


def test_bound_values_share_nothing_with_the_arguments() -> None:
    def keep(ctx: object, items: Any) -> None: ...

    args: dict[str, Value] = {"items": [1.0]}
    bound = signature(keep).bind(args)
    assert bound["items"] is not args["items"]


def test_ids_are_checked_against_their_table() -> None:
    def get(ctx: object, event_id: Id[Event]) -> None: ...

    assert 'Validator: v.id("events")' in mismatch(signature(get), {"eventId": "nonsense"})


def test_the_context_may_be_positional_only() -> None:
    def f(ctx: object, /, ctx_name: str) -> None: ...

    assert signature(f).bind({"ctxName": "a"}) == {"ctx_name": "a"}


def test_annotations_of_the_context_are_never_evaluated() -> None:
    def f(ctx: "OnlyForTypeCheckers", n: "float") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert signature(f).bind({"n": 1.0}) == {"n": 1.0}


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: None, "has no parameter for the context"),
        (lambda *ctx: None, "has no parameter for the context"),
        (lambda ctx, *rest: None, "`*rest`"),
        (lambda ctx, **rest: None, "`**rest`"),
        (lambda ctx, a, /: None, "`a` is positional-only"),
        (lambda ctx, a_b=1, aB=2: None, "`a_b` and `aB`"),
    ],
)
def test_parameters_that_cannot_be_named_are_refused(
    function: Callable[..., object], reason: str
) -> None:
    with pytest.raises(LoadError) as caught:
        signature(function)
    assert reason in caught.value.message


def test_an_unsupported_annotation_names_function_and_parameter() -> None:
    def late(ctx: object, when: datetime) -> None: ...

    with pytest.raises(SchemaError, match=r"late.*when"):
        signature(late)


def test_an_http_action_takes_exactly_context_and_request() -> None:
    async def good(ctx: object, request: object) -> object: ...
    async def bad(ctx: object) -> object: ...

    assert Signature.of_http_action(good).bind({}) == {}
    with pytest.raises(LoadError, match="takes exactly the context and the request"):
        Signature.of_http_action(bad)


# -- results


def encoded(handler: Callable[..., object], result: object) -> Any:
    return json.loads(signature(handler).encode_result(result))


def anything(ctx: object):  # type: ignore[no-untyped-def]
    return None


def test_without_an_annotation_any_value_is_a_result() -> None:
    assert encoded(anything, None) is None
    assert encoded(anything, {"a": (1, [b"x"], {"b": Int64(1)}), "c": Colour.BLUE}) == {
        "a": [1, [{"$bytes": "eA=="}], {"b": {"$integer": "AQAAAAAAAAA="}}],
        "c": "blue",
    }


def test_missing_fields_are_left_out() -> None:
    assert encoded(anything, {"a": 1, "b": MISSING}) == {"a": 1}


def test_models_are_sent_in_wire_names() -> None:
    assert encoded(anything, [Point(x_pos=1.0)]) == [{"xPos": 1.0, "yPos": 0.0}]


def test_documents_are_sent_as_they_are_stored() -> None:
    assert encoded(anything, {"page": [event()]}) == {
        "page": [{"_id": EVENT_ID, "_creationTime": 1.0, "projectName": "p", "timestamp": 5.0}]
    }


def test_untouched_documents_are_spliced() -> None:
    row = note("a")
    row_source = signature(anything).encode_result(row)
    assert row_source == wire.encode(
        {"_id": NOTE_ID, "_creationTime": 1.0, "text": "t", "labels": ["a"]}
    )


@pytest.mark.parametrize("declared", [True, False])
def test_touched_documents_are_sent_as_they_are_now(declared: bool) -> None:
    def get(ctx: object) -> Note:
        raise NotImplementedError

    row = note("a")
    row.labels.append("b")
    sent = encoded(get if declared else anything, row)
    assert sent == {"_id": NOTE_ID, "_creationTime": 1.0, "text": "t", "labels": ["a", "b"]}


@pytest.mark.parametrize(
    ("result", "named"),
    [
        ({"when": datetime(2026, 1, 1)}, "datetime"),
        ([{"a": {1, 2}}], "set"),
        ({5: 1}, "key"),
        (2**60, "Int64"),
        (lambda: None, "function"),
    ],
)
def test_what_cannot_be_sent_is_named(result: object, named: str) -> None:
    with pytest.raises(Problem) as caught:
        signature(anything).encode_result(result)
    assert named in caught.value.message


def test_the_error_has_the_path_of_what_cannot_be_sent() -> None:
    with pytest.raises(InvalidValue) as caught:
        signature(anything).encode_result([{"a": {1, 2}}])
    assert caught.value.path == "[0].a"


def test_a_declared_result_is_checked() -> None:
    def count(ctx: object) -> int:
        return 0

    assert signature(count).encode_result(5) == b"5"
    with pytest.raises(ReturnMismatch) as caught:
        signature(count).encode_result("5")
    assert caught.value.message == (
        'ReturnsValidationError: Value does not match validator.\n\nValue: "5"\n'
        "Validator: v.float64()"
    )


def test_declared_documents_are_spliced_and_optional_ones_null() -> None:
    def first(ctx: object) -> Event | None:
        return None

    of = signature(first)
    assert of.encode_result(None) == b"null"
    assert json.loads(of.encode_result(event()))["projectName"] == "p"


def test_a_document_of_another_table_is_refused() -> None:
    with pytest.raises(ReturnMismatch, match="required field `projectName`"):
        signature(list_events).encode_result([note("a")])


def test_a_declared_none_sends_null() -> None:
    def nothing(ctx: object) -> None: ...

    assert signature(nothing).encode_result(None) == b"null"
    with pytest.raises(ReturnMismatch):
        signature(nothing).encode_result(1)


def test_a_declared_id_is_checked() -> None:
    def insert(ctx: object) -> Id[Event]:
        raise NotImplementedError

    with pytest.raises(ReturnMismatch, match="ReturnsValidationError"):
        signature(insert).encode_result("no id")


def test_typed_dicts_are_sent_in_wire_names() -> None:
    class Page(TypedDict):
        rows_found: list[Event]
        is_done: bool

    def page(ctx: object) -> Page:
        raise NotImplementedError

    sent = encoded(page, {"rows_found": [event()], "is_done": True})
    assert set(sent) == {"rowsFound", "isDone"}
    assert sent["rowsFound"][0]["timestamp"] == 5.0


def test_an_absent_field_of_a_document_stays_absent() -> None:
    assert "tool" not in encoded(list_events, [event()])[0]
    assert encoded(list_events, [event(tool=None)])[0]["tool"] is None
