"""Paths below wherever the application is mounted, with clients' double slashes taken out.

Clients append `/api/...` to the address they were given, so an address with a slash at its end
yields `//api/...`.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile(r"/{2,}")


def route_path(scope: Scope) -> str:
    """The path relative to the mount, always with a slash at its start."""
    path: str = scope["path"]
    return "/" + path.removeprefix(scope.get("root_path", "")).lstrip("/")


class CollapseSlashes:
    """ASGI middleware. Below `except_prefix` only the slashes in front of it are collapsed."""

    def __init__(self, app: ASGIApp, except_prefix: str) -> None:
        self._app = app
        self._except_prefix = except_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and "//" in scope["path"]:
            path = route_path(scope)
            if not path.startswith(self._except_prefix):
                path = _SLASHES.sub("/", path)
            scope = {**scope, "path": scope.get("root_path", "") + path}
        await self._app(scope, receive, send)
