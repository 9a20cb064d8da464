"""A real listener on a real port, with a tiny app behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from reactor.tools.listener import Listener
from reactor.tools.mounts import Receive, Scope, Send
from reactor.tools.ports import listen

HANDSHAKE = (
    b"GET /sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING, PONG, CLOSE = 0x9, 0xA, 0x8
#: Far less than the interval between pings, far more than a round trip.
SOON_SECONDS = 2.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def listening(ping_interval_seconds: float | None = None) -> AsyncIterator[Listener]:
    with contextlib.closing(listen("127.0.0.1", 0, "--port")) as bound:
        listener = Listener(app, bound)
        if ping_interval_seconds is not None:
            listener.config.ws_ping_interval = ping_interval_seconds
        await listener.start()
        try:
            yield listener
        finally:
            await listener.stop()


class RawSocket:
    """A WebSocket client that shows every frame as it came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> RawSocket:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(HANDSHAKE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(SOON_SECONDS):
            first, length = await self._reader.readexactly(2)
            return first & 0x0F, await self._reader.readexactly(length)

    def send(self, opcode: int, payload: bytes) -> None:
        mask = bytes(4)
        self._writer.write(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + payload)

    def close(self) -> None:
        self._writer.close()


def test_requests_are_answered_once_start_returns() -> None:
    async def scenario() -> bytes:
        async with listening() as listener:
            port = int(listener.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(scenario()).endswith(b"hello\r\n0\r\n\r\n")


def test_a_ping_comes_right_after_the_handshake() -> None:
    async def scenario() -> int:
        async with listening() as listener:
            socket = await RawSocket.open(listener.url)
            opcode, _ = await socket.frame()
            socket.close()
            return opcode

    assert asyncio.run(scenario()) == PING


def test_pings_follow_each_other_as_long_as_they_are_answered() -> None:
    async def scenario() -> list[int]:
        async with listening(ping_interval_seconds=0.01) as listener:
            socket = await RawSocket.open(listener.url)
            opcodes = []
            for _ in range(4):
                opcode, payload = await socket.frame()
                opcodes.append(opcode)
                socket.send(PONG, payload)
            socket.close()
            return opcodes

    assert asyncio.run(scenario()) == [PING] * 4


def test_stopping_says_goodbye_to_sockets_and_closes_the_port() -> None:
    async def scenario() -> int:
        async with listening() as listener:
            socket = await RawSocket.open(listener.url)
            await socket.frame()
            url = listener.url
            await listener.stop()
            opcode, _ = await socket.frame()
            socket.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        return opcode

    assert asyncio.run(scenario()) == CLOSE
