"""What a function is handed as its first argument.

A query and a mutation get one transaction: their contexts have `db`, and calls to other functions
run inside the same transaction. An action has no transaction; each of its calls is one of its own.

Time and chance are fixed for a transaction: `now()` and `random` give the same on a re-run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Protocol, TypeAlias

from reactor.functions.db import DatabaseReader, DatabaseWriter
from reactor.identity import Identity
from reactor.runtime import Clock, seeded

#: A declared function, or its path such as `"events:store"`.
FunctionReference: TypeAlias = Callable[..., Any] | str


class Auth:
    """Who is calling. Looking at it makes a query's result depend on the caller."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.observed = False

    def get_user_identity(self) -> dict[str, object] | None:
        """The signed-in user's attributes (`tokenIdentifier`, `issuer`, `subject`, …), or None."""
        self.observed = True
        return self._identity.user()


class Determinism:
    """The clock and the random numbers of one run; knows whether they were looked at."""

    def __init__(self, now_ns: int, seed: bytes) -> None:
        self._now_ns = now_ns
        self._seed = seed
        self._random: Random | None = None
        self.observed = False

    def now_ms(self) -> float:
        self.observed = True
        return self._now_ns / 1e6

    @property
    def random(self) -> Random:
        self.observed = True
        if self._random is None:
            self._random = seeded(self._seed)
        return self._random


class TransactionCalls(Protocol):
    """Runs another function inside the calling transaction (the runner)."""

    def run_query(self, function: FunctionReference, args: dict[str, Any]) -> Any: ...
    def run_mutation(self, function: FunctionReference, args: dict[str, Any]) -> Any: ...


class QueryCtx:
    """The context of a query. `db` reads; nothing can be written."""

    def __init__(
        self, db: DatabaseReader, auth: Auth, determinism: Determinism, calls: TransactionCalls
    ) -> None:
        self.db = db
        self.auth = auth
        self._determinism = determinism
        self._calls = calls

    def now(self) -> float:
        """Milliseconds since the Unix epoch, the same throughout this run."""
        return self._determinism.now_ms()

    @property
    def random(self) -> Random:
        """Random numbers that a re-run of this transaction draws again."""
        return self._determinism.random

    def run_query(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run another query in this transaction and return its result."""
        return self._calls.run_query(function, args)


class MutationCtx(QueryCtx):
    """The context of a mutation: all its reads and writes are one transaction."""

    db: DatabaseWriter

    def __init__(
        self, db: DatabaseWriter, auth: Auth, determinism: Determinism, calls: TransactionCalls
    ) -> None:
        super().__init__(db, auth, determinism, calls)
        self.db = db

    def run_mutation(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run another mutation as part of this one.

        If it raises and you catch that, its writes are taken back and yours stay.
        """
        return self._calls.run_mutation(function, args)


class ActionCalls(Protocol):
    """Runs functions on behalf of an action, each in a transaction of its own (the runner)."""

    def run_query(self, function: FunctionReference, args: dict[str, Any]) -> Awaitable[Any]: ...
    def run_mutation(self, function: FunctionReference, args: dict[str, Any]) -> Awaitable[Any]: ...
    def run_action(self, function: FunctionReference, args: dict[str, Any]) -> Awaitable[Any]: ...


class ActionCtx:
    """The context of an action or HTTP action: may await anything, has no transaction."""

    def __init__(self, auth: Auth, calls: ActionCalls, clock: Clock, random: Random) -> None:
        self.auth = auth
        self.random = random
        self._calls = calls
        self._clock = clock

    def now(self) -> float:
        """Milliseconds since the Unix epoch, now."""
        return self._clock.now_ns() / 1e6

    async def run_query(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a query on the newest state."""
        return await self._calls.run_query(function, args)

    async def run_mutation(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a mutation; it is durable when this returns."""
        return await self._calls.run_mutation(function, args)

    async def run_action(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run another action."""
        return await self._calls.run_action(function, args)
