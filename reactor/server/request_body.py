"""Reading the body of a request: never more than a limit, JSON where JSON is due."""

from __future__ import annotations

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from reactor.errors import InvalidRequest


class BodyTooLarge(HTTPException):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            413, f"The request's body is larger than the limit of {limit_bytes} bytes."
        )


def check_declared_size(request: Request, limit_bytes: int) -> None:
    """Refuse by the Content-Length header, before anything is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)


def limited(receive: Receive, limit_bytes: int) -> Receive:
    """`receive` that raises BodyTooLarge once more than `limit_bytes` of a body came."""
    received_bytes = 0

    async def receive_limited() -> Message:
        nonlocal received_bytes
        message = await receive()
        if message["type"] == "http.request":
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                raise BodyTooLarge(limit_bytes)
        return message

    return receive_limited


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is longer than `limit_bytes`."""
    check_declared_size(request, limit_bytes)
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
    except ClientDisconnect:
        raise InvalidRequest("The body ended early", tag="BadJsonBody") from None
    return bytes(body)


async def read_json(request: Request, limit_bytes: int) -> dict[str, object]:
    """The JSON object in the body. Raises InvalidRequest `BadJsonBody`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise InvalidRequest(
            f"Expected a request with `Content-Type: application/json`, not {media_type[:80]!r}",
            tag="BadJsonBody",
        )
    body = await read_body(request, limit_bytes)
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            tag="BadJsonBody",
        ) from None
    if not isinstance(tree, dict):
        raise InvalidRequest(
            f"The body must be a JSON object, not a JSON {type(tree).__name__}", tag="BadJsonBody"
        )
    return tree
