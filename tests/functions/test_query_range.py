"""Index ranges: what is accepted, which keys it covers, and the text of every refusal."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import MISSING

from reactor.data.ids import InternalId, encode_id
from reactor.data.index_keys import index_key
from reactor.data.keys import encode_key
from reactor.data.values import Int64, Value
from reactor.errors import InvalidValue, QueryMisuse
from reactor.functions.query_range import IndexRange, Operator

FIELDS = ("projectName", "timestamp", "kind")
SPELLINGS = {"project_name": "projectName", "timestamp": "timestamp", "kind": "kind"}
RANGE = IndexRange("events", "by_project", FIELDS, SPELLINGS)
DOCUMENT_ID = InternalId(bytes(range(16)))


def key(**fields: Value) -> bytes:
    return index_key(FIELDS, fields, 7.0, DOCUMENT_ID)


def refusal(*steps: tuple[Operator, dict[str, object]], of: IndexRange = RANGE) -> QueryMisuse:
    with pytest.raises(QueryMisuse) as caught:
        for operator, bounds in steps:
            of = of.bounded(operator, bounds)
        of.key_range()
    return caught.value


def test_no_bounds_cover_every_key() -> None:
    within = RANGE.key_range()
    assert within.contains(key()) and within.contains(key(projectName={"z": 1}))


def test_equality_covers_exactly_the_keys_with_that_prefix() -> None:
    within = RANGE.bounded("eq", {"project_name": "p"}).key_range()
    assert within.contains(key(projectName="p", timestamp=1))
    assert not within.contains(key(projectName="pp")) and not within.contains(key())


def test_equalities_may_be_given_in_any_textual_order() -> None:
    one = RANGE.bounded("eq", {"timestamp": 1}).bounded("eq", {"project_name": "p"})
    other = RANGE.bounded("eq", {"project_name": "p", "timestamp": 1})
    assert one.key_range() == other.key_range()


def test_a_bound_may_be_written_before_its_equality() -> None:
    one = RANGE.bounded("gt", {"timestamp": 1}).bounded("eq", {"project_name": "p"})
    other = RANGE.bounded("eq", {"project_name": "p"}).bounded("gt", {"timestamp": 1})
    assert one.key_range() == other.key_range()


def test_python_and_wire_spellings_name_the_same_field() -> None:
    snake = RANGE.bounded("eq", {"project_name": "p"})
    assert snake.key_range() == RANGE.bounded("eq", {"projectName": "p"}).key_range()


def test_the_creation_time_follows_the_declared_fields() -> None:
    within = (
        RANGE.bounded("eq", {"project_name": "p", "timestamp": 1, "kind": "k"})
        .bounded("gte", {"creation_time": 7.0})
        .key_range()
    )
    assert within.contains(key(projectName="p", timestamp=1, kind="k"))


def test_missing_means_documents_without_the_field() -> None:
    within = RANGE.bounded("eq", {"project_name": MISSING}).key_range()
    assert within.contains(key()) and not within.contains(key(projectName=None))


def test_none_means_documents_with_an_explicit_null() -> None:
    within = RANGE.bounded("eq", {"project_name": None}).key_range()
    assert within.contains(key(projectName=None)) and not within.contains(key())


def test_an_upper_bound_alone_includes_the_smaller_types() -> None:
    within = RANGE.bounded("lt", {"project_name": "b"}).key_range()
    assert all(within.contains(key(projectName=v)) for v in (None, Int64(9), 9, True, "a"))
    assert within.contains(key()) and not within.contains(key(projectName="b"))


def test_bounds_that_exclude_each_other_make_an_empty_range() -> None:
    within = RANGE.bounded("gt", {"project_name": "b"}).bounded("lt", {"project_name": "a"})
    assert within.key_range().is_empty


SCALARS = st.sampled_from([None, Int64(1), Int64(2), -1, 0, 1.5, True, "", "a", "ab", b"", b"x"])
ORDER = [None, Int64(1), Int64(2), -1, 0, 1.5, True, "", "a", "ab", b"", b"x"]


@given(SCALARS, SCALARS, st.sampled_from(["gt", "gte", "lt", "lte"]))
def test_a_bound_covers_the_values_on_its_side(
    value: Value, bound: Value, operator: Operator
) -> None:
    within = RANGE.bounded(operator, {"project_name": bound}).key_range()
    here, there = (
        next(i for i, v in enumerate(ORDER) if type(v) is type(x) and v == x)
        for x in (value, bound)
    )
    expected = {"gt": here > there, "gte": here >= there, "lt": here < there, "lte": here <= there}
    assert within.contains(key(projectName=value, timestamp=3)) == expected[operator]


def test_by_id_takes_the_text_of_an_id() -> None:
    by_id = IndexRange("events", "by_id", (), {})
    within = by_id.bounded("eq", {"id": encode_id(10_001, DOCUMENT_ID)}).key_range()
    other = InternalId(bytes(reversed(range(16))))
    assert within.contains(encode_key([DOCUMENT_ID])) and not within.contains(encode_key([other]))


# -- refusals ------------------------------------------------------------------------------------


def test_a_second_equality_on_a_field_is_refused() -> None:
    error = refusal(("eq", {"kind": 1}), ("eq", {"kind": 1}))
    assert error.short_code == "AlreadyDefinedBound"
    assert error.message == (
        'Already defined equality bound in index range. Can\'t add "kind" == 1.0.'
    )


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("gt", "gte", 'Already defined lower bound in index range. Can\'t add "kind" >= "x".'),
        ("gte", "gt", 'Already defined lower bound in index range. Can\'t add "kind" > "x".'),
        ("lt", "lte", 'Already defined upper bound in index range. Can\'t add "kind" <= "x".'),
        ("lte", "lt", 'Already defined upper bound in index range. Can\'t add "kind" < "x".'),
        ("gt", "eq", 'Already defined inequality bound in index range. Can\'t add "kind" == "x".'),
        ("lt", "eq", 'Already defined inequality bound in index range. Can\'t add "kind" == "x".'),
        ("eq", "gt", 'Already defined equality bound in index range. Can\'t add "kind" > "x".'),
        ("eq", "lte", 'Already defined equality bound in index range. Can\'t add "kind" <= "x".'),
    ],
)
def test_two_bounds_of_a_kind_on_one_field_are_refused(
    first: Operator, second: Operator, text: str
) -> None:
    error = refusal((first, {"kind": "a"}), (second, {"kind": "x"}))
    assert (error.short_code, error.message) == ("AlreadyDefinedBound", text)


def test_a_refused_bound_on_an_absent_field_is_shown_as_undefined() -> None:
    error = refusal(("eq", {"kind": 1}), ("eq", {"kind": MISSING}))
    assert error.message.endswith('Can\'t add "kind" == undefined.')


def test_bounds_on_two_fields_are_refused_with_both() -> None:
    error = refusal(("gt", {"project_name": "a"}), ("lt", {"timestamp": 5}))
    assert error.short_code == "BoundsOnMultipleFields"
    assert error.message == (
        "Upper and lower bounds in `range` can only be applied to a single index field. This query "
        "against index events.by_project attempted to set a range bound on both "
        '"projectName" and "timestamp". Consider using `filter` instead. '
        "For more information see docs/queries.md."
    )


def test_a_field_that_the_index_lacks_is_refused_with_its_fields() -> None:
    error = refusal(("eq", {"tool": "x"}))
    assert error.short_code == "FieldNotInIndex"
    assert error.message == (
        'The index range included a comparison with "tool", but events.by_project with fields '
        '["projectName", "timestamp", "kind", "_creationTime"] doesn\'t index this field. '
        "For more information see docs/queries.md."
    )


def out_of_order(used: str, wrong: str) -> str:
    return (
        "Tried to query index events.by_project but the query didn't use the index fields in "
        'order.\nIndex fields: ["projectName", "timestamp", "kind", "_creationTime"]\n'
        f'Query fields: {used}\nFirst incorrect field: "{wrong}"\n'
        "For more information see docs/queries.md."
    )


def test_skipping_the_first_field_is_refused() -> None:
    error = refusal(("eq", {"timestamp": 1}))
    assert error.short_code == "InvalidIndexRange"
    assert error.message == out_of_order('["timestamp"]', "timestamp")


def test_a_gap_between_equalities_is_refused() -> None:
    error = refusal(("eq", {"project_name": "p", "kind": 1}))
    assert error.message == out_of_order('["projectName", "kind"]', "kind")


def test_a_bound_that_leaves_a_gap_is_refused() -> None:
    error = refusal(("eq", {"project_name": "p"}), ("gt", {"kind": 1}))
    assert error.message == out_of_order('["projectName", "kind"]', "kind")


def test_a_bound_before_an_equality_of_a_later_field_is_refused() -> None:
    error = refusal(("eq", {"timestamp": 1}), ("gt", {"project_name": "a"}))
    assert error.message == out_of_order('["timestamp", "projectName"]', "timestamp")


@given(
    st.lists(st.sampled_from([*FIELDS, "_creationTime"]), max_size=4, unique=True),
    st.one_of(st.none(), st.sampled_from([*FIELDS, "_creationTime"])),
)
def test_a_range_is_accepted_exactly_if_it_uses_a_prefix_in_order(
    equal: list[str], bounded: str | None
) -> None:
    ordered = [*FIELDS, "_creationTime"]
    if bounded in equal:
        bounded = None
    legal = set(equal) == set(ordered[: len(equal)]) and (
        bounded is None or ordered[len(equal)] == bounded
    )
    index_range = RANGE.bounded("eq", dict.fromkeys(equal, 1.0))
    if bounded is not None:
        index_range = index_range.bounded("lt", {bounded: 1.0})
    try:
        index_range.key_range()
    except QueryMisuse as error:
        assert not legal and error.short_code == "InvalidIndexRange"
    else:
        assert legal


def test_text_that_is_no_id_is_refused_in_by_id() -> None:
    error = refusal(("eq", {"id": "nope"}), of=IndexRange("events", "by_id", (), {}))
    assert error.message.startswith("events.by_id compares document ids, and 'nope' is none: ")


def test_a_value_that_is_no_convex_value_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidValue, match=r"\.kind"):
        RANGE.bounded("eq", {"kind": cast(Any, object())})
