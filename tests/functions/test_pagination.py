"""Pages: their cursors, their boundaries while data changes, and what hostile cursors get."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.application import Application
from reactor.data import wire
from reactor.data.values import Value
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

APP = """
class Item(Table, name="items"):
    a: int
    by_a = Index("a")

@mutation
def put(ctx: MutationCtx, values: list[int]) -> None:
    for a in values:
        ctx.db.insert(Item, a=a)

@mutation
def drop(ctx: MutationCtx, a: int) -> None:
    for row in ctx.db.query(Item).with_index("by_a").eq(a=a):
        ctx.db.delete(row.id)

@query
def page(ctx: QueryCtx, pagination_opts: PaginationOptions, order: str = "asc",
         only_even: bool = False, least: int | None = None) -> Page[Item]:
    rows = ctx.db.query(Item).with_index("by_a")
    if least is not None:
        rows = rows.gte(a=least)
    if only_even:
        rows = rows.filter(lambda row: row.a % 2 == 0)
    return rows.order(order).paginate(pagination_opts)

@query
def two_pages(ctx: QueryCtx, pagination_opts: PaginationOptions) -> Any:
    ctx.db.query(Item).paginate(pagination_opts)
    return ctx.db.query(Item).paginate(pagination_opts)

@query(limits=Limits(documents_read=8))
def small(ctx: QueryCtx, pagination_opts: PaginationOptions) -> Page[Item]:
    return ctx.db.query(Item).paginate(pagination_opts)
"""

PageValue = dict[str, Any]


async def ask(
    app: Application, opts: dict[str, Any], path: str = "app:page", **args: Value
) -> PageValue | str:
    """The page, or the failure's text."""
    opts = {"numItems": 3, "cursor": None, **opts}
    args["paginationOpts"] = opts
    outcome = await app.run_query(path, args, Identity.ANONYMOUS)
    return cast(PageValue, value_of(outcome)) if outcome.error is None else text_of(outcome)


async def page(
    app: Application, opts: dict[str, Any], path: str = "app:page", **args: Value
) -> Any:
    found = await ask(app, opts, path, **args)
    assert isinstance(found, dict), found
    return found


def numbers(found: PageValue) -> list[int]:
    return [int(row["a"]) for row in found["page"]]


def with_items(count: int) -> Any:
    """Decorates a test that gets an app with items 0 … count - 1."""

    def decorate(test: Any) -> Any:
        def decorated() -> None:
            async def main() -> None:
                async with running(APP) as app:
                    await app.mutation("app:put", values=list(range(count)))
                    await test(app)

            run(main())

        decorated.__name__ = test.__name__
        return decorated

    return decorate


# -- one page after the other --------------------------------------------------------------------


@with_items(7)
async def test_pages_follow_each_other_by_their_continue_cursors(app: Application) -> None:
    seen: list[list[int]] = []
    cursor, done = None, False
    while not done:
        found = await page(app, {"cursor": cursor})
        seen.append(numbers(found))
        cursor, done = found["continueCursor"], found["isDone"]
    assert seen == [[0, 1, 2], [3, 4, 5], [6]]


@with_items(6)
async def test_a_page_that_takes_the_last_row_is_not_done_yet(app: Application) -> None:
    second = await page(app, {"cursor": (await page(app, {}))["continueCursor"]})
    third = await page(app, {"cursor": second["continueCursor"]})
    assert (second["isDone"], third["isDone"], third["page"]) == (False, True, [])


@with_items(2)
async def test_the_page_after_the_end_is_empty_and_done(app: Application) -> None:
    end = (await page(app, {}))["continueCursor"]
    again = await page(app, {"cursor": end})
    assert (again["page"], again["isDone"], again["continueCursor"]) == ([], True, end)


@with_items(5)
async def test_pages_go_backwards_in_descending_order(app: Application) -> None:
    first = await page(app, {}, order="desc")
    second = await page(app, {"cursor": first["continueCursor"]}, order="desc")
    assert (numbers(first), numbers(second), second["isDone"]) == ([4, 3, 2], [1, 0], True)


@with_items(9)
async def test_filtered_pages_hold_as_many_kept_rows_as_asked_for(app: Application) -> None:
    first = await page(app, {}, onlyEven=True)
    second = await page(app, {"cursor": first["continueCursor"]}, onlyEven=True)
    assert (numbers(first), numbers(second)) == ([0, 2, 4], [6, 8])


