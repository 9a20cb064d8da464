"""Actions: each call in a transaction of its own, failures of callees, the limit, HTTP actions."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import Response

from reactor.application import Application
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.errors import NotFound
from reactor.functions.runner import FunctionLog
from reactor.identity import Identity
from tests.functions.running_apps import run, running, text_of, value_of

ANYONE = Identity.ANONYMOUS
ANN = Identity.of_user({"tokenIdentifier": "ann"})

SOURCE = """
import asyncio
from starlette.requests import Request
from starlette.responses import Response

class Item(Table, name="items"):
    a: int

cancelled: list[str] = []
begun = asyncio.Event()

@internal_mutation
def insert(ctx: MutationCtx, a: int) -> Id[Item]:
    if a < 0:
        raise ReactorError({"negative": a})
    if a == 0:
        raise ValueError("zero")
    return ctx.db.insert(Item(a=a))

@query
def values(ctx: QueryCtx) -> list[int]:
    return [row.a for row in ctx.db.query(Item)]

@query
def items(ctx: QueryCtx) -> list[Item]:
    return ctx.db.query(Item).collect()

@query
def whoami(ctx: QueryCtx) -> str | None:
    user = ctx.auth.get_user_identity()
    return None if user is None else user["tokenIdentifier"]

@action
async def fill(ctx: ActionCtx, numbers: list[int]) -> list[int]:
    for a in numbers:
        await ctx.run_mutation(insert, a=a)
    return await ctx.run_query("app:values")

@action
async def typed(ctx: ActionCtx) -> list[int]:
    return [item.a for item in await ctx.run_query(items)]

@action
async def careful(ctx: ActionCtx) -> Any:
    try:
        await ctx.run_mutation(insert, a=-1)
    except ReactorError as error:
        return error.data

@action
async def around(ctx: ActionCtx, a: int) -> None:
    await ctx.run_action(fill, numbers=[a])

@action
async def who_calls(ctx: ActionCtx) -> Any:
    return [await ctx.run_query(whoami), ctx.auth.get_user_identity()["tokenIdentifier"]]

@action
async def misdirected(ctx: ActionCtx) -> None:
    await ctx.run_mutation("app:values")

@action
async def badly_called(ctx: ActionCtx) -> None:
    await ctx.run_mutation(insert, a="many")

@action(limits=Limits(action_seconds=0.05))
async def for_ever(ctx: ActionCtx) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.append("for_ever")

@action
async def own_timeout(ctx: ActionCtx) -> None:
    raise TimeoutError("of my own")

@action
async def waiting(ctx: ActionCtx) -> None:
    begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.append("waiting")

@action
async def parallel(ctx: ActionCtx) -> list[int]:
    await asyncio.gather(*(ctx.run_mutation(insert, a=a) for a in range(1, 11)))
    return sorted(await ctx.run_query(values))

@action
async def noisy(ctx: ActionCtx) -> str:
    print("in the action")
    return 5

@http_action("POST", "/insert")
async def receive(ctx: ActionCtx, request: Request) -> Response:
    print("received")
    await ctx.run_mutation(insert, **await request.json())
    return Response(status_code=201)

@http_action("GET", "/nothing")
async def nothing(ctx: ActionCtx, request: Request) -> Response:
    return None
