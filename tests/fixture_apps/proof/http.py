"""HTTP actions of the app."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reactor import ActionCtx, http_action

from .messages import send


@http_action("GET", "/hello")
async def hello(ctx: ActionCtx, request: Request) -> Response:
    return PlainTextResponse("hello")


@http_action("POST", "/message")
async def receive(ctx: ActionCtx, request: Request) -> Response:
    content = await request.json()
    identifier = await ctx.run_mutation(send, room=content["room"], body=content["body"])
    return JSONResponse({"id": identifier})
