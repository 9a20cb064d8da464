"""One run of a function: what it may reach, its arguments and result, and functions it calls."""

from __future__ import annotations

import pytest

from reactor.application import Application
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

ANYONE = Identity.ANONYMOUS
ANN = Identity.of_user({"tokenIdentifier": "ann"})

SOURCE = """
from typing import Annotated
from pydantic import Field

class Item(Table, name="items"):
    a: int

@query
def values(ctx: QueryCtx) -> list[int]:
    return [row.a for row in ctx.db.query(Item)]

@query
def echo(ctx: QueryCtx, value: Any) -> Any:
    return value

@query
def text(ctx: QueryCtx) -> str:
    return 5

@query
def secretive(ctx: QueryCtx) -> object:
    return object()

@query
def total(ctx: QueryCtx) -> int:
    return sum(ctx.run_query(values)) + sum(ctx.run_query("app:values"))

@internal_query
def hidden(ctx: QueryCtx) -> str:
    return "hidden"

@query
def reveal(ctx: QueryCtx) -> str:
    return ctx.run_query(hidden)

@query
def misdirected(ctx: QueryCtx) -> None:
    ctx.run_query("app:insert", a=1)

@query
def badly_called(ctx: QueryCtx) -> None:
    ctx.run_query(limited, limit=5_000)

@query
def limited(ctx: QueryCtx, limit: Annotated[int, Field(le=1_000)]) -> int:
    return limit

@query
def endless(ctx: QueryCtx) -> int:
    return ctx.run_query(endless)

@query
def leave(ctx: QueryCtx) -> None:
    raise SystemExit(3)

@query
def whoami(ctx: QueryCtx) -> str | None:
    user = ctx.auth.get_user_identity()
    return None if user is None else user["tokenIdentifier"]

@query
def who_inside(ctx: QueryCtx) -> str | None:
    return ctx.run_query(whoami)

@query
def noisy(ctx: QueryCtx) -> None:
    print("hello", {"a": 1})
    print("half a character: \\ud800")

@mutation
def insert(ctx: MutationCtx, a: int) -> Id[Item]:
    return ctx.db.insert(Item(a=a))

@mutation
def fail_after_insert(ctx: MutationCtx, a: int) -> None:
    ctx.db.insert(Item(a=a))
    raise ReactorError("no")

@mutation
def bad_result(ctx: MutationCtx, a: int) -> str:
    ctx.db.insert(Item(a=a))
    return a

@mutation
def careful(ctx: MutationCtx) -> list[int]:
    ctx.run_mutation(insert, a=1)
    for inner in (fail_after_insert, bad_result):
        try:
            ctx.run_mutation(inner, a=2)
        except Exception:
            pass
    ctx.db.insert(Item(a=3))
    return [row.a for row in ctx.db.query(Item)]

@mutation
def middle(ctx: MutationCtx) -> None:
    ctx.run_mutation(insert, a=10)
    try:
        ctx.run_mutation(fail_after_insert, a=11)
    except ReactorError:
        pass
    ctx.run_mutation(insert, a=12)

@mutation
def fail_around_middle(ctx: MutationCtx) -> None:
    ctx.run_mutation(middle)
    raise ReactorError("outer")

@mutation
def nested(ctx: MutationCtx) -> list[int]:
    ctx.run_mutation(insert, a=1)
    try:
        ctx.run_mutation(fail_around_middle)
    except ReactorError:
        pass
    ctx.run_mutation(middle)
    return [row.a for row in ctx.db.query(Item)]

@query(limits=Limits(result_bytes=100))
def long_result(ctx: QueryCtx) -> str:
    return "x" * 200

@query(limits=Limits(arguments_bytes=100, nesting=4))
def bounded(ctx: QueryCtx, value: Any) -> None:
    return None
"""


async def ask(app: Application, path: str, **args: Value) -> Outcome:
    return await app.run_query(f"app:{path}", args, ANYONE)


async def call(app: Application, path: str, **args: Value) -> Outcome:
    return await app.run_mutation(f"app:{path}", args, ANYONE)


def failure_of(path: str, **args: Value) -> str:
    """The text after the first line of a query's failure."""

    async def main() -> str:
        async with running(SOURCE) as app:
            return text_of(await ask(app, path, **args))

    return run(main())


# -- who may reach what --------------------------------------------------------------------------


def test_an_unknown_function_is_not_found() -> None:
    assert failure_of("nope") == "Could not find public function for 'app:nope'.\n"


def test_an_internal_function_is_as_unknown_to_a_client_as_one_that_is_not_there() -> None:
    assert failure_of("hidden") == "Could not find public function for 'app:hidden'.\n"


