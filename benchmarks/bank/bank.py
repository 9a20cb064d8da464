"""Accounts and transfers: the smallest mutation that reads and writes two documents."""

from __future__ import annotations

from reactor import Id, MutationCtx, QueryCtx, ReactorError, mutation, query

from .schema import Account


@mutation
def open_accounts(ctx: MutationCtx, count: int) -> list[Id[Account]]:
    return [ctx.db.insert(Account(number=number, balance=1000.0)) for number in range(count)]


@mutation
def transfer(ctx: MutationCtx, source: Id[Account], target: Id[Account], amount: float) -> None:
    payer, payee = ctx.db.get(source), ctx.db.get(target)
    if payer is None or payee is None:
        raise ReactorError("no such account")
    ctx.db.patch(source, balance=payer.balance - amount)
    ctx.db.patch(target, balance=payee.balance + amount)


@query
def balance(ctx: QueryCtx, account: Id[Account]) -> float:
    found = ctx.db.get(account)
    return 0.0 if found is None else found.balance


@query
def total(ctx: QueryCtx) -> float:
    return sum(account.balance for account in ctx.db.query(Account))
