"""Hostile WebSocket clients: each is told or closed, and nobody else notices.

Every test ends with the same question to a well-behaved client that was connected all along.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.processes import EVENT_SECONDS, Server
from tests.sync_driver import Message, SyncDriver

HELLO = {
    "type": "Connect",
    "sessionId": "00000000-0000-4000-8000-000000000000",
    "connectionCount": 0,
    "lastCloseReason": "InitialConnect",
    "clientTs": 0,
}
VALID_ID_OF_NOTHING = "j57000820c20a1g7104gm2rc1m70ynr8"


def modify(*adds: Message, base: int = 0, new: int = 1) -> Message:
    return {
        "type": "ModifyQuerySet",
        "baseVersion": base,
        "newVersion": new,
        "modifications": list(adds),
    }


def add(path: str, args: object, query: object = 0, **more: object) -> Message:
    return {"type": "Add", "queryId": query, "udfPath": path, "args": [args], **more}


def mutation(path: str, args: object, request: object = 0) -> Message:
    return {"type": "Mutation", "requestId": request, "udfPath": path, "args": [args]}


class Hostile:
    """A raw connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[Message] = []

    async def send(self, *messages: object) -> None:
        for message in messages:
            raw = message if isinstance(message, str | bytes) else json.dumps(message)
            await self.socket.send(raw)

    async def receive(self, *kinds: str) -> Message:
        """The next message of one of these types."""
        while True:
            message: Message = json.loads(await self.socket.recv())
            self.received.append(message)
            if message["type"] in kinds:
                return message

    async def ending(self) -> tuple[str, int | None]:
        """The text of what was said before the server closed, and the close code."""
        try:
            while True:
                self.received.append(json.loads(await self.socket.recv()))
        except ConnectionClosed:
            pass
        said = [each["error"] for each in self.received if each["type"] == "FatalError"]
        reason = self.socket.close_reason or ""
        return " ".join([*said, reason]).strip(), self.socket.close_code


@asynccontextmanager
async def connected(server: Server, *, hello: bool = True) -> AsyncIterator[Hostile]:
    socket = await connect(server.websocket_url, max_size=None, compression=None)
    hostile = Hostile(socket)
    try:
        if hello:
            await hostile.send(HELLO)
        yield hostile
    finally:
        await socket.close()


def beside_a_bystander(server: Server, room: str, scenario: Callable[[], Awaitable[Any]]) -> Any:
    """Run the scenario while a well-behaved client watches, which must not be affected."""

    async def run() -> Any:
        async with (
            asyncio.timeout(EVENT_SECONDS),
            await SyncDriver.open(server.websocket_url) as bystander,
        ):
            query = await bystander.subscribe("messages:listBodies", room=room)
            result = await scenario()
            await bystander.mutation("messages:send", room=room, body="still served")
            assert bystander.value(query) == ["still served"]
        assert server.is_running
        return result

    return asyncio.run(run())


CLOSING = {
    "not JSON": "{",
    "not an object": "[1, 2]",
    "a number": "5",
    "invalid UTF-8 inside": b'{"type":"\xff"}',
    "no type": {"requestId": 1},
    "an unknown type": {"type": "Teleport"},
    "a server's type": {"type": "Transition"},
    "a type that is no text": {"type": 7},
    "a wrong base version": modify(base=5, new=6),
    "a version that goes back": modify(base=0, new=0),
    "a version that is no number": modify(base="0", new="1"),
    "a negative version": modify(base=-1, new=0),
    "a version beyond 32 bits": modify(base=0, new=2**40),
    "modifications that are no list": {**modify(), "modifications": "all"},
    "an unknown modification": modify({"type": "Replace", "queryId": 0}),
    "a query id that is no number": modify(add("messages:count", {"room": "r"}, query="x")),
    "a negative query id": modify(add("messages:count", {"room": "r"}, query=-1)),
    "a query id used twice": modify(
        add("messages:count", {"room": "r"}), add("messages:count", {"room": "s"})
    ),
    "a request id that is no number": mutation("messages:send", {}, request="x"),
    "a fractional request id": mutation("messages:send", {}, request=1.5),
    "arguments that are no list": {**mutation("messages:send", {}), "args": {"room": "r"}},
    "a path that is no text": mutation(5, {}),
    "no path": {"type": "Mutation", "requestId": 0, "args": [{}]},
    "a timestamp that is none": {**HELLO, "maxObservedTimestamp": "yesterday"},
    "a session that is no text": {**HELLO, "sessionId": 12},
    "a wrong identity version": {"type": "Authenticate", "baseVersion": 9, "tokenType": "None"},
    "an unknown token type": {"type": "Authenticate", "baseVersion": 0, "tokenType": "Magic"},
    "nesting beyond any parser": '{"type":' + "[" * 200_000,
}