def test_an_internal_function_that_an_administrator_ran_is_not_served_to_a_client() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await app.run_query("app:hidden", {}, Identity.ADMIN)) == "hidden"
            assert "Could not find public function" in text_of(await ask(app, "hidden"))

    run(main())


def test_a_refusal_that_a_client_got_is_not_served_to_an_administrator() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            text_of(await ask(app, "hidden"))
            assert value_of(await app.run_query("app:hidden", {}, Identity.ADMIN)) == "hidden"

    run(main())


def test_an_administrator_is_told_more_about_an_unknown_function() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await ask(app, "nope")
            outcome = await app.run_query("app:nope", {}, Identity.ADMIN)
            assert text_of(outcome).startswith("Could not find function for 'app:nope'. Does app")

    run(main())


def test_a_function_of_another_type_is_named_with_both_types() -> None:
    assert failure_of("insert", a=1) == (
        "Trying to execute app.js:insert as Query, but it is defined as Mutation.\n"
    )


def test_both_spellings_of_a_path_reach_a_function() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            for path in ("app:who_inside", "app:whoInside", "app.js:whoInside"):
                assert value_of(await app.run_query(path, {}, ANN)) == "ann"

    run(main())


# -- arguments and results -----------------------------------------------------------------------


def test_wrong_arguments_are_told_in_the_words_of_the_protocol() -> None:
    assert failure_of("limited", limit="many").startswith(
        "ArgumentValidationError: Value does not match validator.\nPath: .limit\n"
    )


def test_a_result_that_does_not_match_its_annotation_is_a_failure() -> None:
    assert failure_of("text").startswith("ReturnsValidationError: Value does not match validator.")


def test_a_result_that_is_no_value_is_a_failure() -> None:
    assert "object" in failure_of("secretive")


def test_a_result_beyond_its_limit_is_refused_with_the_way_out() -> None:
    assert failure_of("long_result").startswith(
        "The result of app:longResult is too large (actual: 202 bytes, limit: 100 bytes)."
    )


def test_arguments_beyond_their_limit_are_refused() -> None:
    text = failure_of("bounded", value="x" * 200)
    assert text.startswith("Arguments for app:bounded are too large (actual: ")


def test_arguments_that_nest_too_deep_are_refused() -> None:
    text = failure_of("bounded", value=[[[[[1]]]]])
    assert text.startswith("Invalid arguments for app.js:bounded: ")


def test_a_function_that_exits_the_process_only_fails() -> None:
    assert failure_of("leave").startswith("Uncaught SystemExit: 3\n")


def test_a_function_that_calls_itself_for_ever_only_fails() -> None:
    assert failure_of("endless").startswith("Uncaught RecursionError")


# -- functions that call functions ---------------------------------------------------------------


def test_an_inner_query_runs_in_the_same_transaction() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await call(app, "insert", a=21)
            assert value_of(await ask(app, "total")) == 42

    run(main())


def test_an_inner_call_may_reach_internal_functions() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await ask(app, "reveal")) == "hidden"

    run(main())


def test_an_inner_query_cannot_be_a_mutation() -> None:
    assert failure_of("misdirected").startswith("Trying to execute app.js:insert as Query")


def test_the_arguments_of_an_inner_call_are_checked() -> None:
    assert failure_of("badly_called").startswith("ArgumentValidationError: ")


def test_what_an_inner_query_looks_at_counts_for_the_outer_one() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await app.run_query("app:whoInside", {}, ANN)) == "ann"
            assert value_of(await ask(app, "whoInside")) is None

    run(main())


def test_an_inner_mutation_that_fails_and_is_caught_is_rolled_back_alone() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await call(app, "careful")) == [1, 3]
            assert value_of(await ask(app, "values")) == [1, 3]

    run(main())


def test_rolled_back_mutations_nest() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert value_of(await call(app, "nested")) == [1, 10, 12]
            assert value_of(await ask(app, "values")) == [1, 10, 12]

    run(main())


def test_a_mutation_that_fails_writes_nothing() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert (await call(app, "fail_after_insert", a=1)).error is not None
            assert (await call(app, "bad_result", a=1)).error is not None
            assert value_of(await ask(app, "values")) == []

    run(main())


# -- log lines -----------------------------------------------------------------------------------


def test_what_a_function_prints_comes_with_its_outcome() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert (await ask(app, "noisy")).log_lines == (
                "[LOG] 'hello' { a: 1 }",
                "[LOG] 'half a character: \\ud800'",
            )

    run(main())


@pytest.mark.parametrize("redact", [False, True])
def test_a_redacting_deployment_sends_no_log_lines(redact: bool) -> None:
    async def main() -> None:
        async with running(SOURCE, redact=redact) as app:
            assert ((await ask(app, "noisy")).log_lines == ()) == redact

    run(main())
