"""Annotations and the validators they stand for, and what is refused with which advice."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional

import pytest
from pydantic import MISSING, BaseModel, ConfigDict, Field, JsonValue, RootModel
from typing_extensions import TypeAliasType, TypedDict

from reactor.data.annotations import AnnotationReader, WireNames, field_for, validator_for
from reactor.data.tables import Id, Table
from reactor.data.validators import AnyV, ObjectV
from reactor.data.values import Int64, Value
from reactor.errors import SchemaError

CAMEL = WireNames.CAMEL_CASE


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark_blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Phase(BaseModel):
    phase_type: str
    error_message: str | None = None
    attempt: int = 1


class Block(TypedDict):
    block_kind: str
    body_text: NotRequired[str]


class Place(Table, name="places"):
    place_name: str


@dataclass
class Point:
    x: float


class Tree(BaseModel):
    children: list[Tree] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


UserName = NewType("UserName", str)
Names = TypeAliasType("Names", list[str])

SPELLED: list[tuple[object, str]] = [
    (str, "v.string()"),
    (float, "v.float64()"),
    (int, "v.float64()"),
    (bool, "v.boolean()"),
    (bytes, "v.bytes()"),
    (None, "v.null()"),
    (Int64, "v.int64()"),
    (Any, "v.any()"),
    (object, "v.any()"),
    (Value, "v.any()"),
    (JsonValue, "v.any()"),
    (str | None, "v.union(v.string(), v.null())"),
    (Optional[int], "v.union(v.float64(), v.null())"),  # noqa: UP045  # that spelling is the test
    (int | float, "v.float64()"),
    (Any | None, "v.any()"),
    (Literal["a"], 'v.literal("a")'),
    (Literal["a", 2, None], 'v.union(v.literal("a"), v.literal(2.0), v.null())'),
    (Literal["a", "b"] | None, 'v.union(v.literal("a"), v.literal("b"), v.null())'),
    (Colour, 'v.union(v.literal("red"), v.literal("dark_blue"))'),
    (Level, "v.union(v.literal(1.0), v.literal(2.0))"),
    (list, "v.array(v.any())"),
    (list[str], "v.array(v.string())"),
    (Sequence[str], "v.array(v.string())"),
    (tuple[str, ...], "v.array(v.string())"),
    (dict, "v.record(v.string(), v.any())"),
    (dict[str, int], "v.record(v.string(), v.float64())"),
    (Mapping[str, int], "v.record(v.string(), v.float64())"),
    (dict[Id[Place], int], 'v.record(v.id("places"), v.float64())'),
    (Block, "v.object({blockKind: v.string(), bodyText: v.optional(v.string())})"),
    (
        Phase,
        "v.object({attempt: v.optional(v.float64()), "
        "errorMessage: v.optional(v.union(v.string(), v.null())), phaseType: v.string()})",
    ),
    (Id[Place], 'v.id("places")'),
    (Id["Place"], 'v.id("places")'),
    (
        Place,
        'v.object({_creationTime: v.float64(), _id: v.id("places"), placeName: v.string()})',
    ),
    (UserName, "v.string()"),
    (Names, "v.array(v.string())"),
    (Annotated[int, Field(ge=1)], "v.float64()"),
]


@pytest.mark.parametrize(("annotation", "expected"), SPELLED)
def test_every_supported_annotation_has_its_validator(annotation: object, expected: str) -> None:
    assert validator_for(annotation, CAMEL).describe() == expected


NOWHERE: object = Id["Nowhere"]  # type: ignore[name-defined]
REFUSED: list[tuple[object, str]] = [
    (datetime.datetime, "milliseconds"),
    (datetime.date, "isoformat"),
    (decimal.Decimal, "str, or float"),
    (set[str], "list"),
    (tuple[str, int], "tuple[X, ...]"),
    (dict[int, str], "keys are text"),
    (Point, "a pydantic model or a TypedDict"),
    (RootModel[list[int]], "the type inside"),
    (list[str | MISSING], "whole fields only"),
    (Tree, "contains itself"),
    (Open, "extra='allow'"),
    (type, "one of str, float"),
    (Enum("Bad", {"A": (1, 2)}), "literals and enum values"),
    (NOWHERE, "no table of this app"),
]


@pytest.mark.parametrize(("annotation", "way_out"), REFUSED)
def test_other_annotations_are_refused_with_a_way_out(annotation: object, way_out: str) -> None:
    with pytest.raises(SchemaError) as caught:
        validator_for(annotation, CAMEL, where="Event.thing")
    assert way_out in caught.value.message


def test_a_refusal_names_class_field_and_annotation() -> None:
    with pytest.raises(SchemaError, match=r"Event\.at: the annotation datetime has no Convex type"):
        validator_for(datetime.datetime, CAMEL, where="Event.at")


def test_a_field_of_a_nested_model_is_named_in_a_refusal() -> None:
    class Inner(BaseModel):
        when: datetime.datetime

    with pytest.raises(SchemaError, match=r"Inner\.when"):
        validator_for(list[Inner], CAMEL)


def test_two_fields_of_one_wire_name_are_refused() -> None:
    class Clash(BaseModel):
        user_id: str
        userId: str

    with pytest.raises(SchemaError, match="both spelled 'userId'"):
        validator_for(Clash, CAMEL)


def test_an_alias_is_the_wire_name() -> None:
    class Aliased(BaseModel):
        sender: str = Field(alias="from")

    assert validator_for(Aliased, CAMEL).describe() == "v.object({from: v.string()})"


@pytest.mark.parametrize(
    ("python", "wire"),
    [
        ("event_id", "eventId"),
        ("change_24h", "change24h"),
        ("name", "name"),
        ("alreadyCamel", "alreadyCamel"),
        ("_private_name", "_privateName"),
        ("from_", "from"),
        ("a__b", "aB"),
    ],
)
def test_camel_case_names(python: str, wire: str) -> None:
    assert CAMEL.wire(python) == wire


def test_names_as_written_stay() -> None:
    assert WireNames.AS_WRITTEN.wire("wallet_address") == "wallet_address"


def test_a_name_matches_in_both_spellings() -> None:
    assert CAMEL.matches("event_id", "event_id")
    assert CAMEL.matches("eventId", "event_id")
    assert not CAMEL.matches("event_Id", "event_id")


def test_names_as_written_reach_into_nested_types() -> None:
    described = validator_for(list[Block], WireNames.AS_WRITTEN).describe()
    assert described == (
        "v.array(v.object({block_kind: v.string(), body_text: v.optional(v.string())}))"
    )


def test_a_field_with_missing_in_its_type_is_optional_and_not_null() -> None:
    field = field_for("tool", str | MISSING, CAMEL)
    assert field.optional
    assert field.validator.describe() == "v.string()"
    assert field.absent_value() is MISSING


def test_a_field_with_a_default_is_optional() -> None:
    field = field_for("limit", Annotated[int, Field(ge=1)], CAMEL, default=100)
    assert field.describe() == "v.optional(v.float64())"
    assert field.absent_value() == 100


def test_models_are_loaded_as_instances_and_dumped_as_dicts() -> None:
    validator = validator_for(list[Phase], CAMEL)
    loaded = validator.load([{"phaseType": "a", "attempt": 2.0}])
    assert loaded == [Phase(phase_type="a", attempt=2)]
    assert validator.dump(loaded) == [{"phaseType": "a", "attempt": 2}]


def test_a_default_is_read_where_a_nested_object_lacks_it() -> None:
    loaded = validator_for(list[Phase], CAMEL).load([{"phaseType": "a"}])
    assert loaded == [Phase(phase_type="a")]


def test_a_dumped_model_keeps_null_and_absent_apart() -> None:
    validator = validator_for(Phase, CAMEL)
    assert validator.dump(Phase(phase_type="a")) == {"phaseType": "a", "attempt": 1}
    assert validator.dump(Phase(phase_type="a", error_message=None)) == {
        "phaseType": "a",
        "attempt": 1,
        "errorMessage": None,
    }


def test_enum_members_are_loaded_and_dumped() -> None:
    validator = validator_for(list[Colour | None], CAMEL)
    assert repr(validator.load(["red"])) == "[<Colour.RED: 'red'>]"
    assert validator.dump([Colour.DARK_BLUE, None]) == ["dark_blue", None]


def test_an_int_literal_is_loaded_as_int() -> None:
    assert type(validator_for(Literal[1, 2], CAMEL).load(2.0)) is int


def test_a_tuple_is_loaded_as_tuple_and_dumped_as_list() -> None:
    validator = validator_for(tuple[int, ...], CAMEL)
    assert validator.load([1.0, 2.0]) == (1, 2)
    assert validator.dump((1, 2)) == [1, 2]


def test_a_union_of_models_loads_the_first_that_fits() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    assert validator_for(Cat | Dog, CAMEL).load({"kind": "dog"}) == Dog(kind="dog")


def test_models_inside_of_any_are_dumped_in_wire_names() -> None:
    validator = validator_for(Any, CAMEL)
    assert isinstance(validator, AnyV)
    assert validator.dump({"some_key": (Phase(phase_type="a"), Colour.RED)}) == {
        "some_key": [{"phaseType": "a", "attempt": 1}, "red"]
    }


def test_a_model_of_another_class_does_not_fit() -> None:
    class Longer(Phase):
        extra: str = "x"

    validator = validator_for(Phase, CAMEL)
    assert not validator.fits(validator.dump(Longer(phase_type="a")))


def test_without_construction_models_stay_dicts_by_python_names() -> None:
    validator = validator_for(list[Phase], CAMEL)
    loaded = validator.load([{"phaseType": "a", "attempt": 2.0}], construct=False)
    assert loaded == [{"phase_type": "a", "attempt": 2}]


@pytest.mark.parametrize(
    ("annotation", "constrained"),
    [
        (str, False),
        (Id[Place], False),
        (Phase, False),
        (Place, False),
        (Annotated[int, "a remark"], False),
        (Annotated[int, Field(description="a remark")], False),
        (Annotated[int, Field(ge=1)], True),
        (list[Annotated[int, Field(ge=1)]], True),
    ],
)
def test_it_is_known_whether_pydantic_demands_more_than_types(
    annotation: object, constrained: bool
) -> None:
    reader = AnnotationReader(CAMEL)
    reader.read(annotation, "")
    assert reader.constrained is constrained


def test_a_typed_dict_is_an_object() -> None:
    validator = validator_for(Block, CAMEL)
    assert isinstance(validator, ObjectV)
    assert validator.load({"blockKind": "a"}) == {"block_kind": "a"}
