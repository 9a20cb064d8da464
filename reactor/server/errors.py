"""What a failed request looks like: `{"code", "message"}` as JSON, whatever went wrong.

A `Problem` answers for itself. Trouble of the server's own is logged and hidden, because its text
may name files and internals.
"""

from __future__ import annotations

import logging

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from reactor.errors import Problem, Unavailable

_LOGGER = logging.getLogger("reactor.http")

HIDDEN_MESSAGE = "Your request couldn't be completed. Try again later."

_CODES = {404: "NotFound", 405: "MethodNotAllowed", 413: "BodyTooLarge"}


def error_response(code: str, message: str, status: int) -> Response:
    body = orjson.dumps({"code": code, "message": message.encode(errors="replace").decode()})
    return Response(body, status, media_type="application/json")


def problem_response(error: Exception) -> Response:
    """The answer to a request that failed with `error`."""
    if isinstance(error, Problem) and (error.http_status < 500 or isinstance(error, Unavailable)):
        # A function's own error that escaped as a request's is still the caller's mistake.
        status = 400 if error.http_status < 400 else error.http_status
        return error_response(error.short_code, error.message, status)
    if isinstance(error, HTTPException):
        return http_exception_response(error)
    _LOGGER.error("a request failed", exc_info=error)
    status = error.http_status if isinstance(error, Problem) else 500
    return error_response("InternalServerError", HIDDEN_MESSAGE, status)


def http_exception_response(error: HTTPException) -> Response:
    """Starlette's own refusals (no such path, wrong method) in the one shape."""
    code = _CODES.get(error.status_code, "BadRequest")
    response = error_response(code, error.detail, error.status_code)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's exception handler; the path helps whoever mistyped a URL."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        error = HTTPException(404, f"Nothing is served at {request.method} {request.url.path}.")
    return http_exception_response(error)
