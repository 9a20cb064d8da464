"""A small client of the sync protocol, for tests and benchmarks that need control over every frame.

It follows the official clients (protocol sections 1.3 to 1.8) and checks on every message what they
rely on: the version chain has no gap, timestamps never go back, and a mutation is answered before
the Transition that covers it. It holds no policy: reconnecting and replaying are the caller's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]
ZERO_VERSION = {"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="}


class ProtocolBroken(AssertionError):
    """The server sent something that an official client could not live with."""


class MutationFailed(Exception):
    """The server answered a mutation or an action with a failure."""

    def __init__(self, message: str, data: object) -> None:
        super().__init__(message)
        self.data = data


def timestamp(text: str) -> int:
    """The number in a protocol timestamp."""
    return int.from_bytes(base64.b64decode(text), "little")


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Fail a future that perhaps nobody waits for."""
    if not future.done():
        future.set_exception(error)
        future.exception()


@dataclass
class Pending:
    """A request that waits for its answer, and a mutation for the Transition that covers it."""

    message: Message
    answered: asyncio.Future[Any]
    completed: asyncio.Future[Any]
    result: Any = None
    ts: int = 0


@dataclass
class Watch:
    """One subscribed query: its newest value, and whom to tell of a new one."""

    path: str
    on_update: Callable[[Message], None] | None
    first: asyncio.Future[Message]
    last: Message | None = None