@with_items(3)
async def test_the_id_in_the_options_is_ignored(app: Application) -> None:
    assert await page(app, {"id": 1}) == await page(app, {"id": 2})


@with_items(0)
async def test_an_empty_table_gives_one_empty_page_that_is_done(app: Application) -> None:
    found = await page(app, {})
    assert (found["page"], found["isDone"]) == ([], True)


# -- limits of a page ----------------------------------------------------------------------------


@with_items(9)
async def test_maximum_rows_read_cuts_a_page_short_and_asks_for_a_split(app: Application) -> None:
    found = await page(app, {"numItems": 9, "maximumRowsRead": 4})
    assert (numbers(found), found["isDone"]) == ([0, 1, 2, 3], False)
    assert found["pageStatus"] == "SplitRequired"


@with_items(9)
async def test_a_cut_page_goes_on_where_it_stopped(app: Application) -> None:
    first = await page(app, {"numItems": 9, "maximumRowsRead": 4})
    second = await page(app, {"numItems": 9, "cursor": first["continueCursor"]})
    assert numbers(second) == [4, 5, 6, 7, 8]


@with_items(9)
async def test_rows_that_a_filter_dropped_count_as_read(app: Application) -> None:
    found = await page(app, {"maximumRowsRead": 2}, onlyEven=True)
    assert (numbers(found), found["pageStatus"]) == ([0], "SplitRequired")


@with_items(9)
async def test_maximum_bytes_read_cuts_a_page_short(app: Application) -> None:
    found = await page(app, {"numItems": 9, "maximumBytesRead": 1})
    assert (numbers(found), found["pageStatus"]) == ([0], "SplitRequired")


@with_items(9)
async def test_limits_of_a_page_do_not_hold_when_it_has_an_end(app: Application) -> None:
    end = (await page(app, {"numItems": 6}))["continueCursor"]
    found = await page(app, {"numItems": 1, "maximumRowsRead": 2, "endCursor": end})
    assert numbers(found) == [0, 1, 2, 3, 4, 5]


@with_items(9)
async def test_a_page_near_a_read_limit_recommends_a_split(app: Application) -> None:
    found = await page(app, {"numItems": 7}, "app:small")
    assert found["pageStatus"] == "SplitRecommended"


@with_items(9)
async def test_a_page_far_from_the_limits_recommends_nothing(app: Application) -> None:
    assert (await page(app, {}))["pageStatus"] is None


# -- split cursors -------------------------------------------------------------------------------


@with_items(8)
async def test_a_split_cursor_divides_a_page_without_overlap_or_gap(app: Application) -> None:
    whole = await page(app, {"numItems": 6})
    split, end = whole["splitCursor"], whole["continueCursor"]
    left = await page(app, {"endCursor": split})
    right = await page(app, {"cursor": split, "endCursor": end})
    assert numbers(left) + numbers(right) == numbers(whole)
    assert left["page"] and right["page"]


@with_items(8)
async def test_the_halves_of_a_split_descending_page_join_too(app: Application) -> None:
    whole = await page(app, {"numItems": 6}, order="desc")
    split, end = whole["splitCursor"], whole["continueCursor"]
    left = await page(app, {"endCursor": split}, order="desc")
    right = await page(app, {"cursor": split, "endCursor": end}, order="desc")
    assert numbers(left) + numbers(right) == numbers(whole) == [7, 6, 5, 4, 3, 2]


@with_items(8)
async def test_an_end_cursor_comes_back_as_the_continue_cursor(app: Application) -> None:
    end = (await page(app, {}))["continueCursor"]
    found = await page(app, {"endCursor": end})
    assert (found["continueCursor"], found["isDone"]) == (end, False)


@with_items(2)
async def test_a_page_of_two_rows_has_no_split_cursor(app: Application) -> None:
    assert (await page(app, {}))["splitCursor"] is None


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opts", "text"),
    [
        ({"numItems": 0}, "Must request at least 1 document while paginating"),
        ({"numItems": -1}, "`options.numItems` must be a positive number. Received `-1`."),
        ({"numItems": 40_000}, "Requested too many items: 40000. "),
        ({"maximumRowsRead": 0}, "maximumRowsRead and maximumBytesRead must be greater than 0"),
        ({"maximumBytesRead": -5}, "maximumRowsRead and maximumBytesRead must be greater than 0"),
    ],
)
def test_sizes_that_make_no_page_are_refused(opts: dict[str, Any], text: str) -> None:
    async def main() -> None:
        async with running(APP) as app:
            assert str(await ask(app, opts)).startswith(text)

    run(main())


