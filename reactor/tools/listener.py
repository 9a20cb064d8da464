"""One uvicorn server on a socket that is bound already.

Signals, start and stop of the apps belong to `serve`, so uvicorn's own handling of signals and its
lifespan are off. Several listeners share one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final, cast

import uvicorn

from reactor.tools.keep_alive import (
    PING_INTERVAL_SECONDS,
    PING_TIMEOUT_SECONDS,
    KeepAliveProtocol,
)
from reactor.tools.mounts import AsgiApp
from reactor.tools.ports import BACKLOG, url_of

#: The largest message that official clients send (protocol section 1.11).
MESSAGE_BYTES_MAX: Final = 64 << 20
STOP_SECONDS: Final = 5


class Listener(uvicorn.Server):
    """Serves `app` on `bound` from `start` to `stop`."""

    def __init__(self, app: AsgiApp, bound: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                cast(Any, app),
                ws=KeepAliveProtocol,
                ws_max_size=MESSAGE_BYTES_MAX,
                ws_ping_interval=PING_INTERVAL_SECONDS,
                ws_ping_timeout=PING_TIMEOUT_SECONDS,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self.url = url_of(bound)
        self._bound = bound
        self._answering = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once requests are answered."""
        self._task = asyncio.create_task(
            self.serve(sockets=[self._bound]), name=f"serve {self.url}"
        )
        waiting = asyncio.create_task(self._answering.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self._answering.is_set():
            await self._task

    async def stop(self) -> None:
        """Say goodbye to the clients and return once the port is closed."""
        self.should_exit = True
        if self._task is not None:
            await self._task

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
