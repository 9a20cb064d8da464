"""Deploying another version of an app while it runs, and replays of session requests."""

from __future__ import annotations

from pathlib import Path

from reactor import load_app
from reactor.application import Application
from reactor.functions import session_requests
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of, write_app

SCHEMA = """
class Item(Table, name="items"):
    a: int
    b: int = 0
"""
INDEXED_SCHEMA = (
    SCHEMA
    + """
    by_b = Index("b")

class Extra(Table, name="extras"):
    a: int
"""
)
ONE = """
from .schema import Item
@query
def answer(ctx: QueryCtx) -> str:
    return "one"
@mutation
def add(ctx: MutationCtx, a: int) -> float:
    ctx.db.insert(Item, a=a, b=a)
    return ctx.db.query(Item).count()
@mutation
def fail_once(ctx: MutationCtx) -> int:
    if ctx.db.query(Item).count() == 0:
        raise ReactorError("not yet")
    return 1
"""
TWO = """
@query
def answer(ctx: QueryCtx) -> str:
    return "two"
"""
INDEXED = """
from .schema import Extra, Item
@query
def by_b(ctx: QueryCtx) -> list[int]:
    return [row.a for row in ctx.db.query(Item).with_index("by_b").order("desc")]
@mutation
def add_extra(ctx: MutationCtx) -> int:
    ctx.db.insert(Extra, a=1)
    return ctx.db.query(Extra).count()
"""


def folder(tmp_path: Path) -> Path:
    return write_app(tmp_path / "shop", {"schema.py": SCHEMA, "one.py": ONE, "two.py": TWO})


def test_only_queries_whose_module_changed_are_run_again(tmp_path: Path) -> None:
    async def main() -> None:
        app_folder = folder(tmp_path)
        async with running(app_folder) as app:
            client = app.open_live_client(lambda: None)
            client.add(1, "one:answer", {})
            client.add(2, "two:answer", {})
            await client.advance()
            before = app._live.runs
            (app_folder / "one.py").write_text(
                (app_folder / "one.py").read_text().replace('"one"', '"changed"')
            )
            await app.deploy(load_app(app_folder))
            results = (await client.advance()).results
            client.close()
            assert [(number, value_of(outcome)) for number, outcome in results] == [(1, "changed")]
            assert app._live.runs == before + 1

    run(main())


def test_a_function_that_appears_later_reaches_who_had_asked_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        app_folder = folder(tmp_path)
        async with running(app_folder) as app:
            client = app.open_live_client(lambda: None)
            client.add(1, "three:answer", {})
            ((_, first),) = (await client.advance()).results
            assert text_of(first).startswith("Could not find public function for 'three:answer'.")
            write_app(app_folder, {"three.py": TWO})
            await app.deploy(load_app(app_folder))
            ((_, second),) = (await client.advance()).results
            client.close()
            assert value_of(second) == "two"

    run(main())


def test_a_function_that_disappears_is_told_to_its_subscribers(tmp_path: Path) -> None:
    async def main() -> None:
        app_folder = folder(tmp_path)
        async with running(app_folder) as app:
            client = app.open_live_client(lambda: None)
            client.add(1, "two:answer", {})
            await client.advance()
            (app_folder / "two.py").unlink()
            await app.deploy(load_app(app_folder))
            ((_, gone),) = (await client.advance()).results
            client.close()
            assert text_of(gone).startswith("Could not find public function for 'two:answer'.")

    run(main())


def test_a_new_index_covers_the_documents_that_were_there(tmp_path: Path) -> None:
    async def main() -> None:
        app_folder = folder(tmp_path)
        async with running(app_folder) as app:
            for a in (1, 3, 2):
                await app.mutation("one:add", a=a)
            write_app(app_folder, {"schema.py": INDEXED_SCHEMA, "three.py": INDEXED})
            await app.deploy(load_app(app_folder))
            assert await app.query("three:by_b") == [3, 2, 1]

    run(main())


def test_a_new_table_can_be_written_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        app_folder = folder(tmp_path)
        async with running(app_folder) as app:
            write_app(app_folder, {"schema.py": INDEXED_SCHEMA, "three.py": INDEXED})
            await app.deploy(load_app(app_folder))
            assert await app.mutation("three:add_extra") == 1

    run(main())


# -- replays -------------------------------------------------------------------------------------


async def add(app: Application, number: int, a: float = 1.0) -> tuple[int, object]:
    outcome = await app.run_mutation(
        "one:add", {"a": a}, Identity.ANONYMOUS, request=("session", number)
    )
    return outcome.ts, value_of(outcome)


def test_a_replay_gives_the_first_time_and_value_and_does_not_run_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(folder(tmp_path)) as app:
            first = await add(app, 0)
            await add(app, 1)
            assert await add(app, 0) == first
            assert (await add(app, 2))[1] == 3.0

    run(main())


def test_a_replay_after_the_store_was_reopened_gives_the_first_time_and_value(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        store = f"duckdb:///{tmp_path / 'data.duckdb'}"
        async with running(folder(tmp_path), store=store) as app:
            first = await add(app, 0)
            await add(app, 1)
        async with running(tmp_path / "shop", store=store) as app:
            assert await add(app, 0) == first
            assert (await add(app, 2))[1] == 3.0

    run(main())


def test_a_failed_request_runs_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(folder(tmp_path)) as app:
            request = ("session", 7)
            failed = await app.run_mutation("one:failOnce", {}, Identity.ANONYMOUS, request=request)
            assert failed.error is not None
            await add(app, 8)
            again = await app.run_mutation("one:failOnce", {}, Identity.ANONYMOUS, request=request)
            assert value_of(again) == 1

    run(main())


def test_a_request_that_left_the_window_of_its_session_runs_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(folder(tmp_path)) as app:
            await add(app, 0)
            await add(app, session_requests.WINDOW - 1)
            assert (await add(app, 0))[1] == 1.0
            await add(app, session_requests.WINDOW)
            assert (await add(app, 0))[1] == 4.0

    run(main())


def test_sessions_do_not_share_request_numbers(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(folder(tmp_path)) as app:
            await add(app, 0)
            other = await app.run_mutation(
                "one:add", {"a": 1}, Identity.ANONYMOUS, request=("other", 0)
            )
            assert value_of(other) == 2.0

    run(main())
