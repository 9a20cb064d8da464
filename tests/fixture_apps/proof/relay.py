"""Actions, which are no transaction: they call queries and mutations."""

from __future__ import annotations

from reactor import ActionCtx, action

from .messages import count, hidden, send, send_and_refuse


@action
async def relay(ctx: ActionCtx, room: str, bodies: list[str]) -> int:
    for body in bodies:
        await ctx.run_mutation(send, room=room, body=body)
    return await ctx.run_query(count, room=room)


@action
async def ask_for_the_hidden(ctx: ActionCtx) -> str:
    return await ctx.run_query(hidden)


@action
async def relay_to_a_failure(ctx: ActionCtx, room: str) -> None:
    await ctx.run_mutation(send_and_refuse, room=room, body="refused")
