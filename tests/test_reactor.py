"""A Reactor inside an ASGI program: its own lifespan, and mounted in another application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from reactor import Reactor
from reactor.errors import Unavailable
from reactor.store.memory import MemoryStore
from tests.functions.running_apps import module_app, run

SOURCE = """
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

class Note(Table, name="notes"):
    text: str

@query
def count(ctx: QueryCtx) -> int:
    return ctx.db.query(Note).count()

@mutation
def write(ctx: MutationCtx) -> None:
    ctx.db.insert(Note(text="x"))

@http_action("GET", "/hello")
async def hello(ctx: ActionCtx, request: Request) -> Response:
    return PlainTextResponse(f"hello {await ctx.run_query(count)}")
"""


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an ASGI application whose lifespan runs, as under a server."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://host") as client,
    ):
        yield client


async def count(client: httpx.AsyncClient, prefix: str = "") -> Any:
    body = {"path": "app:count", "args": {}, "format": "json"}
    return (await client.post(f"{prefix}/api/query", json=body)).json()["value"]


async def write(client: httpx.AsyncClient, prefix: str = "") -> None:
    body = {"path": "app:write", "args": {}, "format": "json"}
    assert (await client.post(f"{prefix}/api/mutation", json=body)).json()["status"] == "success"


def host_of(**reactors: Reactor) -> Starlette:
    """A program that mounts reactors under their names, and starts them with itself."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            for reactor in reactors.values():
                await running.enter_async_context(reactor)
            yield

    routes = [Mount(f"/{name}", reactor.asgi) for name, reactor in reactors.items()]
    return Starlette(routes=routes, lifespan=lifespan)


def test_a_reactor_is_an_async_context_manager() -> None:
    async def main() -> None:
        async with Reactor(module_app(SOURCE)) as reactor:
            await reactor.mutation("app:write")
            assert await reactor.query("app:count") == 1
        with pytest.raises(Unavailable):
            await reactor.query("app:count")

    run(main())


def test_the_lifespan_of_the_api_starts_and_stops_the_reactor() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(SOURCE))
        async with served(reactor.asgi) as client:
            await write(client)
            assert await count(client) == 1
            assert reactor.is_running
        assert not reactor.is_running

    run(main())


def test_the_lifespan_leaves_a_reactor_running_that_somebody_else_started() -> None:
    async def main() -> None:
        async with Reactor(module_app(SOURCE)) as reactor:
            async with served(reactor.asgi):
                pass
            assert await reactor.query("app:count") == 0

    run(main())


def test_a_reactor_can_be_mounted_under_a_prefix() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(SOURCE))
        async with served(host_of(backend=reactor)) as client:
            await write(client, "/backend")
            assert await count(client, "/backend") == 1
            assert (await client.get("/backend/http/hello")).text == "hello 1"
        assert not reactor.is_running

    run(main())


def test_two_reactors_in_one_program_do_not_share_anything() -> None:
    async def main() -> None:
        host = host_of(one=Reactor(module_app(SOURCE)), other=Reactor(module_app(SOURCE)))
        async with served(host) as client:
            await write(client, "/one")
            assert (await count(client, "/one"), await count(client, "/other")) == (1, 0)

    run(main())


def test_http_actions_have_a_site_at_the_root() -> None:
    async def main() -> None:
        reactor = Reactor(module_app(SOURCE))
        async with reactor, served(reactor.site_asgi) as client:
            assert (await client.get("/hello")).text == "hello 0"

    run(main())


def test_a_mounted_reactor_that_nobody_started_says_so() -> None:
    async def main() -> None:
        host = Starlette(routes=[Mount("/backend", Reactor(module_app(SOURCE)).asgi)])
        async with served(host) as client:
            answer = await client.post("/backend/api/query", json={"path": "app:count", "args": {}})
        assert answer.status_code == 503
        assert "Start it first" in answer.text

    run(main())


def test_the_data_of_a_served_reactor_is_there_after_a_restart() -> None:
    async def main() -> None:
        store = MemoryStore()
        for expected in (0, 1):
            async with served(Reactor(module_app(SOURCE), store=store).asgi) as client:
                assert await count(client) == expected
                await write(client)

    run(main())
