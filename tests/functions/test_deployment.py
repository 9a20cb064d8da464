"""Live reload: what a new version of an app changes, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reactor.application import Application
from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.errors import StoreUnavailable
from reactor.functions.loader import load_app
from reactor.identity import Identity
from reactor.live.live_client import LiveClient
from reactor.store.memory import MemoryStore
from tests.engine.faulty_store import FaultyStore
from tests.functions.running_apps import run, running, text_of, value_of, write_app

ANYONE = Identity.ANONYMOUS

SCHEMA = """
class Item(Table, name="items"):
    a: int
"""

NUMBERS = """
from .schema import Item

@query
def values(ctx: QueryCtx) -> list[int]:
    return [row.a for row in ctx.db.query(Item)]

@mutation
def insert(ctx: MutationCtx, a: int) -> None:
    ctx.db.insert(Item(a=a))
"""

WORDS = """
@query
def word(ctx: QueryCtx) -> str:
    return "one"
"""

FILES = {"schema.py": SCHEMA, "numbers.py": NUMBERS, "words.py": WORDS}


class Deployed:
    """A running app in a folder, and a client that watches it."""

    def __init__(self, app: Application, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.dirty = asyncio.Event()
        self.client: LiveClient = app.open_live_client(self.dirty.set)
        self.shown: dict[int, Outcome] = {}

    async def deploy(self, **files: str) -> None:
        """Save some modules, and load the folder as `reactor dev` does."""
        write_app(self.folder, {f"{name}.py": source for name, source in files.items()})
        await self.app.deploy(load_app(self.folder))

    async def advance(self) -> dict[int, Outcome]:
        """The news of the client."""
        self.dirty.clear()
        news = dict((await self.client.advance()).results)
        self.shown |= news
        return news

    async def insert(self, a: int) -> None:
        value_of(await self.app.run_mutation("numbers:insert", {"a": a}, ANYONE))

    async def ask(self, path: str) -> Outcome:
        return await self.app.run_query(path, {}, ANYONE)

    async def until_dirty(self) -> None:
        async with asyncio.timeout(10):
            await self.dirty.wait()


@asynccontextmanager
async def deployed(folder: Path, store: MemoryStore | None = None) -> AsyncIterator[Deployed]:
    async with running(load_app(write_app(folder, FILES)), store=store or MemoryStore()) as app:
        it = Deployed(app, folder)
        yield it
        it.client.close()


def decoded(outcome: Outcome) -> Value:
    assert outcome.value is not None, outcome.error
    return wire.decode(outcome.value)


def test_a_live_query_whose_module_changed_is_run_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "words:word", {})
            await it.advance()
            await it.deploy(words=WORDS.replace("one", "two"))
            await it.until_dirty()
            assert {n: decoded(o) for n, o in (await it.advance()).items()} == {0: "two"}

    run(main())


def test_a_live_query_whose_module_did_not_change_is_not_run_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "numbers:values", {})
            await it.advance()
            runs = it.app._live.runs
            await it.deploy(words=WORDS.replace("one", "two"))
            assert await it.advance() == {}
            assert it.app._live.runs == runs

    run(main())


def test_a_live_query_is_run_again_when_a_module_that_it_imports_changed(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "numbers:values", {})
            await it.advance()
            runs = it.app._live.runs
            await it.deploy(schema=SCHEMA + "    b: int | None = None\n")
            await it.advance()
            assert it.app._live.runs == runs + 1

    run(main())


def test_code_that_changed_without_another_result_is_told_to_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "words:word", {})
            await it.advance()
            await it.deploy(words=WORDS + "\n# the same, commented\n")
            assert await it.advance() == {}

    run(main())


@pytest.mark.parametrize("module", ["words", "verbs"])
def test_a_new_function_appears_to_who_was_told_that_there_is_none(
    module: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, f"{module}:fresh", {})
            await it.advance()
            assert "Could not find public function" in text_of(it.shown[0])
            source = (WORDS if module == "words" else "") + WORDS.replace("word", "fresh")
            await it.deploy(**{module: source})
            await it.until_dirty()
            assert decoded((await it.advance())[0]) == "one"

    run(main())


def test_a_removed_module_is_gone_for_its_subscribers(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "words:word", {})
            await it.advance()
            (tmp_path / "words.py").unlink()
            await it.deploy()
            await it.until_dirty()
            assert "Could not find public function" in text_of((await it.advance())[0])

    run(main())


def test_a_function_that_became_internal_is_gone_for_its_subscribers(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "words:word", {})
            await it.advance()
            await it.deploy(words=WORDS.replace("@query", "@internal_query"))
            assert "Could not find public function" in text_of((await it.advance())[0])

    run(main())


def test_a_new_table_can_be_used_at_once_and_after_a_restart(tmp_path: Path) -> None:
    table = """
