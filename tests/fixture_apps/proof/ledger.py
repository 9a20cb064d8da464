"""Records that are half there only if a transaction was torn."""

from __future__ import annotations

from typing import TypedDict

from reactor import MutationCtx, QueryCtx, mutation, query

from .schema import Half


class Record(TypedDict):
    sequence: int
    side: str


@mutation
def record(ctx: MutationCtx, client: str, sequence: int) -> int:
    ctx.db.insert(Half(client=client, sequence=sequence, side="left"))
    ctx.db.insert(Half(client=client, sequence=sequence, side="right"))
    return sequence


@query
def records(ctx: QueryCtx, client: str) -> list[Record]:
    halves = ctx.db.query(Half).with_index("by_client").eq(client=client)
    return [{"sequence": half.sequence, "side": half.side} for half in halves]


@query
def halves(ctx: QueryCtx, client: str) -> int:
    return ctx.db.query(Half).with_index("by_client").eq(client=client).count()
