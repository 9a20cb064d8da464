"""A chat: lists, counts, pages and writes of messages in rooms."""

from __future__ import annotations

from reactor import (
    Id,
    MutationCtx,
    Page,
    PaginationOptions,
    QueryCtx,
    ReactorError,
    internal_query,
    mutation,
    query,
)

from .schema import Message


@query
def list_messages(ctx: QueryCtx, room: str) -> list[Message]:
    return ctx.db.query(Message).with_index("by_room").eq(room=room).collect()


@query
def list_bodies(ctx: QueryCtx, room: str) -> list[str]:
    return [message.body for message in list_messages(ctx, room)]


@query
def count(ctx: QueryCtx, room: str) -> int:
    return ctx.db.query(Message).with_index("by_room").eq(room=room).count()


@query
def page(ctx: QueryCtx, room: str, pagination_opts: PaginationOptions) -> Page[Message]:
    return ctx.db.query(Message).with_index("by_room").eq(room=room).paginate(pagination_opts)


@query
def get(ctx: QueryCtx, id: Id[Message]) -> Message | None:
    return ctx.db.get(id)


@internal_query
def hidden(ctx: QueryCtx) -> str:
    return "only for this app's own code"


@mutation
def send(ctx: MutationCtx, room: str, body: str, number: float = 0) -> Id[Message]:
    return ctx.db.insert(Message(room=room, body=body, number=number))


@mutation
def fill(ctx: MutationCtx, room: str, numbers: list[float]) -> None:
    for number in numbers:
        ctx.db.insert(Message(room=room, body=f"message {number:g}", number=number))


@mutation
def remove(ctx: MutationCtx, room: str, numbers: list[float]) -> int:
    removed = 0
    for number in numbers:
        for message in ctx.db.query(Message).with_index("by_room").eq(room=room, number=number):
            ctx.db.delete(message.id)
            removed += 1
    return removed


@mutation
def send_and_refuse(ctx: MutationCtx, room: str, body: str) -> None:
    ctx.db.insert(Message(room=room, body=body, number=0))
    raise ReactorError({"code": "REFUSED", "room": room})
