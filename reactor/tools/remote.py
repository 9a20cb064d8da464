"""Calls to the server that holds a store: one-off calls over HTTP, watching over WebSocket.

Watching speaks just enough of the sync protocol for one query: connect, authenticate as
administrator, add the query, read transitions. A lost connection is made again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from reactor.data.wire import from_json, to_json
from reactor.errors import InternalProblem, Problem, Unauthenticated, Unavailable
from reactor.runtime import secret_bytes
from reactor.tools.answers import Answer, Arguments

CONNECT_SECONDS: Final = 2.0
#: Longer than an action may run by default; the server has the deadlines.
ANSWER_SECONDS: Final = 900.0
_ENCODED: Final = "convex_encoded_json"


class NobodyAnswers(Unavailable):
    """No server of this store is at the address that a notice gave."""


class RemoteApp:
    """One app of a running server."""

    def __init__(self, url: str, admin_key: str) -> None:
        self._url = url.rstrip("/")
        self._admin_key = admin_key
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            headers={"Authorization": f"Convex {admin_key}"},
            trust_env=False,
        )

    async def check(self) -> None:
        """NobodyAnswers unless a server that accepts the admin key answers. Changes nothing."""
        await self.call("_system/cli/tables", {"paginationOpts": {"cursor": None, "numItems": 1}})

    async def call(self, path: str, args: Arguments) -> Answer:
        body = {"path": path, "args": to_json(dict(args)), "format": _ENCODED}
        try:
            response = await self._http.post(f"{self._url}/api/function", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NobodyAnswers(f"No server answers at {self._url}: {error}.") from None
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The server at {self._url} did not finish the call ({type(error).__name__}: "
                f"{error}). Whether it was carried out is unknown."
            ) from None
        return self._answer(response)

    async def watch(self, path: str, args: Arguments) -> AsyncIterator[Answer]:
        host = urlsplit(self._url)
        address = self._url.replace(host.scheme, "wss" if host.scheme == "https" else "ws", 1)
        digits = secret_bytes(16).hex()
        session = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
        query = {"type": "Add", "queryId": 0, "udfPath": path, "args": [to_json(dict(args))]}
        hello = [
            {
                "type": "Connect",
                "sessionId": session,
                "connectionCount": 0,
                "lastCloseReason": "InitialConnect",
                "clientTs": 0,
            },
            {
                "type": "Authenticate",
                "baseVersion": 0,
                "tokenType": "Admin",
                "value": self._admin_key,
            },
            {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [query]},
        ]
        last: object = None
        try:
            async for socket in open_websocket(f"{address}/api/sync", max_size=None, proxy=None):
                with contextlib.suppress(ConnectionClosed):
                    for message in hello:
                        await socket.send(json.dumps(message))
                    async for text in socket:
                        for update in _updates(json.loads(text)):
                            # After a reconnection the server repeats what was shown already.
                            if update != last:
                                last = update
                                yield _answer_of_update(update)
        except InvalidHandshake as error:
            raise Unavailable(f"The server at {self._url} refused to watch: {error}.") from None

    async def close(self) -> None:
        await self._http.aclose()

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise NobodyAnswers(f"What answers at {self._url} is not a reactor server.")
        if response.status_code == 401:
            raise NobodyAnswers(f"The server at {self._url} belongs to another store.")
        if response.status_code != 200:
            raise Unavailable(f"{content.get('message', response.text)}", tag=content.get("code"))
        return Answer(
            value=from_json(content.get("value")),
            error=content.get("errorMessage") if content.get("status") == "error" else None,
            log_lines=tuple(content.get("logLines", ())),
        )


def _updates(message: dict[str, object]) -> list[dict[str, object]]:
    """The modifications of a message; raises for the messages that end a session."""
    kind = message.get("type")
    if kind == "AuthError":
        raise Unauthenticated(f"The server refused the admin key: {message.get('error')}")
    if kind == "FatalError":
        raise Problem(f"The server ended the subscription: {message.get('error')}")
    modifications = message.get("modifications", ()) if kind == "Transition" else ()
    if not isinstance(modifications, (list, tuple)):
        raise InternalProblem(f"The server sent a malformed transition: {modifications!r}")
    return [update for update in modifications if update.get("queryId") == 0]


def _answer_of_update(update: dict[str, object]) -> Answer:
    failed = update.get("type") == "QueryFailed"
    lines = update.get("logLines")
    return Answer(
        value=None if failed else from_json(update.get("value")),
        error=str(update.get("errorMessage")) if failed else None,
        log_lines=tuple(map(str, lines)) if isinstance(lines, list) else (),
    )