@dataclass
class SyncDriver:
    """One connection. Use `async with await SyncDriver.open(url) as client`."""

    socket: ClientConnection
    session_id: str
    next_request: int = 0
    max_observed: str | None = None
    version: dict[str, Any] = field(default_factory=lambda: dict(ZERO_VERSION))
    query_set: int = 0
    pending: dict[int, Pending] = field(default_factory=dict)
    watches: dict[int, Watch] = field(default_factory=dict)
    transitions: int = 0
    fatal: Message | None = None
    on_transition: Callable[[Message], None] | None = None
    _reader: asyncio.Task[None] = field(init=False)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        session_id: str | None = None,
        connection_count: int = 0,
        max_observed: str | None = None,
        next_request: int = 0,
    ) -> Self:
        """Connect and say hello. `url` is the WebSocket address, `…/api/<version>/sync`."""
        socket = await connect(url, max_size=None, compression=None, ping_interval=None)
        client = cls(socket, session_id or str(uuid.uuid4()), next_request, max_observed)
        hello: Message = {
            "type": "Connect",
            "sessionId": client.session_id,
            "connectionCount": connection_count,
            "lastCloseReason": "InitialConnect" if connection_count == 0 else "closed",
            "clientTs": 0,
        }
        if max_observed is not None:
            hello["maxObservedTimestamp"] = max_observed
        await client.send(hello)
        client._reader = asyncio.create_task(client._read())
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.socket.close()
        with suppress(ConnectionClosed):
            await self._reader

    @property
    def closed(self) -> asyncio.Task[None]:
        """Ends when the connection ends; raises `ProtocolBroken` when the server caused it."""
        return self._reader

    @property
    def close_reason(self) -> str:
        """How the connection ended: the close code, its reason, the last error message."""
        code, reason = self.socket.close_code, self.socket.close_reason
        return f"code {code} {reason!r}, last error {self.fatal}"

    async def send(self, message: Message) -> None:
        await self.socket.send(json.dumps(message, separators=(",", ":")))

    # --- requests ---

    async def mutation(self, path: str, **args: Any) -> Any:
        """Run a mutation; returns, like the official clients, when its effects were delivered."""
        return await (await self.start_mutation(path, **args)).completed

    async def start_mutation(self, path: str, **args: Any) -> Pending:
        return await self._request("Mutation", path, args)

    async def action(self, path: str, **args: Any) -> Any:
        return await (await self._request("Action", path, args)).answered

    async def _request(self, kind: str, path: str, args: Message) -> Pending:
        return await self.send_request(self.new_request(kind, path, args))

    def new_request(self, kind: str, path: str, args: Message) -> Message:
        """A request with the next number, still to be sent."""
        request = self.next_request
        self.next_request += 1
        return {"type": kind, "requestId": request, "udfPath": path, "args": [args]}

    async def send_request(self, message: Message) -> Pending:
        """Send a request, perhaps one that an earlier connection did not see answered."""
        loop = asyncio.get_running_loop()
        pending = Pending(message, loop.create_future(), loop.create_future())
        self.pending[message["requestId"]] = pending
        await self.send(message)
        return pending

    async def subscribe(
        self, path: str, on_update: Callable[[Message], None] | None = None, **args: Any
    ) -> int:
        """Add a query and wait for its first result; returns its query id."""
        first: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        query = len(self.watches)
        self.watches[query] = Watch(path, on_update, first)
        add = {"type": "Add", "queryId": query, "udfPath": path, "args": [args]}
        await self.modify([add])
        await first
        return query

    async def modify(self, modifications: list[Message]) -> None:
        base = self.query_set
        self.query_set += 1
        await self.send(
            {
                "type": "ModifyQuerySet",
                "baseVersion": base,
                "newVersion": self.query_set,
                "modifications": modifications,
            }
        )

    def value(self, query: int) -> Any:
        """The newest value of a subscribed query."""
        last = self.watches[query].last
        assert last is not None
        if last["type"] != "QueryUpdated":
            raise MutationFailed(last["errorMessage"], last.get("errorData"))
        return last["value"]

    # --- answers ---

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                self._receive(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            lost = ConnectionError(f"the connection ended: {self.close_reason}")
            for pending in self.pending.values():
                fail(pending.answered, lost)
                fail(pending.completed, lost)
            for watch in self.watches.values():
                fail(watch.first, lost)

    def _receive(self, message: Message) -> None:
        match message["type"]:
            case "Transition":
                self._on_transition(message)
            case "MutationResponse" | "ActionResponse":
                self._on_response(message)
            case "Ping":
                pass
            case "FatalError" | "AuthError":
                self.fatal = message
            case other:
                raise ProtocolBroken(f"an unknown message type {other!r}")

    def _on_response(self, message: Message) -> None:
        if not isinstance(message["logLines"], list):
            raise ProtocolBroken(f"no log lines in {message}")
        pending = self.pending[message["requestId"]]
        if not message["success"]:
            error = MutationFailed(message["result"], message.get("errorData"))
            del self.pending[message["requestId"]]
            fail(pending.answered, error)
            fail(pending.completed, error)
            return
        pending.result = message["result"]
        if pending.message["type"] == "Mutation":
            pending.ts = timestamp(message["ts"])
            self._observe(message["ts"])
        else:
            del self.pending[message["requestId"]]
        pending.answered.set_result(pending.result)

    def _on_transition(self, message: Message) -> None:
        if message["startVersion"] != self.version:
            raise ProtocolBroken(f"a gap: at {self.version}, received {message['startVersion']}")
        end = message["endVersion"]
        if timestamp(end["ts"]) < timestamp(self.version["ts"]):
            raise ProtocolBroken(f"time went back from {self.version['ts']} to {end['ts']}")
        if end["querySet"] > self.query_set:
            raise ProtocolBroken(f"announced query set {end['querySet']}, sent {self.query_set}")
        self.version = end
        self.transitions += 1
        self._observe(end["ts"])
        for modification in message["modifications"]:
            self._on_modification(modification)
        if self.on_transition is not None:
            self.on_transition(message)
        now = timestamp(end["ts"])
        for request, pending in list(self.pending.items()):
            if pending.answered.done() and pending.ts <= now:
                del self.pending[request]
                pending.completed.set_result(pending.result)

    def _on_modification(self, modification: Message) -> None:
        if modification["type"] == "QueryRemoved":
            return
        if not isinstance(modification["logLines"], list):
            raise ProtocolBroken(f"no log lines in {modification}")
        watch = self.watches.get(modification["queryId"])
        if watch is None:
            return
        watch.last = modification
        if watch.on_update is not None:
            watch.on_update(modification)
        if not watch.first.done():
            watch.first.set_result(modification)

    def _observe(self, ts: str) -> None:
        if self.max_observed is None or timestamp(ts) > timestamp(self.max_observed):
            self.max_observed = ts