@pytest.mark.parametrize("count", [1.5, "3", None])
def test_a_count_that_is_no_whole_number_is_an_argument_error(count: Value) -> None:
    async def main() -> None:
        async with running(APP) as app:
            text = await ask(app, {"numItems": count})
            assert "ArgumentValidationError" in str(text) and ".paginationOpts.numItems" in str(
                text
            )

    run(main())


@with_items(3)
async def test_a_second_paginated_query_in_one_function_is_refused(app: Application) -> None:
    assert str(await ask(app, {}, "app:two_pages")).startswith(
        "This query or mutation function ran multiple paginated queries. "
    )


@with_items(5)
async def test_a_cursor_of_another_order_is_an_invalid_cursor(app: Application) -> None:
    cursor = (await page(app, {}))["continueCursor"]
    text = await ask(app, {"cursor": cursor}, order="desc")
    assert str(text).startswith(
        "Uncaught ConvexError: InvalidCursor: Tried to run a query starting"
    )


@with_items(5)
async def test_a_cursor_of_another_range_is_an_invalid_cursor(app: Application) -> None:
    cursor = (await page(app, {}))["continueCursor"]
    assert "InvalidCursor" in str(await ask(app, {"cursor": cursor}, least=2))


@with_items(5)
async def test_an_invalid_cursor_carries_the_data_that_clients_restart_on(app: Application) -> None:
    cursor = (await page(app, {}))["continueCursor"]
    args: dict[str, Value] = {"order": "desc", "paginationOpts": {"numItems": 1, "cursor": cursor}}
    outcome = await app.run_query("app:page", args, Identity.ANONYMOUS)
    assert outcome.error is not None and outcome.error.data is not None
    assert wire.decode(outcome.error.data) == {
        "isConvexSystemError": True,
        "paginationError": "InvalidCursor",
    }


UNREADABLE = ["x", "", "é", "AAAA", "////", "=" * 9, "A" * 100_000, "a b", "AQ=="]


@pytest.mark.parametrize("option", ["cursor", "endCursor"])
@pytest.mark.parametrize("cursor", UNREADABLE, ids=lambda text: ascii(text[:8]))
def test_an_unreadable_cursor_is_refused_with_the_way_out(option: str, cursor: str) -> None:
    async def main() -> None:
        async with running(APP) as app:
            text = str(await ask(app, {option: cursor}))
            assert text.startswith("Failed to parse cursor ") and "Pass null" in text
            assert len(text) < 1_000

    run(main())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_cursor_with_changed_bytes_never_shows_a_row_outside_the_range(
    changes: list[tuple[int, int]],
) -> None:
    async def main() -> None:
        async with running(APP) as app:
            await app.mutation("app:put", values=[0, 1, 2, 3, 4, 5])
            cursor = (await page(app, {"numItems": 1}, least=2))["continueCursor"]
            raw = bytearray(base64.urlsafe_b64decode(cursor))
            for position, byte in changes:
                raw[position % len(raw)] = byte
            forged = base64.urlsafe_b64encode(raw).decode()
            found = await ask(app, {"cursor": forged, "numItems": 9}, least=2)
            if isinstance(found, dict):
                assert set(numbers(found)) <= {2, 3, 4, 5}
            else:
                assert "cursor" in found

    asyncio.run(main())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=40), st.binary(max_size=12), st.booleans(), st.booleans())
def test_a_live_page_with_a_forged_position_stays_live(
    start: bytes, end: bytes, as_journal: bool, descending: bool
) -> None:
    async def main() -> None:
        async with running(APP) as app:
            await app.mutation("app:put", values=[0, 1, 2])
            order = "desc" if descending else "asc"
            genuine = (await page(app, {"numItems": 1}, order=order))["continueCursor"]
            head = base64.urlsafe_b64decode(genuine)[:10]
            first, last = (base64.urlsafe_b64encode(head + raw).decode() for raw in (start, end))
            opts: dict[str, Value] = {"numItems": 2, "cursor": first}
            if not as_journal:
                opts["endCursor"] = last
            client = app.open_live_client(lambda: None)
            try:
                client.add(
                    0, "app:page", {"paginationOpts": opts, "order": order},
                    last if as_journal else None,
                )  # fmt: skip
                await client.advance()
                await app.mutation("app:put", values=[-5, 1, 1_000])
                await client.advance()
                app.check()
            finally:
                client.close()

    asyncio.run(main())


