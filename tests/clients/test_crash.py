"""A server killed under write load and opened again.

Several clients write records, each of two documents in one mutation, with many in flight. After a
random number of acknowledgements the server is killed with SIGKILL, opened again, and audited:

- every acknowledged record is there, none is there twice,
- no record is half there, acknowledged or not,
- the same requests sent again (as an official client does) change nothing where they had been
  acknowledged, and are applied once where they had not.

`REACTOR_TESTS_SEED` repeats a run's choice of moments; the machine's own timing is not repeated.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from websockets.exceptions import ConnectionClosed

from tests.processes import EVENT_SECONDS, Server
from tests.sync_driver import Message, Pending, SyncDriver

CLIENTS = 4
IN_FLIGHT = 16
ROUNDS = 3
SIDES = ("left", "right")


@dataclass
class Writer:
    """One client over the lives of the server: what it sent, and what was acknowledged."""

    name: str
    session_id: str = ""
    connections: int = 0
    max_observed: str | None = None
    next_request: int = 0
    sent: list[Message] = field(default_factory=list)
    acknowledged: dict[int, int] = field(default_factory=dict)

    async def open(self, url: str) -> SyncDriver:
        client = await SyncDriver.open(
            url,
            session_id=self.session_id or None,
            connection_count=self.connections,
            max_observed=self.max_observed,
            next_request=self.next_request,
        )
        self.session_id = client.session_id
        self.connections += 1
        return client

    async def write_until_killed(self, url: str, acknowledge: Callable[[], None]) -> None:
        client = await self.open(url)
        slots = asyncio.Semaphore(IN_FLIGHT)
        acknowledgements = []
        with suppress(ConnectionClosed):
            while not client.closed.done():
                await slots.acquire()
                sequence = len(self.sent)
                args = {"client": self.name, "sequence": sequence}
                self.sent.append(client.new_request("Mutation", "ledger:record", args))
                pending = await client.send_request(self.sent[-1])
                task = self._acknowledge(sequence, pending, slots, acknowledge)
                acknowledgements.append(asyncio.create_task(task))
        await client.close()
        await asyncio.gather(*acknowledgements)
        self.max_observed, self.next_request = client.max_observed, client.next_request

    async def _acknowledge(
        self,
        sequence: int,
        pending: Pending,
        slots: asyncio.Semaphore,
        acknowledge: Callable[[], None],
    ) -> None:
        with suppress(ConnectionError):
            assert await pending.answered == sequence
            self.acknowledged[sequence] = pending.ts
            acknowledge()
        slots.release()

    async def send_everything_again(self, url: str) -> None:
        async with await self.open(url) as client:
            again = [await client.send_request(message) for message in self.sent]
            await asyncio.gather(*(pending.completed for pending in again))
        for sequence, pending in enumerate(again):
            assert pending.result == sequence
            if sequence in self.acknowledged:
                assert pending.ts == self.acknowledged[sequence], "a replay ran a second time"
        self.max_observed = client.max_observed

    async def records(self, url: str) -> Counter[tuple[int, str]]:
        async with await SyncDriver.open(url) as client:
            query = await client.subscribe("ledger:records", client=self.name)
            return Counter((each["sequence"], each["side"]) for each in client.value(query))


async def write_and_kill(server: Server, writers: list[Writer], acknowledgements: int) -> None:
    """All writers write; the server is killed when so many mutations were acknowledged."""
    enough = asyncio.Event()
    remaining = acknowledgements

    def acknowledge() -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            enough.set()

    url = server.websocket_url
    writing = [asyncio.create_task(each.write_until_killed(url, acknowledge)) for each in writers]
    async with asyncio.timeout(EVENT_SECONDS):
        await enough.wait()
        server.kill()
        await asyncio.gather(*writing)


def audit(writer: Writer, records: Counter[tuple[int, str]]) -> None:
    """What must hold of the records of one writer after any crash."""
    assert set(records.values()) <= {1}, "a record is there twice"
    lefts, rights = ({number for number, side in records if side == each} for each in SIDES)
    assert lefts == rights, "a record is half there"
    lost = writer.acknowledged.keys() - lefts
    assert not lost, f"acknowledged, but not there: {sorted(lost)[:10]}"


@pytest.fixture
def moments() -> list[int]:
    """After how many acknowledgements each round's kill comes."""
    seed = int(os.environ.get("REACTOR_TESTS_SEED", random.SystemRandom().randrange(10**9)))
    print(f"REACTOR_TESTS_SEED={seed}")
    chance = random.Random(seed)
    return [chance.randrange(20, 400) for _ in range(ROUNDS)]


def test_every_acknowledged_mutation_survives_a_kill_and_none_is_applied_twice_or_in_half(
    durable_server: Server, moments: list[int]
) -> None:
    async def scenario() -> None:
        writers = [Writer(f"writer {number}") for number in range(CLIENTS)]
        for moment in moments:
            await write_and_kill(durable_server, writers, moment)
            durable_server.start()
            url = durable_server.websocket_url
            for writer in writers:
                audit(writer, await writer.records(url))
            async with asyncio.timeout(EVENT_SECONDS):
                await asyncio.gather(*(each.send_everything_again(url) for each in writers))
            for writer in writers:
                expected = {(number, side) for number in range(len(writer.sent)) for side in SIDES}
                assert await writer.records(url) == Counter(expected)

    asyncio.run(scenario())


def test_a_clean_stop_under_load_loses_nothing(durable_server: Server) -> None:
    async def scenario() -> None:
        writers = [Writer(f"writer {number}") for number in range(CLIENTS)]
        enough = asyncio.Event()
        url = durable_server.websocket_url
        writing = [
            asyncio.create_task(each.write_until_killed(url, enough.set)) for each in writers
        ]
        async with asyncio.timeout(EVENT_SECONDS):
            await enough.wait()
            assert await asyncio.to_thread(durable_server.stop) == 0
            await asyncio.gather(*writing)
        durable_server.start()
        for writer in writers:
            audit(writer, await writer.records(durable_server.websocket_url))

    asyncio.run(scenario())
