"""The promise that matters most: what a subscriber last saw is what a fresh run gives.

Random schemas (which indexes exist), random queries (index, prefix, bounds, order, filter, and how
the result is taken: all, some, one, counted, a page), random writes. After every write each client
is advanced, and everything it was ever told is compared with a fresh run at the same timestamp.
"""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.application import Application
from reactor.data import wire
from reactor.data.values import Value
from reactor.identity import Identity

SOURCE = """
from typing import Any
from reactor import Index, MISSING, MutationCtx, PaginationOptions, QueryCtx, Table
from reactor import mutation, query

class Item(Table, name="items"):
    a: int | None = None
    b: str | None = None
    deep: dict[str, int] | None = None
{indexes}

@query
def find(ctx: QueryCtx, index: str | None, equal: dict[str, Any], bound: dict[str, Any],
         upper: dict[str, Any], order: str, modulo: int | None, terminal: str, count: int,
         pagination_opts: PaginationOptions | None = None) -> Any:
    rows = ctx.db.query(Item)
    if index is not None:
        rows = rows.with_index(index).eq(**equal).gte(**bound).lt(**upper)
    if modulo is not None:
        rows = rows.filter(lambda row: (row.a or 0) % 3 == modulo)
    if order != "none":
        rows = rows.order(order)
    if terminal == "take":
        return rows.take(count)
    if terminal == "first":
        return rows.first()
    if terminal == "count":
        return rows.count()
    if terminal == "paginate":
        return rows.paginate(pagination_opts)
    if terminal == "get":
        found = rows.first()
        return None if found is None else ctx.db.get(found.id)
    return rows.collect()

@mutation
def insert(ctx: MutationCtx, fields: dict[str, Any]) -> str:
    return ctx.db.insert(Item, fields)

@mutation
def change(ctx: MutationCtx, position: int, fields: dict[str, Any]) -> None:
    rows = ctx.db.query(Item).collect()
    if rows:
        ctx.db.patch(rows[position % len(rows)].id, fields)

@mutation
def remove(ctx: MutationCtx, position: int) -> None:
    rows = ctx.db.query(Item).collect()
    if rows:
        ctx.db.delete(rows[position % len(rows)].id)
"""