@pytest.mark.parametrize("message", CLOSING.values(), ids=CLOSING.keys())
def test_a_message_that_makes_no_sense_closes_its_connection_with_a_reason(
    server: Server, room: str, message: object
) -> None:
    async def scenario() -> tuple[str, int | None]:
        is_hello = isinstance(message, dict) and message.get("type") == "Connect"
        async with connected(server, hello=not is_hello) as hostile:
            await hostile.send(message)
            return await hostile.ending()

    reason, _code = beside_a_bystander(server, room, scenario)
    assert reason, "closed without a word"
    assert "Traceback" not in reason
    assert ".py" not in reason


def test_a_binary_frame_is_no_crash(server: Server, room: str) -> None:
    async def scenario() -> None:
        async with connected(server) as hostile:
            await hostile.send(b"\x00\x01\x02\xff" * 1000)
            await hostile.ending()

    beside_a_bystander(server, room, scenario)


def test_a_message_beyond_the_size_limit_closes_its_connection(server: Server, room: str) -> None:
    async def scenario() -> int | None:
        async with connected(server) as hostile:
            args = {"room": "r", "body": "x" * (70 << 20)}
            with suppress(ConnectionClosed):
                await hostile.send(mutation("messages:send", args))
            return (await hostile.ending())[1]

    assert beside_a_bystander(server, room, scenario) in (1006, 1009, 1005, 1000)


REFUSED_CALLS = {
    "deep nesting": ("values:keep", {"name": "n", "value": json.loads("[" * 500 + "]" * 500)}),
    "a marker of the wrong length": ("values:keep", {"name": "n", "value": {"$integer": "AQ=="}}),
    "an unknown marker": ("values:keep", {"name": "n", "value": {"$set": []}}),
    "a field with a dollar": ("values:keep", {"name": "n", "value": {"$a": 1, "b": 2}}),
    "a field that is not ASCII": ("values:keep", {"name": "n", "value": {"é": 1}}),
    "an array that is too long": ("values:keep", {"name": "n", "value": [0] * 8193}),
    "a document that is too large": ("values:keep", {"name": "n", "value": "x" * (1 << 20)}),
    "a path with dots": ("../../etc/passwd:read", {}),
    "a path of Python's own": ("os:system", {"command": "true"}),
    "a dunder": ("messages:__init__", {}),
    "a private module": ("_private:f", {}),
    "a declaration module": ("schema:Message", {}),
    "a helper that is not marked": ("accounts:find", {"group": "g", "owner": "o"}),
    "a system function": ("_system/cli/tables:default", {}),
    "a path of controls": ("\x00\x1b:\n", {}),
    "a path without end": ("a" * 100_000 + ":f", {}),
    "arguments that are a list": ("messages:send", [1]),
    "arguments that are null": ("messages:send", None),
}


