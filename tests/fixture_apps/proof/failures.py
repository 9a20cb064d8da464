"""Functions that fail in every way that a client can see."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import Field

from reactor import ActionCtx, Limits, MutationCtx, QueryCtx, ReactorError, action, mutation, query

from .schema import Message

SECRET = "the-secret-in-the-message"


@query
def query_fails(ctx: QueryCtx) -> None:
    raise ValueError(SECRET)


@mutation
def mutation_fails(ctx: MutationCtx, room: str) -> None:
    ctx.db.insert(Message(room=room, body="never there", number=0))
    raise ValueError(SECRET)


@action
async def action_fails(ctx: ActionCtx) -> None:
    raise ValueError(SECRET)


@query
def query_refuses(ctx: QueryCtx, data: Any) -> None:
    raise ReactorError(data)


@mutation
def mutation_refuses(ctx: MutationCtx, data: Any) -> None:
    raise ReactorError(data)


@action
async def action_refuses(ctx: ActionCtx, data: Any) -> None:
    raise ReactorError(data)


@query
def limited(ctx: QueryCtx, text: str, amount: Annotated[int, Field(ge=1, le=10)] = 5) -> str:
    return text * amount


@query
def returns_wrongly(ctx: QueryCtx) -> str:
    return 5  # type: ignore[return-value]


@query
def logs(ctx: QueryCtx) -> None:
    print("hello from the query", 5)
    logging.getLogger(__name__).warning("careful")


@query(limits=Limits(run_seconds=0.5, ranges_read=10**9))
def runs_for_ever(ctx: QueryCtx, room: str) -> None:
    while True:
        ctx.db.query(Message).with_index("by_room").eq(room=room).first()
