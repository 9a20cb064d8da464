"""Two accounts whose sum never changes: what shows a torn view."""

from __future__ import annotations

from reactor import MutationCtx, QueryCtx, ReactorError, mutation, query

from .schema import Account


def find(ctx: QueryCtx | MutationCtx, group: str, owner: str) -> Account:
    account = ctx.db.query(Account).with_index("by_group").eq(group=group, owner=owner).unique()
    if account is None:
        raise ReactorError({"code": "NO_ACCOUNT", "owner": owner})
    return account


@mutation
def open_pair(ctx: MutationCtx, group: str, amount: float) -> None:
    for owner in ("left", "right"):
        ctx.db.insert(Account(group=group, owner=owner, balance=amount))


@mutation
def transfer(ctx: MutationCtx, group: str, source: str, target: str, amount: float) -> None:
    payer, payee = find(ctx, group, source), find(ctx, group, target)
    ctx.db.patch(payer.id, balance=payer.balance - amount)
    ctx.db.patch(payee.id, balance=payee.balance + amount)


@query
def balance(ctx: QueryCtx, group: str, owner: str) -> float:
    return find(ctx, group, owner).balance
