"""Clients, slow queries, writes and a failing store in any order: what hypothesis finds.

As on a real connection, a client is changed and advanced by one driver, and advanced again only
when it was changed or told to. Every result that it holds is compared with what the database held
at the timestamp of its last advance.
"""

from __future__ import annotations

import asyncio
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.errors import Problem, StoreUnavailable
from reactor.identity import Identity
from reactor.live.live_client import LiveClient
from reactor.types import Timestamp
from tests.engine.databases import begin, items, open_database
from tests.engine.faulty_store import FaultyStore
from tests.live.test_live_queries import ANN, BEN, Live, Run, page

IDENTITIES = [ANN, BEN, Identity.ANONYMOUS]
NAMES = {ANN: "ann", BEN: "ben", Identity.ANONYMOUS: "nobody"}
PATHS = ["all", "one", "mine", "secret", "page", "slow", "slow secret", "slow page"]


def secret(run: Run) -> Value:
    """Looks at the identity only while there is a 1 and not both 1 and 2."""
    return run.who() if run.values(1) and not run.values(2) else "open"


class Driven:
    """One client with its driver's knowledge."""

    def __init__(self, it: Live) -> None:
        self.live = LiveClient(it.database, it.queries, self._on_dirty)
        self.dirty = False
        self.identity = Identity.ANONYMOUS
        self.paths: dict[int, str] = {}
        self.shown: dict[int, Outcome] = {}
        self.advancing: asyncio.Task[None] | None = None
        self.ts: Timestamp = 0
        self._next_id = 0

    def _on_dirty(self) -> None:
        self.dirty = True

    @property
    def busy(self) -> bool:
        return self.advancing is not None and not self.advancing.done()

    def add(self, path: str) -> None:
        self.live.add(self._next_id, path, {})
        self.paths[self._next_id] = path
        self._next_id += 1
        self.dirty = True

    def remove(self) -> None:
        if self.paths:
            query_id, _ = self.paths.popitem()
            self.live.remove(query_id)
            self.shown.pop(query_id, None)

    def become(self, identity: Identity) -> None:
        self.identity = identity
        self.live.set_identity(identity)
        self.dirty = True

    def start(self) -> None:
        if self.dirty and not self.busy:
            self.advancing = asyncio.create_task(self._advance())

    async def _advance(self) -> None:
        self.dirty = False
        try:
            advance = await self.live.advance()
        except BaseException as error:
            self.dirty = True  # the next one must make up for it
            if not isinstance(error, Problem):
                raise
            return
        self.ts = advance.ts
        self.shown.update(advance.results)


