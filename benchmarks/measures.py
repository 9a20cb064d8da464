"""The measurements: each runs for a bounded time and returns numbers, nothing is printed here.

All load comes from one process, so with many clients the load generator and the server share the
machine; ratios against the echo server, which is loaded in the same way, are what to compare.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect

from tests.sync_driver import Message, SyncDriver

SEED = 20260101
LATENCY_SAMPLES_MAX = 2000


@dataclass(frozen=True)
class Latency:
    """Times in milliseconds."""

    samples: int
    p50_ms: float
    p99_ms: float


def latency_of(seconds: Sequence[float]) -> Latency:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(len(ordered), at(0.50), at(0.99))


async def rate(workers: Sequence[Callable[[], Awaitable[object]]], seconds: float) -> float:
    """How often per second the workers finish, each calling again as soon as it can."""
    finished = 0
    deadline = time.perf_counter() + seconds

    async def repeat(work: Callable[[], Awaitable[object]]) -> None:
        nonlocal finished
        while time.perf_counter() < deadline:
            await work()
            finished += 1

    for work in workers:
        await work()
    start = time.perf_counter()
    await asyncio.gather(*map(repeat, workers))
    return finished / (time.perf_counter() - start)


async def echo_rate(url: str, clients: int, seconds: float) -> float:
    sockets = [await connect(f"{url}/echo", compression=None) for _ in range(clients)]
    text = json.dumps(
        {
            "type": "Mutation",
            "requestId": 12345,
            "udfPath": "bank:transfer",
            "args": [{"source": "0" * 32, "target": "0" * 32, "amount": 1}],
        }
    )

    def worker(socket: ClientConnection) -> Callable[[], Awaitable[object]]:
        async def work() -> None:
            await socket.send(text)
            await socket.recv()

        return work

    try:
        return await rate([worker(socket) for socket in sockets], seconds)
    finally:
        for socket in sockets:
            await socket.close()


async def relay_latency(url: str, seconds: float) -> Latency:
    """From sending a message on one socket to receiving it on another."""
    deadline = time.perf_counter() + seconds
    samples = []
    async with connect(f"{url}/relay") as writer, connect(f"{url}/relay") as reader:
        while time.perf_counter() < deadline and len(samples) < LATENCY_SAMPLES_MAX:
            start = time.perf_counter()
            await writer.send("x" * 200)
            await reader.recv()
            samples.append(time.perf_counter() - start)
    return latency_of(samples)


async def open_accounts(url: str, count: int) -> list[str]:
    async with await SyncDriver.open(url) as client:
        opened: list[str] = await client.mutation("bank:openAccounts", count=count)
        return opened


async def transfer_rate(
    url: str, accounts: Sequence[str], clients: int, in_flight: int, seconds: float
) -> float:
    """Transfers per second, each counted when the client was told that its effects arrived."""
    chance = random.Random(SEED)
    drivers = [await SyncDriver.open(url) for _ in range(clients)]

    def worker(driver: SyncDriver) -> Callable[[], Awaitable[object]]:
        async def work() -> None:
            source, target = chance.sample(accounts, 2)
            await driver.mutation("bank:transfer", source=source, target=target, amount=1)

        return work

    try:
        return await rate([worker(each) for each in drivers for _ in range(in_flight)], seconds)
    finally:
        for driver in drivers:
            await driver.close()


async def push_latency(url: str, accounts: Sequence[str], seconds: float) -> Latency:
    """From sending a mutation on one connection to its push on another that subscribed."""
    source, target = accounts[:2]
    pushed: asyncio.Queue[float] = asyncio.Queue()

    def on_update(update: Message) -> None:
        pushed.put_nowait(time.perf_counter())

    samples = []
    async with await SyncDriver.open(url) as writer, await SyncDriver.open(url) as reader:
        await reader.subscribe("bank:balance", on_update, account=target)
        await pushed.get()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline and len(samples) < LATENCY_SAMPLES_MAX:
            start = time.perf_counter()
            pending = await writer.start_mutation(
                "bank:transfer", source=source, target=target, amount=1
            )
            samples.append(await pushed.get() - start)
            await pending.completed
    return latency_of(samples)


async def total_balance(url: str) -> float:
    async with await SyncDriver.open(url) as client:
        query = await client.subscribe("bank:total")
        return float(client.value(query))
