"""CORS for the API (protocol 2.3): every origin may call, and is mirrored.

That is safe because credentials travel in the `Authorization` header, never in cookies. HTTP
actions are left alone: their code sets its own headers.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reactor.server.paths import route_path

_METHODS = "GET, POST, OPTIONS, PATCH, DELETE, PUT"
_MAX_AGE_SECONDS = 86_400


class MirrorCors:
    """ASGI middleware. Paths under `except_prefix` pass untouched."""

    def __init__(self, app: ASGIApp, except_prefix: str) -> None:
        self._app = app
        self._except_prefix = except_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or f"{route_path(scope)}/".startswith(self._except_prefix):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if scope["method"] == "OPTIONS":
            await self._preflight(headers, origin)(scope, receive, send)
        elif origin is None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _mirroring(send, origin))

    @staticmethod
    def _preflight(headers: Headers, origin: str | None) -> Response:
        response = Response(status_code=200)
        _mirror(response.headers, origin or "*")
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
        requested = headers.get("access-control-request-headers")
        if requested is not None:
            response.headers["Access-Control-Allow-Headers"] = requested
        return response


def _mirroring(send: Send, origin: str) -> Send:
    async def send_mirrored(message: Message) -> None:
        if message["type"] == "http.response.start":
            _mirror(MutableHeaders(scope=message), origin)
        await send(message)

    return send_mirrored


def _mirror(headers: MutableHeaders, origin: str) -> None:
    headers["Access-Control-Allow-Origin"] = origin
    headers.add_vary_header("Origin")
    if origin != "*":
        headers["Access-Control-Allow-Credentials"] = "true"