@pytest.mark.parametrize("call", REFUSED_CALLS.values(), ids=REFUSED_CALLS.keys())
def test_a_call_that_cannot_be_right_fails_and_changes_nothing(
    server: Server, room: str, call: tuple[str, object]
) -> None:
    async def scenario() -> str:
        async with connected(server) as hostile:
            await hostile.send(mutation(*call))
            try:
                answer = await hostile.receive("MutationResponse", "FatalError")
            except ConnectionClosed:
                return (await hostile.ending())[0]
            assert not answer.get("success", False)
            return str(answer.get("result", answer.get("error")))

    reason = beside_a_bystander(server, room, scenario)
    assert reason
    assert "Traceback" not in reason
    assert len(reason) < 20_000


HOSTILE_IDS = {
    "empty": "",
    "foreign characters": "i" * 32,
    "wrong footer": VALID_ID_OF_NOTHING[:-1] + "9",
    "too long": VALID_ID_OF_NOTHING * 1000,
    "injection": "' OR 1=1; --",
    "control characters": "\x00" * 32,
    "a number": 5,
    "an object": {"$bytes": "AP8="},
}


@pytest.mark.parametrize("identifier", HOSTILE_IDS.values(), ids=HOSTILE_IDS.keys())
def test_a_hostile_id_is_an_argument_error(server: Server, room: str, identifier: object) -> None:
    async def scenario() -> Message:
        async with connected(server) as hostile:
            await hostile.send(modify(add("messages:get", {"id": identifier})))
            return (await hostile.receive("Transition"))["modifications"][0]

    failed = beside_a_bystander(server, room, scenario)
    assert failed["type"] == "QueryFailed"
    assert "ArgumentValidationError" in failed["errorMessage"]


HOSTILE_CURSORS = {
    "text": "not a cursor",
    "controls": "\x00\xff",
    "base64 of nothing": "AAAA",
    "JSON": '{"end":"after:30"}',
    "long": "A" * 100_000,
}


@pytest.mark.parametrize("position", ["cursor", "endCursor"])
@pytest.mark.parametrize("cursor", HOSTILE_CURSORS.values(), ids=HOSTILE_CURSORS.keys())
def test_a_hostile_cursor_fails_the_query(
    server: Server, room: str, cursor: str, position: str
) -> None:
    async def scenario() -> Message:
        options = {"numItems": 5, "cursor": None, position: cursor}
        async with connected(server) as hostile:
            args = {"room": "r", "paginationOpts": options}
            await hostile.send(modify(add("messages:page", args)))
            return (await hostile.receive("Transition"))["modifications"][0]

    failed = beside_a_bystander(server, room, scenario)
    assert failed["type"] == "QueryFailed"
    assert "Traceback" not in failed["errorMessage"]


@pytest.mark.parametrize("journal", ["not a journal", "AAAA", "\x00", "[" * 10_000])
def test_a_hostile_journal_never_breaks_the_connection(
    server: Server, room: str, journal: str
) -> None:
    async def scenario() -> Message:
        options = {"numItems": 5, "cursor": None}
        args = {"room": "r", "paginationOpts": options}
        async with connected(server) as hostile:
            await hostile.send(modify(add("messages:page", args, journal=journal)))
            return (await hostile.receive("Transition"))["modifications"][0]

    assert beside_a_bystander(server, room, scenario)["type"] in ("QueryFailed", "QueryUpdated")


@pytest.mark.parametrize("number", [0, -1, 1e308, 2.5, {"$integer": "AQAAAAAAAAA="}, "5"])
def test_a_hostile_page_size_fails_the_query(server: Server, room: str, number: object) -> None:
    async def scenario() -> Message:
        args = {"room": "r", "paginationOpts": {"numItems": number, "cursor": None}}
        async with connected(server) as hostile:
            await hostile.send(modify(add("messages:page", args)))
            return (await hostile.receive("Transition"))["modifications"][0]

    assert beside_a_bystander(server, room, scenario)["type"] == "QueryFailed"