class Scenario:
    """The live queries, their clients, and what was true at which time."""

    def __init__(self, it: Live, store: FaultyStore) -> None:
        self.it = it
        self.store = store
        self.clients = [Driven(it) for _ in range(3)]
        for client, identity in zip(self.clients, IDENTITIES, strict=True):
            client.become(identity)
            client.add("secret")
            client.add("slow secret")
        self.history: list[tuple[Timestamp, list[int]]] = [(0, [])]
        self.unused = [5, 1, 9, 2, 3, 8, 6, 4, 7]
        it.scripted.queries = {
            "all": lambda run: run.values(),
            "slow": lambda run: run.values(),
            "one": lambda run: run.values(1),
            "mine": lambda run: run.who(),
            "secret": secret,
            "slow secret": secret,
            "page": page,
            "slow page": page,
        }
        self.hold_slow()

    def hold_slow(self) -> None:
        for path in PATHS:
            if path.startswith("slow"):
                self.it.scripted.slow[path] = asyncio.Event()

    def release_slow(self) -> None:
        for gate in self.it.scripted.slow.values():
            gate.set()

    async def write(self) -> None:
        if self.unused:
            a = self.unused.pop(0)
            ts = await self.it.insert(a)
            self.history.append((ts, sorted([*self.history[-1][1], a])))

    async def fail_to_write(self) -> None:
        transaction = begin(self.it.database)
        transaction.insert(items(self.it.database), {"a": 1})
        self.store.fail()
        ts = self.it.database.commit(transaction)
        assert isinstance(ts, int)
        try:
            await self.it.database.wait_durable(ts)
        except StoreUnavailable:
            return
        raise AssertionError("the store should have failed")

    async def step(self, what: str, which: int, pick: int) -> None:
        client = self.clients[which]
        match what:
            case "write":
                await self.write()
            case "fail":
                await self.fail_to_write()
            case "advance":
                client.start()
            case "cancel" if client.busy and client.advancing is not None:
                client.advancing.cancel()
                await asyncio.gather(client.advancing, return_exceptions=True)
            case "overload":
                self.it.scripted.failing = not self.it.scripted.failing
            case "release":
                self.release_slow()
            case "slow":
                self.release_slow()
                self.hold_slow()
            case "turn":
                await asyncio.sleep(0)
            case _ if client.busy:
                pass
            case "add":
                client.add(PATHS[pick % len(PATHS)])
            case "remove":
                client.remove()
            case "identity":
                client.become(IDENTITIES[pick % len(IDENTITIES)])
        self.it.queries.check()
        for each in self.clients:
            self.check_client(each)

    async def settle(self) -> None:
        """Let everything end; clients go on only when they were told to."""
        self.it.scripted.failing = False
        self.release_slow()
        self.it.scripted.slow.clear()
        for client in self.clients:
            client.dirty |= client.advancing is None
        for _ in range(100):
            for client in self.clients:
                client.start()
            waiting = [c.advancing for c in self.clients if c.busy and c.advancing is not None]
            tasks = list(self.it.queries._tasks)
            if not waiting and not tasks:
                return
            await asyncio.wait([*waiting, *tasks])
        raise AssertionError("the clients never came to rest")

    def check_client(self, client: Driven) -> None:
        """What it holds was true, all of it, at the timestamp of its last advance."""
        if client.busy or client.dirty:
            return
        rows = next(rows for ts, rows in reversed(self.history) if ts <= client.ts)
        for query_id, outcome in client.shown.items():
            path = client.paths[query_id].removeprefix("slow ")
            assert outcome.value is not None
            value = wire.decode(outcome.value)
            assert value == self.expected(path, rows, client, outcome), (path, client.ts)

    def expected(self, path: str, rows: list[int], client: Driven, outcome: Outcome) -> Value:
        match path:
            case "one":
                return [1] if 1 in rows else []
            case "mine":
                return NAMES[client.identity]
            case "secret":
                return NAMES[client.identity] if 1 in rows and 2 not in rows else "open"
            case "page":
                assert outcome.journal is not None
                return [a for a in rows if a <= int(outcome.journal)]
            case _:
                return cast("list[Value]", rows)

    def check_rest(self) -> None:
        """Nobody was left behind: a client that was told of nothing more has the newest state."""
        newest = self.it.database.durable
        for client in self.clients:
            assert not client.dirty and client.shown.keys() == client.paths.keys()
            client.ts = newest
            self.check_client(client)
            client.live.close()
        assert self.it.database._held == {}
        self.it.queries.check()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "write",
                "write",
                "advance",
                "advance",
                "advance",
                "add",
                "add",
                "remove",
                "identity",
                "turn",
                "slow",
                "release",
                "cancel",
                "overload",
                "fail",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 23),
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_clients_always_hold_one_moment_and_in_the_end_the_newest(
    steps: list[tuple[str, int, int]],
) -> None:
    async def main() -> None:
        store = FaultyStore()
        async with asyncio.timeout(30), open_database(store) as database:
            scenario = Scenario(Live(database), store)
            for what, which, pick in steps:
                await scenario.step(what, which, pick)
            await scenario.settle()
            scenario.check_rest()
            await scenario.it.queries.close()

    asyncio.run(main())
