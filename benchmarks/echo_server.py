"""What the same libraries do with no database behind them: the yardstick of the benchmark.

`/echo` returns each message to its sender; `/relay` hands each message to everyone else connected
there. Prints `ready URL`, like the server that it is compared with.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

connected: set[WebSocket] = set()


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def relay(websocket: WebSocket) -> None:
    await websocket.accept()
    connected.add(websocket)
    try:
        async for text in websocket.iter_text():
            for other in connected - {websocket}:
                await other.send_text(text)
    finally:
        connected.discard(websocket)


async def main() -> None:
    app = Starlette(routes=[WebSocketRoute("/echo", echo), WebSocketRoute("/relay", relay)])
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws="websockets-sansio", log_level="warning", lifespan="off")
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listener]))
    print(f"ready ws://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serving


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