"""


async def act(app: Application, path: str, identity: Identity = ANYONE, **args: Value) -> Outcome:
    return await app.run_action(f"app:{path}", args, identity)


def outcome_of(path: str, identity: Identity = ANYONE, **args: Value) -> Outcome:
    async def main() -> Outcome:
        async with running(SOURCE) as app:
            return await act(app, path, identity, **args)

    return run(main())


def test_an_action_sees_what_its_mutations_wrote() -> None:
    assert value_of(outcome_of("fill", numbers=[1, 2])) == [1, 2]


def test_mutations_before_a_failure_stay() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert (await act(app, "fill", numbers=[1, -2, 3])).error is not None
            assert value_of(await app.run_query("app:values", {}, ANYONE)) == [1]

    run(main())


def test_an_action_gets_typed_documents() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            await act(app, "fill", numbers=[4])
            assert value_of(await act(app, "typed")) == [4]

    run(main())


def test_calls_may_run_side_by_side() -> None:
    assert value_of(outcome_of("parallel")) == list(range(1, 11))


def test_an_application_error_of_a_callee_can_be_caught_with_its_data() -> None:
    assert value_of(outcome_of("careful")) == {"negative": -1}


def test_an_application_error_of_a_callee_reaches_the_caller_of_the_action() -> None:
    outcome = outcome_of("around", a=-1)
    assert outcome.error is not None and outcome.error.data == b'{"negative":-1}'


def test_a_failure_of_a_callee_is_told_once() -> None:
    text = text_of(outcome_of("around", a=0))
    assert text.startswith("Uncaught ValueError: zero\n    at insert (")
    assert "Request ID" not in text


def test_the_identity_of_the_caller_counts_in_the_calls_of_an_action() -> None:
    assert value_of(outcome_of("who_calls", ANN)) == ["ann", "ann"]


def test_a_call_of_the_wrong_type_fails() -> None:
    text = text_of(outcome_of("misdirected"))
    assert text.startswith(
        "Trying to execute app.js:values as Mutation, but it is defined as Query."
    )


def test_the_arguments_of_a_call_are_checked() -> None:
    assert text_of(outcome_of("badly_called")).startswith("ArgumentValidationError: ")


def test_an_action_that_takes_too_long_is_cancelled_with_the_way_out() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert text_of(await act(app, "for_ever")).startswith(
                "Function execution timed out: app:forEver ran longer than its limit of 0.05 s "
                "(action_seconds)."
            )
            spec = app.loaded.registry.find("app:forEver")
            assert spec is not None and spec.handler.__globals__["cancelled"] == ["for_ever"]

    run(main())


def test_a_timeout_of_the_actions_own_is_its_own_failure() -> None:
    assert text_of(outcome_of("own_timeout")).startswith("Uncaught TimeoutError: of my own")


def test_cancelling_the_caller_cancels_the_action() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            spec = app.loaded.registry.find("app:waiting")
            assert spec is not None
            module = spec.handler.__globals__
            running_action = asyncio.create_task(act(app, "waiting"))
            await module["begun"].wait()
            running_action.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running_action
            assert module["cancelled"] == ["waiting"]

    run(main())


def test_the_result_and_the_log_of_an_action_are_told() -> None:
    outcome = outcome_of("noisy")
    assert text_of(outcome).startswith("ReturnsValidationError: ")
    assert outcome.log_lines == ("[LOG] 'in the action'",)


# -- HTTP actions --------------------------------------------------------------------------------


def request(method: str, path: str, body: bytes = b"") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    return Request(scope, receive)


async def http(app: Application, method: str, path: str, body: bytes = b"") -> Response:
    return await app.handle_http_action(request(method, path, body), path, ANYONE)


def test_an_http_action_may_call_internal_functions() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            assert (await http(app, "POST", "/insert", b'{"a": 5}')).status_code == 201
            assert value_of(await app.run_query("app:values", {}, ANYONE)) == [5]

    run(main())


def test_an_exception_of_an_http_action_passes_and_is_logged() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            seen: list[FunctionLog] = []
            app.on_log = seen.append
            with pytest.raises(Exception, match="zero"):
                await http(app, "POST", "/insert", b'{"a": 0}')
            assert seen[-1].error is not None and seen[-1].log_lines == ("[LOG] 'received'",)

    run(main())


def test_an_http_action_that_returns_no_response_is_told_what_to_return() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(TypeError, match=r"returned NoneType, not a\s+starlette Response"):
                await http(app, "GET", "/nothing")

    run(main())


def test_a_path_without_an_http_action_is_not_found() -> None:
    async def main() -> None:
        async with running(SOURCE) as app:
            with pytest.raises(NotFound, match="No matching routes found"):
                await http(app, "GET", "/insert")

    run(main())
