"""A small app for the server's tests: functions and HTTP actions of every kind, in one module."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from reactor import (
    ActionCtx,
    Index,
    Int64,
    MutationCtx,
    QueryCtx,
    ReactorError,
    Table,
    action,
    http_action,
    internal_query,
    mutation,
    query,
)

#: Set by a test to let `add_when_allowed` go on; it tells by `entered` that it has begun.
allowed = threading.Event()
entered = threading.Event()


class Item(Table, name="items"):
    text: str
    by_text = Index("text")


@query
def list_items(ctx: QueryCtx) -> list[str]:
    return [item.text for item in ctx.db.query(Item)]


@query
def count(ctx: QueryCtx) -> int:
    return ctx.db.query(Item).count()


@mutation
def add(ctx: MutationCtx, text: str) -> str:
    ctx.db.insert(Item(text=text))
    return f"added {text}"


@mutation(slow=True)
def add_when_allowed(ctx: MutationCtx, text: str) -> None:
    entered.set()
    assert allowed.wait(4)
    ctx.db.insert(Item(text=text))


@query
def echo(ctx: QueryCtx, value: Any = None) -> Any:
    return value


@action
async def act(ctx: ActionCtx, text: str) -> Any:
    return await ctx.run_mutation(add, text=text)


@query
def big(ctx: QueryCtx, size: float, salt: float = 0) -> str:
    return f"{salt}" + "é" * int(size)


@query
def big_number(ctx: QueryCtx) -> Int64:
    return Int64(5)


@internal_query
def hidden(ctx: QueryCtx) -> str:
    return "hidden"


@query
def who(ctx: QueryCtx) -> Any:
    return ctx.auth.get_user_identity()


@query
def says(ctx: QueryCtx) -> None:
    print("hi")


@query
def fails(ctx: QueryCtx) -> None:
    raise ValueError("the secret")


@query
def refuses(ctx: QueryCtx, data: Any = None) -> None:
    raise ReactorError(data)


@http_action("GET", "/hello")
async def hello(ctx: ActionCtx, request: Request) -> Response:
    return PlainTextResponse("hello", headers={"X-Method": request.method})


@http_action("POST", "/body")
async def body(ctx: ActionCtx, request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


@http_action("GET", prefix="/files/")
async def files(ctx: ActionCtx, request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "query": request.url.query})


@http_action("GET", "/stream")
async def stream(ctx: ActionCtx, request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"part {number};"

    return StreamingResponse(parts())


@http_action("GET", "/boom")
async def boom(ctx: ActionCtx, request: Request) -> Response:
    raise ValueError("the secret")


@http_action("GET", "/refuse")
async def refuse(ctx: ActionCtx, request: Request) -> Response:
    raise ReactorError({"code": 7})


@http_action("GET", "/teapot")
async def teapot(ctx: ActionCtx, request: Request) -> Response:
    raise HTTPException(418, "a teapot")


@http_action("GET", "/who")
async def http_who(ctx: ActionCtx, request: Request) -> Response:
    identity = await ctx.run_query(who)
    return JSONResponse({"identity": identity, "header": request.headers.get("authorization")})