FIELDS = ("a", "b")
A = st.one_of(st.none(), st.integers(0, 4))
B = st.one_of(st.none(), st.sampled_from(["", "x", "y"]))
ROW = st.fixed_dictionaries({}, optional={"a": A, "b": B, "deep": st.just({"k": 1})})
INDEXES = st.sets(st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a"), ("deep",)]), max_size=4)
WRITE = st.one_of(
    st.tuples(st.just("insert"), st.just(0), ROW),
    st.tuples(st.just("change"), st.integers(0, 9), ROW),
    st.tuples(st.just("remove"), st.integers(0, 9), st.just({})),
)
TERMINALS = st.sampled_from(["collect", "take", "first", "count", "paginate", "get"])


def index_name(fields: tuple[str, ...]) -> str:
    return "by_" + "_".join(fields)


@st.composite
def queries(draw: Any, indexes: list[tuple[str, ...]]) -> dict[str, Value]:
    fields = draw(st.sampled_from([None, *indexes]))
    args: dict[str, Value] = {
        "index": None,
        "equal": {},
        "bound": {},
        "upper": {},
        "order": draw(st.sampled_from(["none", "asc", "desc"])),
        "modulo": draw(st.one_of(st.none(), st.integers(0, 2))),
        "terminal": draw(TERMINALS),
        "count": draw(st.integers(0, 4)),
    }
    if args["terminal"] == "paginate":
        args["paginationOpts"] = {"numItems": draw(st.integers(1, 3)), "cursor": None}
    if fields is None:
        return args
    args["index"] = index_name(fields)
    values = {"a": A, "b": B, "deep": st.just(None)}
    prefix = draw(st.integers(0, len(fields)))
    args["equal"] = {name: draw(values[name]) for name in fields[:prefix]}
    if prefix < len(fields):
        name = fields[prefix]
        if draw(st.booleans()):
            args["bound"] = {name: draw(values[name])}
        if draw(st.booleans()):
            args["upper"] = {name: draw(values[name])}
    return args


def make_app(indexes: list[tuple[str, ...]]) -> ModuleType:
    lines = "\n".join(f"    {index_name(f)} = Index(*{f!r})" for f in indexes)
    module = ModuleType("app")
    exec(compile(SOURCE.replace("{indexes}", lines), "app.py", "exec"), module.__dict__)
    return module


async def fresh(application: Application, args: dict[str, Value], journal: str | None) -> Any:
    """A run outside every cache, at the newest timestamp, with the page's boundary."""
    client = application.open_live_client(lambda: None)
    client.add(0, "app:find", args, journal)
    application._live._by_key.clear()  # so that nothing kept can answer
    try:
        ((_, outcome),) = (await client.advance()).results
    finally:
        client.close()
    return outcome


async def check_scenario(
    indexes: list[tuple[str, ...]], subscriptions: list[dict[str, Value]], writes: list[Any]
) -> None:
    application = Application(make_app(indexes))
    await application.start()
    try:
        clients = [application.open_live_client(lambda: None) for _ in range(2)]
        shown: list[dict[int, Any]] = [{}, {}]
        for number, args in enumerate(subscriptions):
            clients[number % 2].add(number, "app:find", args)
        for operation, position, fields in [("none", 0, {}), *writes]:
            if operation == "insert":
                await application.mutation("app:insert", fields=fields)
            elif operation == "change":
                await application.mutation("app:change", position=position, fields=fields)
            elif operation == "remove":
                await application.mutation("app:remove", position=position)
            for which, client in enumerate(clients):
                advance = await client.advance()
                assert advance.ts == application.latest_ts()
                shown[which].update(advance.results)
            application.check()
        for which, results in enumerate(shown):
            for number, outcome in results.items():
                again = await fresh(application, subscriptions[number], outcome.journal)
                assert (outcome.value, outcome.digest) == (again.value, again.digest), (
                    f"client {which} was last shown {outcome} for {subscriptions[number]}"
                )
    finally:
        await application.stop()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_what_a_subscriber_saw_last_equals_a_fresh_run(data: st.DataObject) -> None:
    indexes = sorted(data.draw(INDEXES))
    subscriptions = data.draw(st.lists(queries(indexes), min_size=1, max_size=5))
    writes = data.draw(st.lists(WRITE, max_size=8))
    asyncio.run(check_scenario(indexes, subscriptions, writes))


def test_identical_queries_of_many_clients_run_once_per_change() -> None:
    async def main() -> None:
        application = Application(make_app([("a",)]))
        await application.start()
        try:
            args: dict[str, Value] = {
                "index": "by_a", "equal": {"a": 1}, "bound": {}, "upper": {}, "order": "none",
                "modulo": None, "terminal": "collect", "count": 0,
            }  # fmt: skip
            clients = [application.open_live_client(lambda: None) for _ in range(20)]
            for client in clients:
                client.add(0, "app:find", args)
                await client.advance()
            before = application._live.runs
            await application.mutation("app:insert", fields={"a": 1})
            for client in clients:
                assert len((await client.advance()).results) == 1
            assert application._live.runs == before + 1
        finally:
            await application.stop()

    asyncio.run(main())


def test_a_write_outside_of_the_range_runs_nothing() -> None:
    async def main() -> None:
        application = Application(make_app([("a",)]))
        await application.start()
        try:
            args: dict[str, Value] = {
                "index": "by_a", "equal": {"a": 1}, "bound": {}, "upper": {}, "order": "none",
                "modulo": None, "terminal": "collect", "count": 0,
            }  # fmt: skip
            client = application.open_live_client(lambda: None)
            client.add(0, "app:find", args)
            await client.advance()
            before = application._live.runs
            await application.mutation("app:insert", fields={"a": 2})
            assert (await client.advance()).results == ()
            assert application._live.runs == before
        finally:
            await application.stop()

    asyncio.run(main())


def test_documents_changed_in_memory_by_a_function_do_not_change_the_store() -> None:
    source = (
        SOURCE.replace("{indexes}", "")
        + """
@query
def vandal(ctx: QueryCtx) -> Any:
    for row in ctx.db.query(Item):
        row.deep["k"] = 99
        row.deep["new"] = [1]
    return None
"""
    )
    module = ModuleType("app")
    exec(compile(source, "app.py", "exec"), module.__dict__)

    async def main() -> None:
        application = Application(module)
        await application.start()
        try:
            await application.mutation("app:insert", fields={"deep": {"k": 1}})
            await application.query("app:vandal")
            outcome = await application.run_any(
                "_system/cli/tableData",
                {"table": "items", "paginationOpts": {"numItems": 5, "cursor": None}},
                Identity.ADMIN,
            )
            assert outcome.value is not None
            (document,) = wire.decode(outcome.value)["page"]  # type: ignore[index, call-overload]
            assert document["deep"] == {"k": 1}
        finally:
            await application.stop()

    asyncio.run(main())