def test_a_timestamp_from_the_future_closes_the_connection(server: Server, room: str) -> None:
    async def scenario() -> tuple[str, int | None]:
        async with connected(server, hello=False) as hostile:
            await hostile.send({**HELLO, "maxObservedTimestamp": "/////////38="})
            await hostile.send(modify(add("messages:count", {"room": "r"})))
            return await hostile.ending()

    _reason, code = beside_a_bystander(server, room, scenario)
    assert code is not None


def test_ten_thousand_subscriptions_on_one_socket_leave_others_served(
    server: Server, room: str
) -> None:
    """All are answered, or the client is told why not; a write in between reaches the bystander."""

    async def scenario() -> int | str:
        async with connected(server) as hostile:
            adds = [
                add("messages:count", {"room": f"{room} {query}"}, query=query)
                for query in range(10_000)
            ]
            await hostile.send(modify(*adds))
            answered = 0
            while answered < len(adds):
                try:
                    transition = await hostile.receive("Transition")
                except ConnectionClosed:
                    return (await hostile.ending())[0]
                answered += len(transition["modifications"])
            return answered

    assert beside_a_bystander(server, room, scenario)


def test_a_client_that_never_reads_does_not_slow_down_the_others(server: Server, room: str) -> None:
    async def scenario() -> None:
        socket = await connect(server.websocket_url, compression=None, max_queue=1)
        large = f"{room} large"
        await socket.send(json.dumps(HELLO))
        await socket.send(json.dumps(modify(add("messages:listBodies", {"room": large}))))
        async with await SyncDriver.open(server.websocket_url) as writer:
            for number in range(50):
                body = str(number) * 50_000
                await writer.mutation("messages:send", room=large, body=body, number=number)
        socket.transport.abort()

    beside_a_bystander(server, room, scenario)


@pytest.mark.parametrize("path", ["/api/sync", "/api/1.48.0/sync", "//api/1.48.0/sync"])
def test_both_addresses_of_the_socket_answer(server: Server, room: str, path: str) -> None:
    async def scenario() -> None:
        url = "ws" + server.url.removeprefix("http") + path
        async with await SyncDriver.open(url) as client:
            query = await client.subscribe("messages:count", room=room)
            assert client.value(query) == 0

    asyncio.run(scenario())


def test_a_function_without_end_is_stopped_and_others_are_served_meanwhile(
    server: Server, room: str
) -> None:
    async def scenario() -> str:
        async with connected(server) as hostile:
            await hostile.send(modify(add("failures:runsForEver", {"room": room})))
            return str((await hostile.receive("Transition"))["modifications"][0]["errorMessage"])

    message = beside_a_bystander(server, room, scenario)
    assert "0.5" in message


def test_a_redacted_server_sends_neither_tracebacks_nor_messages_nor_logs(
    redacted_server: Server, room: str
) -> None:
    async def scenario() -> list[Message]:
        async with connected(redacted_server) as hostile:
            await hostile.send(
                modify(
                    add("failures:queryFails", {}, query=0),
                    add("failures:queryRefuses", {"data": "shown"}, query=1),
                    add("failures:logs", {}, query=2),
                    add("messages:count", {"room": 5}, query=3),
                )
            )
            transition = await hostile.receive("Transition")
            await hostile.send(mutation("failures:mutationFails", {"room": room}))
            return [*transition["modifications"], await hostile.receive("MutationResponse")]

    fails, refuses, logs, arguments, mutated = beside_a_bystander(redacted_server, room, scenario)
    for message in (fails["errorMessage"], refuses["errorMessage"], arguments["errorMessage"]):
        assert message.strip().startswith("[Request ID: ")
        assert message.strip().endswith("Server Error")
    assert "the-secret" not in json.dumps([fails, mutated])
    assert "Traceback" not in json.dumps([fails, refuses, logs, arguments, mutated])
    assert refuses["errorData"] == "shown"
    assert "errorData" not in fails
    assert logs["logLines"] == []