class Note(Table, name="notes"):
    text: str

@mutation
def write(ctx: MutationCtx) -> None:
    ctx.db.insert(Note(text="hello"))

@query
def count(ctx: QueryCtx) -> int:
    return ctx.db.query(Note).count()
"""

    async def main() -> None:
        store = MemoryStore()
        async with deployed(tmp_path, store) as it:
            await it.deploy(notes=table)
            value_of(await it.app.run_mutation("notes:write", {}, ANYONE))
            assert value_of(await it.ask("notes:count")) == 1
        async with running(load_app(tmp_path), store=store) as app:
            assert value_of(await app.run_query("notes:count", {}, ANYONE)) == 1

    run(main())


INDEXED = SCHEMA + '    by_a = Index("a")\n'
BY_INDEX = (
    NUMBERS
    + """
@query
def above(ctx: QueryCtx) -> list[int]:
    return [row.a for row in ctx.db.query(Item).with_index("by_a").gt(a=1)]

@query
def count_above(ctx: QueryCtx) -> int:
    return ctx.db.query(Item).with_index("by_a").gt(a=1).count()
"""
)


def test_a_new_index_has_the_documents_that_are_there_already(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            for a in (3, 1, 2):
                await it.insert(a)
            await it.deploy(schema=INDEXED, numbers=BY_INDEX)
            assert value_of(await it.ask("numbers:above")) == [2, 3]
            await it.insert(5)
            assert value_of(await it.ask("numbers:above")) == [2, 3, 5]
            assert value_of(await it.ask("numbers:countAbove")) == 3

    run(main())


def test_a_snapshot_before_a_new_index_reads_right_through_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            await it.insert(2)
            before = it.app.latest_ts()
            await it.insert(3)
            await it.deploy(schema=INDEXED, numbers=BY_INDEX)
            for path, expected in (("numbers:above", [2]), ("numbers:countAbove", 1)):
                outcome = await it.app.run_query(path, {}, ANYONE, at=before)
                assert value_of(outcome) == expected

    run(main())


def test_an_index_over_other_fields_replaces_the_one_of_its_name(tmp_path: Path) -> None:
    schema = INDEXED.replace("a: int", "a: int\n    b: int = 7")

    async def main() -> None:
        async with deployed(tmp_path) as it:
            await it.deploy(schema=schema, numbers=BY_INDEX)
            await it.insert(1)
            await it.deploy(
                schema=schema.replace('Index("a")', 'Index("b")'),
                numbers=BY_INDEX.replace("gt(a=1)", "gt(b=1)"),
            )
            assert value_of(await it.ask("numbers:above")) == [1]

    run(main())


@pytest.mark.parametrize("failures", [1, 2])
def test_a_deployment_that_the_store_refuses_leaves_the_old_version_serving(
    failures: int, tmp_path: Path
) -> None:
    """The first append makes the new table durable, the second one the new code."""

    async def main() -> None:
        store = FaultyStore()
        async with deployed(tmp_path, store) as it:
            await it.insert(2)
            store.fail(*[None] * (failures - 1), StoreUnavailable("The disk is full."))
            with pytest.raises(StoreUnavailable):
                await it.deploy(
                    schema=INDEXED + 'class Note(Table, name="notes"):\n    text: str\n',
                    words=WORDS.replace("one", "two"),
                )
            assert value_of(await it.ask("words:word")) == "one"
            await it.insert(3)
            assert value_of(await it.ask("numbers:values")) == [2, 3]
            it.app.check()

    run(main())


def test_a_deployment_that_failed_can_be_repeated(tmp_path: Path) -> None:
    table = """
class Note(Table, name="notes"):
    text: str

@mutation
def write(ctx: MutationCtx) -> int:
    ctx.db.insert(Note(text="hello"))
    return ctx.db.query(Note).count()
"""

    async def main() -> None:
        store = FaultyStore()
        async with deployed(tmp_path, store) as it:
            store.fail()
            with pytest.raises(StoreUnavailable):
                await it.deploy(notes=table)
            await it.deploy()
            assert value_of(await it.app.run_mutation("notes:write", {}, ANYONE)) == 1
        async with running(load_app(tmp_path), store=store) as app:
            assert value_of(await app.run_mutation("notes:write", {}, ANYONE)) == 2

    run(main())


def test_functions_that_run_during_a_deployment_finish_and_others_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as it:
            it.client.add(0, "numbers:values", {})

            async def write() -> None:
                for a in range(30):
                    await it.insert(a)

            async def reload() -> None:
                for version in range(10):
                    await it.deploy(numbers=f"{NUMBERS}\n# {version}\n")

            await asyncio.gather(write(), reload())
            await it.advance()
            assert decoded(it.shown[0]) == list(range(30))

    run(main())
