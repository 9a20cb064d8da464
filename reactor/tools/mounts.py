"""One port for several apps: the first segment of a path says which app answers.

As ASGI wants it, the prefix goes into `root_path` and stays in `path`. Duplicate slashes before the
prefix are dropped, since Convex clients produce them from an address that ends in a slash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Mounts:
    """Apps by name; anything else gets the list of them."""

    def __init__(self, apps: Mapping[str, AsgiApp]) -> None:
        self._apps = dict(apps)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/" + scope["path"].lstrip("/")
        name, _, rest = path[1:].partition("/")
        app = self._apps.get(name)
        if app is not None:
            prefix = f"{scope.get('root_path', '')}/{name}"
            await app({**scope, "root_path": prefix, "path": f"{prefix}/{rest}"}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._list_apps(200 if path == "/" else 404, path, send)

    async def _list_apps(self, status: int, path: str, send: Send) -> None:
        heading = "" if status == 200 else f"There is no app at {path}. "
        lines = [f"{heading}Apps of this server:", *(f"  /{name}" for name in self._apps)]
        body = "\n".join(lines).encode() + b"\n"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
