"""One client's watched queries: always at one timestamp, and never without news that it is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from reactor.data import wire
from reactor.data.values import Value
from reactor.errors import Overloaded
from reactor.identity import Identity
from reactor.live.live_client import Advance, LiveClient
from tests.engine.databases import begin, items
from tests.live.test_live_queries import ANN, BEN, Live, Run, live, page, settled


class Client:
    """A live client that is advanced by hand, with what it was told so far."""

    def __init__(self, it: Live) -> None:
        self.dirty = 0
        self.shown: dict[int, Value] = {}
        self.live = LiveClient(it.database, it.queries, self._on_dirty)

    def _on_dirty(self) -> None:
        self.dirty += 1

    def add(self, query_id: int, path: str, journal: str | None = None) -> None:
        self.live.add(query_id, path, {}, journal)

    async def advance(self) -> Advance:
        """Bring it up to date; what it was told of before is then taken care of."""
        self.dirty = 0
        advance = await self.live.advance()
        for query_id, outcome in advance.results:
            assert outcome.value is not None
            self.shown[query_id] = wire.decode(outcome.value)
        return advance

    async def news(self) -> dict[int, Value]:
        advance = await self.advance()
        return {query_id: self.shown[query_id] for query_id, _ in advance.results}


@asynccontextmanager
async def client_of(it: Live, *paths: str) -> AsyncIterator[Client]:
    client = Client(it)
    for query_id, path in enumerate(paths):
        client.add(query_id, path)
    try:
        yield client
    finally:
        client.live.close()


# -- what is reported ----------------------------------------------------------------------------


def test_a_new_query_is_reported_once() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "all") as client:
            assert await client.news() == {0: []}
            assert await client.news() == {}

    asyncio.run(main())


def test_results_are_reported_in_the_order_of_their_ids() -> None:
    async def main() -> None:
        async with live() as it, client_of(it) as client:
            for query_id in (5, 1, 3):
                client.add(query_id, "all")
            assert [query_id for query_id, _ in (await client.advance()).results] == [1, 3, 5]

    asyncio.run(main())


def test_only_what_changed_is_reported() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one", "all") as client:
            await client.advance()
            await it.insert(2)
            assert await client.news() == {1: [2]}

    asyncio.run(main())


def test_a_removed_query_is_reported_no_more() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one", "all") as client:
            await client.advance()
            client.live.remove(1)
            await it.insert(2)
            await settled(it)
            assert await client.news() == {}
            assert client.dirty == 0

    asyncio.run(main())


def test_a_query_removed_during_an_advance_is_not_reported_by_it() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one", "all") as client:
            it.scripted.slow["all"] = asyncio.Event()
            advancing = asyncio.create_task(client.advance())
            await it.scripted.begun.wait()
            client.live.remove(1)
            it.scripted.slow["all"].set()
            assert [query_id for query_id, _ in (await advancing).results] == [0]

    asyncio.run(main())


def test_a_client_closed_during_an_advance_watches_nothing_afterwards() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one", "mine") as client:
            it.scripted.slow["one"] = asyncio.Event()
            advancing = asyncio.create_task(client.advance())
            await it.scripted.begun.wait()
            client.live.close()
            it.scripted.slow["one"].set()
            assert (await advancing).results == ()
            assert not any(query.watchers for query in it.queries._by_key.values())

    asyncio.run(main())


def test_an_advance_that_was_cancelled_is_made_up_for_by_the_next() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one", "all") as client:
            it.scripted.slow["all"] = asyncio.Event()
            advancing = asyncio.create_task(client.advance())
            await it.scripted.begun.wait()
            advancing.cancel()
            await asyncio.gather(advancing, return_exceptions=True)
            it.scripted.slow["all"].set()
            assert await client.news() == {0: [], 1: []}
            assert it.database._held == {}

    asyncio.run(main())


def test_an_advance_that_failed_is_made_up_for_by_the_next() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one") as client:
            await client.advance()
            client.add(1, "all")
            it.scripted.failing = True
            with pytest.raises(Overloaded):
                await client.advance()
            it.scripted.failing = False
            assert await client.news() == {1: []}

    asyncio.run(main())


# -- news ----------------------------------------------------------------------------------------


def test_a_client_is_told_when_another_one_had_the_shared_query_run_again() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one") as eager, client_of(it, "one") as other:
            await eager.advance()
            await other.advance()
            await it.insert(1)
            await eager.advance()
            await settled(it)
            assert other.dirty
            assert await other.news() == {0: [1]}

    asyncio.run(main())


def test_a_client_that_got_an_older_result_of_a_shared_query_is_told_to_go_on() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "slow", "one") as client:
            it.scripted.queries["slow"] = lambda run: 1
            it.scripted.slow["slow"] = asyncio.Event()
            async with client_of(it, "one") as other:
                await other.advance()
                advancing = asyncio.create_task(client.advance())
                await it.scripted.begun.wait()
                await it.insert(1)
                await settled(it)
                it.scripted.slow["slow"].set()
                await advancing
                assert client.shown[1] == []
                assert client.dirty
                assert await client.news() == {1: [1]}

    asyncio.run(main())


def test_a_client_whose_older_result_is_still_the_newest_is_not_told_to_go_on() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "slow", "one") as client:
            it.scripted.queries["slow"] = lambda run: 1
            it.scripted.slow["slow"] = asyncio.Event()
            advancing = asyncio.create_task(client.advance())
            await it.scripted.begun.wait()
            await it.insert(2)
            it.scripted.slow["slow"].set()
            await advancing
            await settled(it)
            assert client.dirty == 0

    asyncio.run(main())


def test_a_client_whose_own_advance_brought_the_news_is_not_told_again() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "one") as client:
            await client.advance()
            await it.insert(1)
            await client.advance()
            await settled(it)
            assert client.dirty == 0

    asyncio.run(main())


# -- one timestamp -------------------------------------------------------------------------------


def test_all_results_hold_at_one_timestamp_while_others_write_and_one_query_is_slow() -> None:
    """Two queries read the same rows, one of them in the time of several commits."""

    async def main() -> None:
        async with live() as it, client_of(it, "all", "slow", "sum") as client:
            it.scripted.queries["slow"] = lambda run: run.values()
            it.scripted.queries["sum"] = lambda run: sum(cast("list[int]", run.values()))
            await client.advance()
            for a in range(1, 12):
                it.scripted.slow["slow"] = asyncio.Event()
                it.scripted.begun.clear()
                await it.insert(a)
                advancing = asyncio.create_task(client.advance())
                await it.scripted.begun.wait()
                await it.insert(-a)
                it.scripted.slow.pop("slow").set()
                await advancing
                rows = cast("list[int]", client.shown[0])
                assert rows == client.shown[1] and sum(rows) == client.shown[2]
                assert len(rows) == 2 * a - 1, "at the timestamp at which the advance began"
            await client.advance()
            assert client.shown[2] == 0

    asyncio.run(main())


def test_clients_driven_only_by_their_news_end_up_with_the_newest_state() -> None:
    async def drive(client: Client, done: asyncio.Event) -> None:
        while not (done.is_set() and not client.dirty):
            if client.dirty:
                await client.advance()
            await asyncio.sleep(0)

    async def main() -> None:
        async with live() as it:
            it.scripted.queries["slow"] = lambda run: run.values(2)
            paths = (("all", "one"), ("one", "slow", "all"), ("slow",), ("all", "slow"))
            clients = [Client(it) for _ in paths]
            for client, watched in zip(clients, paths, strict=True):
                for query_id, path in enumerate(watched):
                    client.add(query_id, path)
                await client.advance()
            done = asyncio.Event()
            driving = [asyncio.create_task(drive(client, done)) for client in clients]
            for step in range(60):
                gate = asyncio.Event()
                it.scripted.slow["slow"] = gate
                await it.insert(step % 4)
                if step % 3:
                    await asyncio.sleep(0)
                gate.set()
            it.scripted.slow.clear()
            for _ in range(50):
                await asyncio.sleep(0)
                await settled(it)
            done.set()
            await asyncio.gather(*driving)
            expected = {
                "all": sorted(step % 4 for step in range(60)), "one": [1] * 15, "slow": [2] * 15,
            }  # fmt: skip
            for client, watched in zip(clients, paths, strict=True):
                assert [client.shown[n] for n in range(len(watched))] == [
                    expected[path] for path in watched
                ]
                client.live.close()

    asyncio.run(main())


def test_a_commit_that_is_not_durable_is_shown_to_nobody() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "all") as client:
            transaction = begin(it.database)
            transaction.insert(items(it.database), {"a": 1})
            committed = it.database.commit(transaction)
            assert isinstance(committed, int)
            assert await client.news() == {0: []}
            await it.database.wait_durable(committed)
            assert await client.news() == {0: [1]}

    asyncio.run(main())


# -- identity ------------------------------------------------------------------------------------


def test_a_change_of_identity_runs_what_depends_on_it_again() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "mine", "all") as client:
            assert await client.news() == {0: "nobody", 1: []}
            client.live.set_identity(ANN)
            assert await client.news() == {0: "ann"}

    asyncio.run(main())


def secret(run: Run) -> Value:
    return f"for {run.who()}" if run.values(1) else "for all"


def test_nobody_sees_what_a_shared_query_shows_to_another_identity() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "secret") as ann, client_of(it, "secret") as ben:
            it.scripted.queries["secret"] = secret
            ann.live.set_identity(ANN)
            ben.live.set_identity(BEN)
            assert (await ann.news(), await ben.news()) == ({0: "for all"}, {0: "for all"})
            await it.insert(1)
            assert await ben.news() == {0: "for ben"}
            assert await ann.news() == {0: "for ann"}

    asyncio.run(main())


def test_a_client_that_left_a_shared_query_is_told_of_what_only_it_can_see() -> None:
    def inbox(run: Run) -> Value:
        return len(run.values(2)) if run.values(1) and run.who() == "ben" else 0

    async def main() -> None:
        async with live() as it, client_of(it, "inbox") as ann, client_of(it, "inbox") as ben:
            it.scripted.queries["inbox"] = inbox
            ann.live.set_identity(ANN)
            ben.live.set_identity(BEN)
            await ann.advance()
            await ben.advance()
            await it.insert(1)
            await ben.advance()
            await settled(it)
            ben.dirty = 0
            await it.insert(2)
            await settled(it)
            assert ben.dirty
            assert await ben.news() == {0: 1}

    asyncio.run(main())


def test_a_caller_who_waited_for_another_identitys_run_gets_its_own_result() -> None:
    async def main() -> None:
        async with live() as it:
            it.scripted.queries["secret"] = secret
            async with client_of(it, "secret") as ann, client_of(it, "secret") as ben:
                ann.live.set_identity(ANN)
                ben.live.set_identity(BEN)
                await ann.advance()
                await ben.advance()
                it.scripted.slow["secret"] = asyncio.Event()
                await it.insert(1)
                both = [asyncio.create_task(client.advance()) for client in (ann, ben)]
                await it.scripted.begun.wait()
                it.scripted.slow["secret"].set()
                await asyncio.gather(*both)
                assert (ann.shown[0], ben.shown[0]) == ("for ann", "for ben")

    asyncio.run(main())


# -- journals ------------------------------------------------------------------------------------


def test_a_page_keeps_its_end_when_the_identity_changes() -> None:
    async def main() -> None:
        async with live() as it, client_of(it, "page") as client:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            assert await client.news() == {0: [10, 20]}
            await it.insert(15)
            client.live.set_identity(Identity.ADMIN)
            assert await client.news() == {0: [10, 15, 20]}

    asyncio.run(main())


def test_a_page_begins_where_the_journal_of_the_client_says() -> None:
    async def main() -> None:
        async with live() as it, client_of(it) as client:
            it.scripted.queries["page"] = page
            for a in (10, 20, 30):
                await it.insert(a)
            client.add(0, "page", journal="30")
            assert await client.news() == {0: [10, 20, 30]}

    asyncio.run(main())
