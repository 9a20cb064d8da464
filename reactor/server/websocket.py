"""The WebSocket side of the sync protocol: sockets and tasks around `Session`, which decides.

After everything that happens to the session, `_pump` starts what it requests and wakes the sender.
One task reads, one sends; calls and advances are tasks of the `SyncServer`, because a mutation that
has begun is run to its end even if its client has gone.

The sender takes messages only when the socket took the previous ones, and the session asks for the
next Advance only after its last Transition was taken: so a slow client skips intermediate states
and never has more than two Transitions in memory.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from reactor.application import ReactorApi
from reactor.errors import InvalidRequest, Problem, Unauthenticated, Unavailable
from reactor.sync.closing import INTERNAL, RESTART, TRY_AGAIN, Close
from reactor.sync.limits import SessionLimits
from reactor.sync.requests import Advance, Request, RunAction, RunMutation, VerifyToken
from reactor.sync.server_messages import PING
from reactor.sync.session import Session

_LOGGER = logging.getLogger("reactor.sync")

_Result = TypeVar("_Result")

#: The first npm client that understands TransitionChunk, and from which size on it gets them.
_CHUNKS_SINCE: Final = (1, 28, 0)
_CHUNK_BYTES: Final = 5_000_000
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:\+.*)?", re.ASCII)

_ABNORMAL: Final = 1006

_RETRY_SECONDS: Final = 0.1
_RETRY_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """`drain_seconds`: how long the socket may take nothing before the client is given up.

    `hold_seconds`: how long a Transition waits for a mutation of the same client that may be part
    of it. A mutation is answered within a few turns of the event loop after it became visible, so
    one that runs longer than this is not in it.
    """

    limits: SessionLimits = field(default_factory=SessionLimits)
    ping_seconds: float = 15.0
    drain_seconds: float = 30.0
    hold_seconds: float = 0.1
    close_seconds: float = 5.0


def supports_chunks(client_version: str | None) -> bool:
    """Is the version in the path that of an npm client which reassembles Transitions?"""
    match = _VERSION.fullmatch(client_version or "")
    return match is not None and tuple(map(int, match.groups())) >= _CHUNKS_SINCE


class SyncServer:
    """The open connections of one application, and the work they started."""

    def __init__(self, api: ReactorApi, settings: SyncSettings | None = None) -> None:
        self.api = api
        self.settings = settings or SyncSettings()
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._actions: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._connections)

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from the handshake to its end. An ASGI endpoint."""
        limits = self.settings.limits
        if supports_chunks(websocket.path_params.get("version")):
            limits = replace(limits, chunk_bytes=limits.chunk_bytes or _CHUNK_BYTES)
        else:
            limits = replace(limits, chunk_bytes=None)
        await websocket.accept()
        try:
            connection = _Connection(self, websocket, limits)
        except Problem as problem:
            await websocket.close(TRY_AGAIN, problem.short_code)
            return
        self._connections.add(connection)
        try:
            await connection.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOGGER.exception("a sync connection failed")
        finally:
            self._connections.discard(connection)
            connection.end()

    def spawn(self, work: Coroutine[None, None, None], *, is_action: bool = False) -> None:
        """Run `work` to its end, whatever becomes of the connection that asked for it."""
        tasks = self._actions if is_action else self._tasks
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def close(self) -> None:
        """Send every client away (it will come back), and finish what mutations are under way."""
        for connection in list(self._connections):
            connection.shut_down()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._actions:
            await asyncio.wait(self._actions, timeout=self.settings.close_seconds)
        for action in self._actions:
            action.cancel()


