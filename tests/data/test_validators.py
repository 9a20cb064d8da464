"""The validators: which values fit, what they say of others, and how values cross to Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.data.ids import InternalId, encode_id
from reactor.data.validators import (
    AnyV,
    ArrayV,
    BooleanV,
    BytesV,
    Field,
    Float64V,
    IdV,
    Int64V,
    LiteralV,
    NullV,
    ObjectV,
    RecordV,
    StringV,
    UnionV,
    Validator,
)
from reactor.data.values import Int64
from reactor.errors import ValidatorMismatch


class Tables:
    """Table 10001 is `events`, 10002 `users`, 7 a system table."""

    def table_name(self, table_number: int) -> str | None:
        return {10001: "events", 10002: "users", 7: "_storage"}.get(table_number)


EVENT_ID = encode_id(10001, InternalId(bytes(16)))
USER_ID = encode_id(10002, InternalId(bytes(16)))
SYSTEM_ID = encode_id(7, InternalId(bytes(16)))
UNKNOWN_ID = encode_id(10003, InternalId(bytes(16)))


def fields(**validators: Validator) -> dict[str, Field]:
    return {name: Field(name, validator) for name, validator in validators.items()}


PERSON = ObjectV(
    {
        "firstName": Field("first_name", StringV()),
        "age": Field("age", Float64V(True), optional=True),
    }
)

ONE_OF_EACH: list[tuple[Validator, list[object], list[object]]] = [
    (NullV(), [None], [False, 0, "", {}]),
    (Float64V(), [1, 1.5, float("nan")], [True, Int64(1), "1", None]),
    (Float64V(integral=True), [1, 1.0], [1.5, float("inf"), True, "1"]),
    (Int64V(), [Int64(1)], [1, 1.0, True]),
    (BooleanV(), [True, False], [0, 1, None]),
    (StringV(), ["", "a"], [b"a", 1, None]),
    (BytesV(), [b"", b"a"], ["a", None]),
    (AnyV(), [None, 1, {"a": [b""]}], []),
    (LiteralV("a"), ["a"], ["b", None, {}, []]),
    (LiteralV(1), [1, 1.0], [True, Int64(1), "1"]),
    (LiteralV(True), [True], [1, 1.0]),
    (LiteralV(Int64(1)), [Int64(1)], [1, 1.0]),
    (IdV("events"), [EVENT_ID], [USER_ID, SYSTEM_ID, UNKNOWN_ID, "x", "", 1]),
    (ArrayV(StringV()), [[], ["a"]], [["a", 1], "a", None, {}, ("a",)]),
    (RecordV(StringV(), Float64V()), [{}, {"a": 1.0}], [{"a": "b"}, [], None]),
    (
        PERSON,
        [{"firstName": "a"}, {"firstName": "a", "age": 1.0}],
        [{}, {"firstName": 1}, [], None],
    ),
    (UnionV((LiteralV("a"), NullV())), ["a", None], ["b", 1, []]),
    (UnionV((ArrayV(StringV()), PERSON)), [[], {"firstName": "a"}], [[1], {}]),
]


@pytest.mark.parametrize(("validator", "fitting"), [(v, fit) for v, fit, _ in ONE_OF_EACH])
def test_values_of_its_type_fit(validator: Validator, fitting: list[object]) -> None:
    for value in fitting:
        validator.check(value, "", Tables())


@pytest.mark.parametrize(("validator", "misfits"), [(v, misfit) for v, _, misfit in ONE_OF_EACH])
def test_other_values_are_refused(validator: Validator, misfits: list[object]) -> None:
    for value in misfits:
        with pytest.raises(ValidatorMismatch):
            validator.check(value, "", Tables())


def text_of(validator: Validator, value: object, path: str = "") -> str:
    with pytest.raises(ValidatorMismatch) as caught:
        validator.check(value, path, Tables())
    return caught.value.message


def test_a_missing_field_is_told_in_the_words_of_the_protocol() -> None:
    validator = ObjectV(fields(f=StringV(), a=Float64V()))
    assert text_of(validator, {"a": 1}) == (
        "Object is missing the required field `f`. Consider wrapping the field validator in "
        "`v.optional(...)` if this is expected.\n"
        "\n"
        "Object: {a: 1.0}\n"
        "Validator: v.object({a: v.float64(), f: v.string()})"
    )


def test_an_extra_field_is_told_in_the_words_of_the_protocol() -> None:
    assert text_of(ObjectV({}), {"f": 1.0}) == (
        "Object contains extra field `f` that is not in the validator.\n"
        "\n"
        "Object: {f: 1.0}\n"
        "Validator: v.object({})"
    )


def test_a_value_of_the_wrong_type_is_told_in_the_words_of_the_protocol() -> None:
    assert text_of(StringV(), 1.0) == (
        "Value does not match validator.\n\nValue: 1.0\nValidator: v.string()"
    )


def test_the_path_leads_to_the_culprit() -> None:
    validator = ObjectV(fields(a=ArrayV(RecordV(StringV(), StringV()))))
    assert text_of(validator, {"a": [{}, {"k": 1}]}) == (
        "Value does not match validator.\nPath: .a[1].k\nValue: 1.0\nValidator: v.string()"
    )


def test_the_path_continues_the_one_given() -> None:
    assert text_of(ArrayV(NullV()), [1], ".x").splitlines()[1] == "Path: .x[0]"


def test_another_literal_is_told_on_one_line() -> None:
    assert text_of(LiteralV("y"), "x") == (
        '`"x"` does not match literal validator `v.literal("y")`.'
    )


def test_the_path_follows_a_one_line_text_without_separator() -> None:
    assert text_of(ObjectV(fields(a=ArrayV(LiteralV("y")))), {"a": ["x"]}) == (
        '`"x"` does not match literal validator `v.literal("y")`.Path: .a[0]'
    )


def test_an_id_of_another_table_names_both_tables() -> None:
    assert text_of(IdV("events"), USER_ID) == (
        f'Found ID "{USER_ID}" from table `users`, which does not match the table name in '
        'validator `v.id("events")`.'
    )


def test_an_id_of_a_system_table_is_told_as_such() -> None:
    assert text_of(ObjectV(fields(a=IdV("events"))), {"a": SYSTEM_ID}) == (
        f'Found ID "{SYSTEM_ID}" from a system table, which does not match the table name in '
        'validator `v.id("events")`.Path: .a'
    )


@pytest.mark.parametrize("value", ["nonsense", UNKNOWN_ID])
def test_text_that_is_no_id_of_any_table_gets_the_generic_text(value: str) -> None:
    assert text_of(IdV("events"), value) == (
        f'Value does not match validator.\n\nValue: "{value}"\nValidator: v.id("events")'
    )


def test_without_a_resolver_an_id_of_any_table_fits() -> None:
    IdV("events").check(USER_ID)


def test_a_union_reports_itself() -> None:
    assert text_of(UnionV((LiteralV("a"), PERSON)), {"firstName": 1}) == (
        "Value does not match validator.\n\nValue: {firstName: 1.0}\n"
        'Validator: v.union(v.literal("a"), '
        "v.object({age: v.optional(v.float64()), firstName: v.string()}))"
    )


def test_a_fraction_where_an_int_is_declared_gets_a_reason() -> None:
    assert text_of(Float64V(integral=True), 1.5).splitlines()[-1] == (
        "Input should be an integer, without a fraction"
    )


def test_every_validator_describes_itself() -> None:
    nested = ObjectV(
        fields(
            a=ArrayV(BytesV()),
            b=RecordV(StringV(), AnyV()),
            c=UnionV((Int64V(), NullV(), BooleanV())),
            d=IdV("t"),
            e=LiteralV(2),
        )
    )
    assert nested.describe() == (
        "v.object({a: v.array(v.bytes()), b: v.record(v.string(), v.any()), "
        'c: v.union(v.int64(), v.null(), v.boolean()), d: v.id("t"), e: v.literal(2.0)})'
    )


JSON: list[tuple[Validator, object]] = [
    (NullV(), {"type": "null"}),
    (Float64V(True), {"type": "number"}),
    (Int64V(), {"type": "bigint"}),
    (BooleanV(), {"type": "boolean"}),
    (StringV(), {"type": "string"}),
    (BytesV(), {"type": "bytes"}),
    (AnyV(), {"type": "any"}),
    (LiteralV("a"), {"type": "literal", "value": "a"}),
    (LiteralV(Int64(1)), {"type": "literal", "value": {"$integer": "AQAAAAAAAAA="}}),
    (IdV("t"), {"type": "id", "tableName": "t"}),
    (ArrayV(NullV()), {"type": "array", "value": {"type": "null"}}),
    (
        RecordV(StringV(), NullV()),
        {
            "type": "record",
            "keys": {"type": "string"},
            "values": {"fieldType": {"type": "null"}, "optional": False},
        },
    ),
    (
        ObjectV({"f": Field("f", NullV(), optional=True)}),
        {"type": "object", "value": {"f": {"fieldType": {"type": "null"}, "optional": True}}},
    ),
    (UnionV((NullV(),)), {"type": "union", "value": [{"type": "null"}]}),
]


@pytest.mark.parametrize(("validator", "expected"), JSON)
def test_the_json_of_a_validator_is_the_protocols(validator: Validator, expected: object) -> None:
    assert validator.to_json() == expected


def test_loading_uses_python_names_and_dumping_wire_names() -> None:
    loaded = PERSON.load({"firstName": "a", "age": 3.0})
    assert loaded == {"first_name": "a", "age": 3}
    assert PERSON.dump(loaded) == {"firstName": "a", "age": 3}


def test_an_int_is_loaded_where_an_int_is_declared() -> None:
    assert type(Float64V(integral=True).load(3.0)) is int
    assert type(Float64V().load(3.0)) is float


def test_floats_that_are_no_longer_exact_are_not_made_ints() -> None:
    assert type(Float64V(integral=True).load(2.0**60)) is float


def test_a_union_loads_as_the_first_member_that_fits() -> None:
    other = ObjectV({"lastName": Field("last_name", StringV())})
    union = UnionV((PERSON, other, ArrayV(PERSON)))
    assert union.load({"lastName": "b"}) == {"last_name": "b"}
    assert union.load([{"firstName": "a"}]) == [{"first_name": "a"}]


def test_what_fits_no_member_of_a_union_is_loaded_as_it_is() -> None:
    assert UnionV((PERSON, ArrayV(PERSON))).load({"x": 1}) == {"x": 1}


def test_keys_of_records_and_contents_of_any_are_never_renamed() -> None:
    validator = ObjectV(
        {"aRecord": Field("a_record", RecordV(StringV(), AnyV())), "anAny": Field("an_any", AnyV())}
    )
    value = {"a_record": {"some_key": {"in_any": 1}}, "an_any": {"in_any": 1}}
    assert validator.dump(value) == {
        "aRecord": {"some_key": {"in_any": 1}},
        "anAny": {"in_any": 1},
    }


def test_lenient_names_accept_both_spellings() -> None:
    validator = ArrayV(PERSON)
    validator.check([{"first_name": "a"}, {"firstName": "b"}], lenient_names=True)
    with pytest.raises(ValidatorMismatch):
        validator.check([{"first_name": "a"}])


def test_one_field_in_both_spellings_is_an_extra_field() -> None:
    with pytest.raises(ValidatorMismatch, match="extra field `first_name`"):
        PERSON.check({"first_name": "a", "firstName": "b"}, lenient_names=True)


def test_a_place_in_python_names_is_found_in_wire_names() -> None:
    validator = ObjectV({"thePeople": Field("the_people", UnionV((ArrayV(PERSON), NullV())))})
    node, path = validator.locate(("the_people", "list[Person]", 2, "first_name"))
    assert (node, path) == (StringV(), ".thePeople[2].firstName")


VALIDATORS = st.sampled_from([validator for validator, _, _ in ONE_OF_EACH])

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b_c"]), inner, max_size=2)
    ),
    max_leaves=8,
)


def containers(value: object) -> set[int]:
    """The identities of all containers in `value`."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {id(value)} if isinstance(value, (dict, list)) else set()
    return own.union(*map(containers, inner))


@given(values)
def test_loading_and_dumping_any_value_gives_an_equal_copy(value: object) -> None:
    for crossed in (AnyV().load(value), AnyV().dump(value)):
        assert crossed == value
        assert not containers(crossed) & containers(value)


@given(values, VALIDATORS)
def test_loading_and_dumping_never_fail_and_never_share(
    value: object, validator: Validator
) -> None:
    for crossed in (validator.load(value), validator.dump(value)):
        assert not containers(crossed) & containers(value)


@given(values, VALIDATORS)
def test_what_fits_survives_the_way_to_python_and_back(value: object, validator: Validator) -> None:
    if validator.fits(value):
        assert validator.dump(validator.load(value)) == value
