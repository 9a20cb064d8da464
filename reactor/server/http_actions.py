"""HTTP actions (protocol 2.9): requests that an app's own functions answer.

They are reached at the site's root and under `/http` of the API. The function sees the path without
that prefix in both places, so one app behaves the same in both. Its response is sent as it is:
headers, CORS included, are its own affair.
"""

from __future__ import annotations

import logging
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from reactor.application import ReactorApi
from reactor.errors import NotFound, Problem, Unauthenticated, Unavailable
from reactor.identity import Identity
from reactor.server.authorization import identify
from reactor.server.errors import problem_response
from reactor.server.request_body import check_declared_size, limited

_LOGGER = logging.getLogger("reactor.http")

BODY_BYTES_MAX: Final = 20 << 20


class HttpActions:
    """An ASGI application that answers by HTTP actions. `prefix` is removed from paths."""

    def __init__(self, api: ReactorApi, prefix: str = "") -> None:
        self._api = api
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        path = path.removeprefix(self._prefix) or "/"
        own_scope = {
            **scope,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "app_root_path": "",
        }
        request = Request(own_scope, limited(receive, BODY_BYTES_MAX))
        response = await self._respond(request, path)
        await response(
            own_scope, receive, _without_body(send) if request.method == "HEAD" else send
        )

    async def _respond(self, request: Request, path: str) -> Response:
        try:
            check_declared_size(request, BODY_BYTES_MAX)
            identity = await self._identify(request)
            return await self._api.handle_http_action(request, path, identity)
        except NotFound as problem:
            return PlainTextResponse(problem.message, 404)
        except HTTPException as error:
            # Starlette's way to refuse from inside a function, and a body over the limit.
            return PlainTextResponse(error.detail, error.status_code, error.headers)
        except Unavailable as problem:
            return problem_response(problem)
        except Exception as error:
            return self._failure(request, path, error)

    async def _identify(self, request: Request) -> Identity:
        """An invalid header does not reject the request: its meaning may be the function's own."""
        try:
            return await identify(self._api, request)
        except Unauthenticated:
            return Identity.ANONYMOUS
        except Problem:
            _LOGGER.exception("could not verify the Authorization header of an HTTP action")
            return Identity.ANONYMOUS

    def _failure(self, request: Request, path: str, error: Exception) -> Response:
        if not self._api.redact:
            _LOGGER.error("%s %s failed", request.method, path, exc_info=error)
        failure = self._api.describe_failure(path, error)
        first_line, _, rest = failure.message.partition("\n")
        body: dict[str, object] = {"code": first_line}
        if rest:
            text, trace = _split_frames(rest)
            body = {"code": f"{first_line}: {text}", "trace": trace}
        if failure.data is not None:
            body["data"] = orjson.Fragment(failure.data)
        return Response(orjson.dumps(body), 500, media_type="application/json")


def _split_frames(text: str) -> tuple[str, str]:
    """The text of a failure and the frames that follow it."""
    lines = text.splitlines(keepends=True)
    count = len(lines)
    while count and lines[count - 1].startswith("    at "):
        count -= 1
    return "".join(lines[:count]).rstrip("\n"), "".join(lines[count:])


def _without_body(send: Send) -> Send:
    """The answer to HEAD has the headers of the answer to GET and nothing else."""

    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_headers
