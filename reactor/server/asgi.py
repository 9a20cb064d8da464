"""The ASGI applications of a reactor: the API with sync, and the site with HTTP actions.

Both are ordinary Starlette applications and may be mounted under any prefix of another one. Served
by themselves, their lifespan starts the reactor if it does not run, and the API's stops what its
own lifespan started. A mounted application gets no lifespan: whoever mounts it starts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from reactor.application import ReactorApi
from reactor.server.cors import MirrorCors
from reactor.server.errors import on_http_exception
from reactor.server.http_actions import HttpActions
from reactor.server.http_api import HttpApi
from reactor.server.paths import CollapseSlashes
from reactor.server.websocket import SyncServer, SyncSettings

_HTTP_ACTIONS: Final = "/http"


class RunningApi(ReactorApi, Protocol):
    """A `ReactorApi` that can be started and stopped."""

    @property
    def is_running(self) -> bool: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def build_api_app(api: RunningApi, settings: SyncSettings | None = None) -> Starlette:
    """Sync, the HTTP API, and HTTP actions under `/http`. `app.state.sync` is its SyncServer."""
    sync = SyncServer(api, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        was_running = api.is_running
        await api.start()
        yield
        await sync.close()
        if not was_running:
            await api.stop()

    app = Starlette(
        routes=[
            WebSocketRoute("/api/sync", sync.serve),
            WebSocketRoute("/api/{version}/sync", sync.serve),
            *HttpApi(api).routes(),
            Route(_HTTP_ACTIONS, HttpActions(api, _HTTP_ACTIONS)),
            Route(_HTTP_ACTIONS + "/{path:path}", HttpActions(api, _HTTP_ACTIONS)),
        ],
        middleware=[
            Middleware(CollapseSlashes, except_prefix=_HTTP_ACTIONS + "/"),
            Middleware(MirrorCors, except_prefix=_HTTP_ACTIONS + "/"),
        ],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sync = sync
    return app


def build_site_app(api: RunningApi) -> Starlette:
    """HTTP actions at the root."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await api.start()
        yield

    return Starlette(routes=[Route("/{path:path}", HttpActions(api))], lifespan=lifespan)
