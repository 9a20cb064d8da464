"""`ctx.db.query(Table)`: what each chain reads, in which order, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reactor.application import Application
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

APP = """
class Item(Table, name="items"):
    shelf: str
    size: float | None = None
    by_shelf = Index("shelf", "size")
    by_size = Index("size")

class Empty(Table, name="nothing_here"):
    a: str

@mutation
def fill(ctx: MutationCtx) -> None:
    for shelf, size in [("b", 2), ("a", 3), ("a", 1), ("b", None), ("a", 2)]:
        ctx.db.insert(Item, {"shelf": shelf, "size": size})

@query
def ask(ctx: QueryCtx, code: str) -> Any:
    rows = ctx.db.query(Item)
    def show(found):
        return [f"{row.shelf}{row.size if row.size is None else int(row.size)}" for row in found]
    scope = {"ctx": ctx, "rows": rows, "show": show, "Item": Item, "Empty": Empty}
    return eval(code, scope)

@mutation
def write_while_reading(ctx: MutationCtx) -> Any:
    seen = 0
    for row in ctx.db.query(Item):
        seen += 1
        ctx.db.insert(Item, shelf="z", size=row.size)
    return [seen, ctx.db.query(Item).count()]
"""


@asynccontextmanager
async def filled() -> AsyncIterator[Application]:
    async with running(APP) as app:
        await app.mutation("app:fill")
        yield app


def ask(code: str) -> Any:
    async def main() -> Any:
        async with filled() as app:
            outcome = await app.run_query("app:ask", {"code": code}, Identity.ANONYMOUS)
            return value_of(outcome) if outcome.error is None else text_of(outcome)

    return run(main())


ALL = ["b2", "a3", "a1", "bNone", "a2"]


def test_a_query_reads_all_documents_oldest_first() -> None:
    assert ask("show(rows)") == ALL


def test_desc_reverses_the_whole_order() -> None:
    assert ask("show(rows.order('desc'))") == ALL[::-1]


def test_an_index_orders_by_its_fields() -> None:
    assert ask("show(rows.with_index('by_shelf'))") == ["a1", "a2", "a3", "bNone", "b2"]


def test_desc_through_an_index_reverses_the_tie_break_too() -> None:
    assert ask("show(rows.with_index('by_size').order('desc'))") == [
        "a3",
        "a2",
        "b2",
        "a1",
        "bNone",
    ]


def test_equality_and_bounds_select_a_range() -> None:
    assert ask("show(rows.with_index('by_shelf').eq(shelf='a').gt(size=1).lte(size=2))") == ["a2"]


def test_the_built_in_index_by_creation_time_takes_bounds() -> None:
    code = (
        "show(rows.with_index('by_creation_time').gt(creation_time=rows.take(2)[1].creation_time))"
    )
    assert ask(code) == ALL[2:]


def test_the_built_in_index_by_id_finds_one_document() -> None:
    assert ask("show(rows.with_index('by_id').eq(id=rows.take(2)[1].id))") == ["a3"]


def test_a_chain_is_immutable() -> None:
    code = "[show(rows.with_index('by_shelf').eq(shelf='b')), show(rows)]"
    assert ask(code) == [["bNone", "b2"], ALL]


def test_a_kept_query_can_be_read_again() -> None:
    assert ask("[show(rows), show(rows)]") == [ALL, ALL]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, ALL[:2]), (99, ALL)])
def test_take_gives_up_to_that_many(count: int, expected: list[str]) -> None:
    assert ask(f"show(rows.take({count}))") == expected


@pytest.mark.parametrize("count", ["-1", "2.0", "True", "None"])
def test_take_refuses_what_is_no_count(count: str) -> None:
    message = f"take() needs a whole number that is not negative, not {count}."
    assert message in ask(f"show(rows.take({count}))")


def test_first_gives_the_first_document() -> None:
    assert ask("show([rows.order('desc').first()])") == ["a2"]


def test_first_of_nothing_is_none() -> None:
    assert ask("rows.with_index('by_shelf').eq(shelf='no').first()") is None


def test_unique_gives_the_only_match() -> None:
    assert ask("show([rows.with_index('by_size').eq(size=3).unique()])") == ["a3"]


def test_unique_of_nothing_is_none() -> None:
    assert ask("rows.with_index('by_size').eq(size=9).unique()") is None


def test_unique_refuses_two_matches_and_names_their_ids() -> None:
    async def main() -> None:
        async with filled() as app:
            ids = await app.query("app:ask", code="[row.id for row in rows.take(2)]")
            outcome = await app.run_query("app:ask", {"code": "rows.unique()"}, Identity.ANONYMOUS)
            assert text_of(outcome).startswith(
                "unique() query returned more than one result from table items:\n "
                f"[{ids[0]}, {ids[1]}, ...]"
            )

    run(main())


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("rows.count()", 5),
        ("rows.with_index('by_shelf').eq(shelf='a').count()", 3),
        ("rows.with_index('by_shelf').eq(shelf='a').gte(size=2).count()", 2),
        ("rows.filter(lambda row: row.shelf == 'b').count()", 2),
        ("ctx.db.query(Empty).count()", 0),
    ],
)
def test_count_counts_what_matches(code: str, count: int) -> None:
    assert ask(code) == count


def test_filters_combine() -> None:
    code = "show(rows.filter(lambda r: r.shelf == 'a').filter(lambda r: r.size > 1))"
    assert ask(code) == ["a3", "a2"]


def test_take_counts_only_what_the_filter_kept() -> None:
    assert ask("show(rows.filter(lambda r: r.shelf == 'a').take(2))") == ["a3", "a1"]


def test_a_table_without_documents_reads_as_empty() -> None:
    code = "[ctx.db.query(Empty).collect(), ctx.db.query(Empty).first()]"
    assert ask(code) == [[], None]


def test_a_scan_does_not_meet_what_is_written_while_it_iterates() -> None:
    async def main() -> None:
        async with filled() as app:
            assert await app.mutation("app:write_while_reading") == [5, 10]

    run(main())


# -- refusals ------------------------------------------------------------------------------------


def test_an_unknown_index_is_refused_with_the_known_ones() -> None:
    text = ask("show(rows.with_index('by_colour'))")
    assert text.startswith("Index items.by_colour not found. The indexes of items are: ")
    for name in ("by_shelf", "by_size", "by_creation_time", "by_id"):
        assert name in text.partition("\n")[0]


def test_a_second_index_is_refused() -> None:
    assert ask("rows.with_index('by_size').with_index('by_shelf')").startswith(
        "This query on items already uses index items.by_size; it can't use 'by_shelf' too. "
        "Start from ctx.db.query(Item) again."
    )


def test_bounds_without_an_index_are_refused() -> None:
    assert ask("rows.eq(shelf='a')").startswith(
        "Bounds need an index: call .with_index(name) on this query of items first, "
        "or use .filter(callable)."
    )


def test_a_second_order_is_refused() -> None:
    text = ask("rows.order('asc').order('desc')")
    assert text.startswith("Queries may only specify order at most once")


def test_an_order_other_than_asc_and_desc_is_refused() -> None:
    assert ask("rows.order('down')").startswith('order() takes "asc" or "desc", not \'down\'.')


def test_a_range_out_of_order_is_refused_when_it_is_read() -> None:
    assert 'First incorrect field: "size"' in ask("rows.with_index('by_shelf').eq(size=1).first()")


def test_a_range_out_of_order_is_refused_on_an_empty_table_too() -> None:
    assert "doesn't index this field" in ask(
        "ctx.db.query(Empty).with_index('by_creation_time').eq(a=1).count()"
    )


def test_a_class_that_is_no_table_of_the_app_is_refused_by_name() -> None:
    assert "int" in ask("ctx.db.query(int)")
