"""A real server for a test: uvicorn on a free port, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import uvicorn
from websockets.sync.client import ClientConnection, connect

from reactor import Reactor
from reactor.server.asgi import build_api_app
from reactor.server.websocket import SyncServer, SyncSettings
from tests.server import sample_app
from tests.sync.connection import SESSION_ID, Message

ADMIN_KEY = "sample|0123456789abcdef"
TIMEOUT_SECONDS = 10.0

_Result = TypeVar("_Result")


class Served:
    """`wrap` turns the API's ASGI application into the one that is served."""

    def __init__(
        self,
        settings: SyncSettings | None = None,
        *,
        redact: bool = False,
        site: bool = False,
        wrap: Callable[[Any], Any] = lambda app: app,
        reactor_class: type[Reactor] = Reactor,
    ) -> None:
        self.reactor = reactor_class(sample_app, name="sample", admin_key=ADMIN_KEY, redact=redact)
        app = build_api_app(self.reactor, settings)
        self.sync: SyncServer = app.state.sync
        self._config = uvicorn.Config(
            self.reactor.site_asgi if site else wrap(app),
            port=0,
            ws="websockets-sansio",
            ws_max_size=64 << 20,
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._server = uvicorn.Server(self._config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        startup = self._server.startup

        async def started(sockets: Any = None) -> None:
            await startup(sockets)
            self._ready.set()

        self._server.startup = started  # type: ignore[method-assign]
        async with self.reactor:
            await self._server.serve()
            await self.sync.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(TIMEOUT_SECONDS)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.Client(
            base_url=f"http://{self.address}", timeout=TIMEOUT_SECONDS, trust_env=False
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.http.close()
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_SECONDS)

    def call(self, kind: str, path: str, **more: Any) -> httpx.Response:
        content = {"path": path, "args": {}, **more}
        return self.http.post(f"/api/{kind}", json=content)

    def client(self, path: str = "/api/sync", **options: Any) -> SyncClient:
        return SyncClient(connect(f"ws://{self.address}{path}", proxy=None, **options))


class SyncClient:
    """The test as a client of the sync protocol."""

    def __init__(self, connecting: AbstractContextManager[ClientConnection]) -> None:
        self._connecting = connecting
        self.socket: ClientConnection

    def __enter__(self) -> Self:
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connecting.__exit__(kind, error, traceback)

    def send(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def connect(self, **fields: Any) -> None:
        self.send(
            "Connect", **{"sessionId": SESSION_ID, "connectionCount": 0, "clientTs": 0, **fields}
        )

    def subscribe(self, *paths: str, version: int = 0, **args: Any) -> None:
        added = [
            {"type": "Add", "queryId": version * 100 + number, "udfPath": path, "args": [args]}
            for number, path in enumerate(paths)
        ]
        self.send(
            "ModifyQuerySet", baseVersion=version, newVersion=version + 1, modifications=added
        )

    def mutate(self, request_id: int, path: str, **args: Any) -> None:
        self.send("Mutation", requestId=request_id, udfPath=path, args=[args])

    def receive(self, *, ping: bool = False) -> Message:
        """The next message that is no Ping."""
        while True:
            message: Message = json.loads(self.socket.recv(TIMEOUT_SECONDS))
            if ping or message["type"] != "Ping":
                return message

    def values(self) -> list[Any]:
        """The values in the next message, a Transition."""
        message = self.receive()
        assert message["type"] == "Transition", message
        return [modification["value"] for modification in message["modifications"]]
