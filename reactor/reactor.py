"""`Reactor`: an application that can be served, embedded, or called from plain scripts."""

from __future__ import annotations

from functools import cached_property

from starlette.applications import Starlette

from reactor.application import Application
from reactor.server.asgi import build_api_app, build_site_app


class Reactor(Application):
    """One app with its database.

    ``Reactor("apps/events", store="duckdb:///events.duckdb")``. Use it as an async context manager,
    mount `asgi` in any ASGI application, or use `reactor.BlockingReactor` without an event loop.
    """

    async def __aenter__(self) -> Reactor:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Send clients away, finish commits under way, close the store. Idempotent."""
        if "asgi" in self.__dict__:
            await self.asgi.state.sync.close()
        await super().stop()

    @cached_property
    def asgi(self) -> Starlette:
        """The sync protocol, the HTTP API and (under `/http`) HTTP actions; mountable anywhere."""
        return build_api_app(self)

    @cached_property
    def site_asgi(self) -> Starlette:
        """HTTP actions at the root, for a port of their own."""
        return build_site_app(self)