class _Connection:
    """`_session` decides; everything else here is the means to do so."""

    def __init__(self, server: SyncServer, websocket: WebSocket, limits: SessionLimits) -> None:
        api = server.api
        self._server = server
        self._api = api
        self._settings = server.settings
        self._websocket = websocket
        self._session = Session(newest_ts=api.latest_ts(), limits=limits, redact=api.redact)
        self._client = api.open_live_client(self._on_dirty)
        self._wake = asyncio.Event()
        self._relaxed = asyncio.Event()
        self._hold: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        reader = asyncio.ensure_future(self._read())
        sender = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait((reader, sender), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            sender.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)
        for task in (reader, sender):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def end(self) -> None:
        """The socket is gone. What is under way ends without it."""
        self._session.shut_down(_ABNORMAL, "")
        self._client.close()
        if self._hold is not None:
            self._hold.cancel()

    def shut_down(self) -> None:
        self._session.shut_down(RESTART, "ServerRestart")
        self._pump()

    # -- the socket ------------------------------------------------------------------------------

    async def _read(self) -> None:
        session = self._session
        while session.closed is None:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            session.receive(message["bytes"] if text is None else text)
            self._pump()
            while session.congested and session.closed is None:
                self._relaxed.clear()
                await self._relaxed.wait()
        # The sender closes the socket; its end ends this connection.
        await asyncio.Event().wait()

    async def _send(self) -> None:
        session = self._session
        try:
            # An answer to the handshake: without it the Python client's second message waits for
            # the delayed acknowledgement of its first (protocol 1.10).
            await self._send_text(PING)
            while True:
                messages = session.take_messages()
                if messages:
                    self._pump()  # there is room for the next Transition
                    for message in messages:
                        await self._send_text(message)
                elif session.closed is not None:
                    break
                elif not await self._woken():
                    await self._send_text(PING)
            await self._close(session.closed)
        except (WebSocketDisconnect, RuntimeError):
            # Gone, or the server closed the socket on its own (an unanswered ping, a bad frame).
            return

    async def _woken(self) -> bool:
        """Waits for something to send; False if there was nothing for long."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._settings.ping_seconds):
                return await self._wake.wait()
        except TimeoutError:
            return False

    async def _send_text(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            reason = f"it took nothing for {self._settings.drain_seconds:g} s"
            self._session.shut_down(TRY_AGAIN, "SlowClient")
            await self._close(Close(TRY_AGAIN, "SlowClient", reason))
            raise WebSocketDisconnect(_ABNORMAL) from None

    async def _close(self, close: Close) -> None:
        level = logging.WARNING if close.code == INTERNAL else logging.INFO
        _LOGGER.log(level, "closed with %d %s: %s", close.code, close.reason, close.detail)
        try:
            async with asyncio.timeout(self._settings.close_seconds):
                await self._websocket.close(close.code, close.reason)
        except (TimeoutError, RuntimeError):
            # The peer does not read even that, or the server closed the socket meanwhile.
            return

    # -- the session -----------------------------------------------------------------------------

    def _on_dirty(self) -> None:
        self._session.queries_dirty()
        self._pump()

    def _pump(self) -> None:
        session = self._session
        for request in session.take_requests():
            self._start(request)
        if session.has_messages or session.closed is not None:
            self._wake.set()
        if not session.congested or session.closed is not None:
            self._relaxed.set()
        if session.holding and self._hold is None:
            loop = asyncio.get_running_loop()
            self._hold = loop.call_later(self._settings.hold_seconds, self._release)
        elif self._hold is not None and not session.holding:
            self._hold.cancel()
            self._hold = None

    def _release(self) -> None:
        self._hold = None
        self._session.hold_expired()
        self._pump()

    def _start(self, request: Request) -> None:
        match request:
            case RunMutation():
                self._server.spawn(self._mutate(request))
            case RunAction():
                self._server.spawn(self._act(request), is_action=True)
            case Advance():
                self._client.set_identity(request.identity)
                for query_id in request.removes:
                    self._client.remove(query_id)
                for query in request.adds:
                    self._client.add(query.query_id, query.path, query.args, query.journal)
                self._server.spawn(self._advance())
            case VerifyToken():
                self._server.spawn(self._verify(request))

    async def _mutate(self, call: RunMutation) -> None:
        request = None if call.session_id is None else (call.session_id, call.request_id)
        outcome = await self._attempt(
            self._api.run_mutation(call.path, call.args, call.identity, request=request)
        )
        if outcome is not None:
            self._session.mutation_done(call.request_id, outcome)
            self._pump()

    async def _act(self, call: RunAction) -> None:
        request = None if call.session_id is None else (call.session_id, call.request_id)
        outcome = await self._attempt(
            self._api.run_action(call.path, call.args, call.identity, request=request)
        )
        if outcome is not None:
            self._session.action_done(call.request_id, outcome)
            self._pump()

    async def _advance(self) -> None:
        pause_seconds = _RETRY_SECONDS
        while self._session.closed is None:
            try:
                advance = await self._attempt(self._client.advance(), passing=Unavailable)
            except Unavailable as problem:
                # Passing trouble, such as no free thread, is retried here and not reported.
                _LOGGER.warning("bringing queries up to date failed, trying again: %s", problem)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _RETRY_SECONDS_MAX)
                continue
            if advance is not None:
                self._session.advance_done(advance.ts, advance.results)
                self._pump()
            return

    async def _verify(self, token: VerifyToken) -> None:
        try:
            identity = await self._attempt(
                self._api.authenticate(token.token_type, token.value, token.impersonating),
                passing=Unauthenticated,
            )
        except Unauthenticated as problem:
            self._session.authentication_failed(problem)
            self._pump()
            return
        if identity is not None:
            self._session.authenticated(identity)
            self._pump()

    async def _attempt(
        self, work: Awaitable[_Result], *, passing: type[Problem] | tuple[()] = ()
    ) -> _Result | None:
        """The result of `work`; None after its failure was handed to the session."""
        try:
            return await work
        except passing:
            raise
        except Problem as problem:
            if not isinstance(problem, InvalidRequest | Unauthenticated):
                _LOGGER.warning("a request failed: %s", problem)
            self._session.failed(problem)
        except Exception:
            _LOGGER.exception("a request failed")
            self._session.failed(None)
        self._pump()
        return None