# -- boundaries while rows come and go -----------------------------------------------------------


class Pager:
    """What `usePaginatedQuery` does, over one connection: pages side by side, each with the
    journal that the server gave it."""

    def __init__(self, app: Application, args: dict[str, Value]) -> None:
        self.app = app
        self.args = args
        self.client = app.open_live_client(lambda: None)
        self.order: list[int] = []
        self.options: dict[int, dict[str, Value]] = {}
        self.pages: dict[int, PageValue] = {}
        self.journals: dict[int, str | None] = {}
        self._next = 0

    def _add(self, position: int, options: dict[str, Value], journal: str | None = None) -> None:
        number, self._next = self._next, self._next + 1
        self.order.insert(position, number)
        self._subscribe(number, options, journal)

    def _subscribe(self, number: int, options: dict[str, Value], journal: str | None) -> None:
        self.options[number] = options
        args: dict[str, Value] = {**self.args, "paginationOpts": options}
        self.client.add(number, "app:page", args, journal)

    async def advance(self) -> None:
        for number, outcome in (await self.client.advance()).results:
            self.pages[number] = cast(PageValue, value_of(outcome))
            self.journals[number] = outcome.journal

    async def load_more(self) -> None:
        cursor: Value = None
        if self.order:
            last = self.pages[self.order[-1]]
            if last["isDone"]:
                return
            cursor = last["continueCursor"]
        self._add(len(self.order), {"numItems": 2, "cursor": cursor})
        await self.advance()

    async def split(self, position: int) -> None:
        number = self.order[position % len(self.order)]
        found, split = self.pages[number], self.pages[number]["splitCursor"]
        if split is None:
            return
        at = self.order.index(number)
        start = self.options[number]["cursor"]
        self._add(at + 1, {"numItems": 2, "cursor": start, "endCursor": split})
        end = found["continueCursor"]
        self._add(at + 2, {"numItems": 2, "cursor": split, "endCursor": end})
        await self.advance()
        self.client.remove(number)
        self.order.remove(number)

    async def reconnect(self) -> None:
        self.client.close()
        self.client = self.app.open_live_client(lambda: None)
        for number in self.order:
            self._subscribe(number, self.options[number], self.journals[number])
        await self.advance()

    def rows(self) -> list[int]:
        return [a for number in self.order for a in numbers(self.pages[number])]

    @property
    def is_done(self) -> bool:
        return bool(self.pages[self.order[-1]]["isDone"])


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 30)),
    st.tuples(st.just("drop"), st.integers(0, 30)),
    st.tuples(st.just("more"), st.just(0)),
    st.tuples(st.just("split"), st.integers(0, 5)),
    st.tuples(st.just("reconnect"), st.just(0)),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(0, 30), max_size=12),
    st.lists(STEP, max_size=14),
    st.sampled_from(["asc", "desc"]),
    st.booleans(),
)
def test_neighbouring_pages_neither_overlap_nor_leave_gaps_while_rows_come_and_go(
    initial: list[int], steps: list[tuple[str, int]], order: str, only_even: bool
) -> None:
    async def main() -> None:
        async with running(APP) as app:
            await app.mutation("app:put", values=initial)
            present = list(initial)
            pager = Pager(app, {"order": order, "onlyEven": only_even})
            await pager.load_more()
            for step, number in steps:
                if step == "put":
                    await app.mutation("app:put", values=[number])
                    present.append(number)
                elif step == "drop":
                    await app.mutation("app:drop", a=number)
                    present = [a for a in present if a != number]
                elif step == "more":
                    await pager.load_more()
                elif step == "split":
                    await pager.split(number)
                else:
                    await pager.reconnect()
                await pager.advance()
                kept = [a for a in present if not only_even or a % 2 == 0]
                expected = sorted(kept, reverse=order == "desc")
                shown = pager.rows()
                assert shown == expected[: len(shown)]
                if pager.is_done:
                    assert shown == expected
            pager.client.close()

    asyncio.run(main())
