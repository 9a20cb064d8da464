"""Limits count what a function does, and nothing that the framework does for it."""

from __future__ import annotations

import pytest

from reactor.application import Application
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

SOURCE = """
class Row(Table, name="rows"):
    text: str

@mutation(limits=Limits(documents_written=3))
def insert(ctx: MutationCtx, count: int) -> int:
    for _ in range(count):
        ctx.db.insert(Row, text="x")
    return count

@mutation(limits=Limits(bytes_written=400))
def insert_large(ctx: MutationCtx) -> str:
    ctx.db.insert(Row, text="x" * 250)
    return "y" * 1000

@query(limits=Limits(documents_read=2, ranges_read=1))
def take(ctx: QueryCtx, count: int) -> int:
    return len(ctx.db.query(Row).take(count))

@query(limits=Limits(nesting=3))
def nested(ctx: QueryCtx, levels: int) -> Any:
    value: Any = "[[[[ not a level }}"
    for _ in range(levels):
        value = [value]
    return value

@query
def endless(ctx: QueryCtx) -> Any:
    value: list[Any] = []
    value.append(value)
    return value
"""


async def session_mutation(app: Application, path: str, **args: object) -> str:
    """The outcome of a mutation that comes over a WebSocket, as text."""
    outcome = await app.run_mutation(
        path,
        args,  # type: ignore[arg-type]
        Identity.ANONYMOUS,
        request=("9e3c5b0e-0000-4000-8000-000000000000", 1),
    )
    return text_of(outcome) if outcome.error is not None else str(value_of(outcome))


@pytest.mark.parametrize(("path", "args"), [("app:insert", {"count": 3}), ("app:insertLarge", {})])
def test_remembering_a_request_counts_towards_no_limit_of_its_function(
    path: str, args: dict[str, int]
) -> None:
    async def main() -> str:
        async with running(SOURCE) as app:
            return await session_mutation(app, path, **args)

    assert run(main()) in ("3", "y" * 1000)


def test_a_broken_write_limit_is_a_failure_of_the_function_that_names_its_table() -> None:
    async def main() -> str:
        async with running(SOURCE) as app:
            return await session_mutation(app, "app:insert", count=4)

    text = run(main())
    assert "Too many writes in a single function execution (limit: 3)" in text
    assert "rows" in text


def test_exactly_as_many_documents_as_the_limit_says_may_be_read() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await app.mutation("app:insert", count=3)
            assert await app.query("app:take", count=2) == 2
            with pytest.raises(Exception, match=r"limit: 2.*rows\.by_creation_time"):
                await app.query("app:take", count=3)

    run(main())


def test_a_result_may_nest_as_deep_as_the_limit_says_and_no_deeper() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert await app.query("app:nested", levels=3) == [[["[[[[ not a level }}"]]]
            with pytest.raises(Exception, match="too nested"):
                await app.query("app:nested", levels=4)

    run(main())


def test_a_result_that_contains_itself_is_refused_with_a_reason() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(Exception, match="contains itself"):
                await app.query("app:endless")

    run(main())
