"""A Starlette application that mounts a reactor app under a prefix, run as a program by the tests.

`python -m tests.clients.mounted_host APP PREFIX` prints `ready URL` when it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from reactor import Reactor


async def home(request: Request) -> Response:
    return PlainTextResponse("the host's own page")


def build(app_folder: str, prefix: str) -> Starlette:
    reactor = Reactor(app_folder, store="memory:")

    @contextlib.asynccontextmanager
    async def lifespan(host: Starlette) -> AsyncIterator[None]:
        async with reactor:
            yield

    routes = [Route("/", home), Mount(prefix, app=reactor.asgi)]
    return Starlette(routes=routes, lifespan=lifespan)


async def main(app_folder: str, prefix: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        build(app_folder, prefix), ws="websockets-sansio", log_level="warning", lifespan="on"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
