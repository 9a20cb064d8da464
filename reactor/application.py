"""The application: one app over one database, and the one door to it.

`Application` composes the floors (store, engine, live queries, functions) and offers `ReactorApi`,
which is all that the server and the tools see. A failed function is an `Outcome` with an error; an
exception out of this door is a `Problem` with the request itself.

Lifecycle: made, `start`ed on an event loop, `stop`ped; a stopped application is not started again.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.database import Database
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.outcome import FunctionFailure, Outcome
from reactor.errors import InternalProblem, NotFound, Unauthenticated, Unavailable
from reactor.functions import session_requests, system_queries
from reactor.functions.action_runner import ActionRunner, python_result
from reactor.functions.context import FunctionReference
from reactor.functions.deployment import deploy
from reactor.functions.execution import find_function, wire_arguments
from reactor.functions.failures import describe_failure, request_id
from reactor.functions.loader import LoadedApp, load_app
from reactor.functions.paths import canonical_path
from reactor.functions.registry import FunctionKind
from reactor.functions.runner import FunctionLog, Runner
from reactor.functions.session_requests import SessionRequest
from reactor.identity import Identity
from reactor.live.live_client import LiveClient
from reactor.live.live_queries import LiveQueries
from reactor.live.live_query import QueryCall
from reactor.runtime import Clock, Entropy, SystemClock, SystemEntropy, secret_bytes
from reactor.store.base import Store
from reactor.store.urls import open_store
from reactor.types import Timestamp

_LOGGER = logging.getLogger("reactor")

_PRUNE_EVERY_SECONDS = 600.0
_PRUNE_BATCH = 1_000


class ReactorApi(Protocol):
    """What the server may ask of an application."""

    @property
    def name(self) -> str: ...
    @property
    def redact(self) -> bool: ...
    async def run_query(
        self, path: str, args: dict[str, Value], identity: Identity, *, at: Timestamp | None = None
    ) -> Outcome: ...
    async def run_mutation(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        request: tuple[str, int] | None = None,
    ) -> Outcome: ...
    async def run_action(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        request: tuple[str, int] | None = None,
    ) -> Outcome: ...
    async def run_public(
        self, path: str, args: dict[str, Value], identity: Identity
    ) -> Outcome: ...
    async def run_any(self, path: str, args: dict[str, Value], identity: Identity) -> Outcome: ...
    async def authenticate(
        self, token_type: str, value: str | None, impersonating: dict[str, object] | None
    ) -> Identity: ...
    def latest_ts(self) -> Timestamp: ...
    def open_live_client(self, on_dirty: Callable[[], None]) -> LiveClient: ...
    async def handle_http_action(
        self, request: Request, path: str, identity: Identity
    ) -> Response: ...
    def describe_failure(self, path: str, error: Exception) -> FunctionFailure: ...


class Application:
    """One app, running. See `reactor.Reactor` for the class that also serves it."""

    def __init__(
        self,
        app: Path | str | ModuleType | LoadedApp,
        *,
        store: str | Store = "memory:",
        redact: bool = False,
        name: str | None = None,
        admin_key: str | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self.loaded = app if isinstance(app, LoadedApp) else load_app(app)
        self.name = name or self.loaded.name
        self.redact = redact
        self.admin_key = admin_key or f"{self.name}|{secret_bytes(32).hex()}"
        self._database = Database(
            open_store(store) if isinstance(store, str) else store,
            clock=clock or SystemClock(),
            entropy=entropy or SystemEntropy(),
        )
        self._runner = Runner(self._database, self.loaded, redact=redact)
        self._actions = ActionRunner(self._runner, self._run_for_action)
        self._live = LiveQueries(self._database, self._runner.evaluate_query)
        self._started = False
        self._stopped = False
        self._upkeep: asyncio.Task[None] | None = None
        self._subscriptions: set[asyncio.Event] = set()

    # -- lifecycle -------------------------------------------------------------------------------

    async def start(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Open the store, replay it, deploy the app. Idempotent while it runs.

        `on_progress` is called from another thread with the number of versions replayed so far.
        """
        if self._stopped:
            raise Unavailable("This Reactor was stopped. Make a new one.")
        if self._started:
            return
        await self._database.open(on_progress)
        self._runner.start()
        self._started = True
        try:
            await deploy(self._database, self._runner, self.loaded)
        except BaseException:
            await self.stop()
            raise
        self._upkeep = asyncio.get_running_loop().create_task(self._prune_for_ever())

    async def stop(self) -> None:
        """Finish commits under way and close the store. Idempotent."""
        if not self._started or self._stopped:
            self._stopped = True
            return
        self._stopped = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        for subscription in self._subscriptions:
            subscription.set()
        await self._live.close()
        self._runner.stop()
        await self._database.close()

    async def deploy(self, loaded: LoadedApp) -> None:
        """Swap in another version of the app; live queries whose code changed are re-run."""
        await deploy(self._database, self._runner, loaded)
        previous, self.loaded = self.loaded, loaded
        previous.forget()

    @property
    def on_log(self) -> Callable[[FunctionLog], None] | None:
        """Called on the event loop after each function call; None for nobody."""
        return self._runner.on_log

    @on_log.setter
    def on_log(self, listener: Callable[[FunctionLog], None] | None) -> None:
        self._runner.on_log = listener

    @property
    def echo(self) -> bool:
        """Whether what functions print also goes to this process's standard output."""
        return self._runner.echo

    @echo.setter
    def echo(self, echo: bool) -> None:
        self._runner.echo = echo

    async def _prune_for_ever(self) -> None:
        while True:
            try:
                await self._prune()
            except Exception:
                _LOGGER.exception("pruning session requests failed; the next try is in ten minutes")
            await asyncio.sleep(_PRUNE_EVERY_SECONDS)

    async def _prune(self) -> None:
        database = self._database
        pruned = _PRUNE_BATCH
        while pruned == _PRUNE_BATCH:
            transaction = database.begin_mutation(Meter(TransactionLimits()))
            now = database.clock.now_ns()
            pruned = session_requests.prune(transaction, database.tables, now, _PRUNE_BATCH)
            committed = database.commit(transaction)
            assert isinstance(committed, int), "nothing runs between begin and commit"
            await database.wait_durable(committed)

    # -- the door (ReactorApi) -------------------------------------------------------------------

    def latest_ts(self) -> Timestamp:
        """The newest durable timestamp."""
        return self._database.durable

    def open_live_client(self, on_dirty: Callable[[], None]) -> LiveClient:
        """The watched queries of one connection."""
        self._check_running()
        return LiveClient(self._database, self._live, on_dirty)

    async def run_query(
        self, path: str, args: dict[str, Value], identity: Identity, *, at: Timestamp | None = None
    ) -> Outcome:
        """Run a query at the newest durable timestamp, or at `at` within the retention."""
        self._check_running()
        canonical_path(path)
        call = QueryCall(path, args, wire.canonical(args), identity, None)
        database = self._database
        ts = database.durable if at is None else database.check_readable(at)
        database.hold(ts)
        try:
            if at is not None:
                return (await self._live.run(call, ts)).outcome
            query = self._live.find(call)
            evaluation = await self._live.evaluation_at(query, ts)
            if evaluation.identity_observed and query.call.identity != identity:
                evaluation = await self._live.run(call, ts)
            return evaluation.outcome
        finally:
            database.release(ts)

    async def run_mutation(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        request: tuple[str, int] | None = None,
    ) -> Outcome:
        """Run a mutation; returns when its outcome is durable. `request`: session and number."""
        self._check_running()
        canonical_path(path)
        session_request = None if request is None else SessionRequest(*request)
        return await self._runner.run_mutation(path, args, identity, request=session_request)

    async def run_action(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        request: tuple[str, int] | None = None,
    ) -> Outcome:
        """Run an action to its end."""
        self._check_running()
        canonical_path(path)
        session_request = None if request is None else SessionRequest(*request)
        return await self._actions.run_action(path, args, identity, request=session_request)

    async def run_public(self, path: str, args: dict[str, Value], identity: Identity) -> Outcome:
        """Run a public function of whatever kind; any other looks missing, as to `run_query`."""
        self._check_running()
        spec = self.loaded.registry.find(path)
        if spec is not None and spec.kind is FunctionKind.MUTATION:
            return await self.run_mutation(path, args, identity)
        if spec is not None and spec.kind is FunctionKind.ACTION:
            return await self.run_action(path, args, identity)
        return await self.run_query(path, args, identity)

    async def run_any(self, path: str, args: dict[str, Value], identity: Identity) -> Outcome:
        """Run any function by its path, internal and system ones included: for administrators."""
        self._check_running()
        if path.startswith("_system/"):
            return system_queries.run(self._database, self.loaded, canonical_path(path), args)
        spec = self.loaded.registry.find(path)
        kind = spec.kind if spec is not None else FunctionKind.QUERY
        return await self._run_for_action(kind, path, args, identity)

    async def _run_for_action(
        self, kind: FunctionKind, path: str, args: dict[str, Value], identity: Identity
    ) -> Outcome:
        if kind is FunctionKind.MUTATION:
            return await self._runner.run_mutation(path, args, identity, internal=True)
        if kind is FunctionKind.ACTION:
            return await self._actions.run_action(path, args, identity, internal=True)
        call = QueryCall(path, args, b"", identity, None)
        evaluation = await self._runner.evaluate_query(call, self.latest_ts(), internal=True)
        return evaluation.outcome

    async def authenticate(
        self, token_type: str, value: str | None, impersonating: dict[str, object] | None
    ) -> Identity:
        """The identity behind a token. Raises Unauthenticated with the protocol's texts."""
        if token_type == "None":
            return Identity.ANONYMOUS
        if token_type == "Admin":
            return self._authenticate_admin(value or "", impersonating)
        if value is None or value.count(".") != 2:
            raise Unauthenticated(
                "Could not parse JWT payload. Check that the token is a valid JWT format with "
                "three base64-encoded parts separated by dots.",
                tag="InvalidAuthHeader",
            )
        raise Unauthenticated(
            "No auth provider found matching the given token (no providers configured). "
            "Check the auth list of app.py.",
            tag="NoAuthProvider",
        )

    def _authenticate_admin(self, key: str, impersonating: dict[str, object] | None) -> Identity:
        for prefix in ("prod:", "dev:"):
            key = key.removeprefix(prefix)
        if not hmac.compare_digest(key.encode(), self.admin_key.encode()):
            raise Unauthenticated(
                "The provided admin key was invalid for this instance", tag="BadAdminKey"
            )
        if impersonating is None:
            return Identity.ADMIN
        return Identity.of_user(impersonating, admin=True)

    async def handle_http_action(self, request: Request, path: str, identity: Identity) -> Response:
        """Run the HTTP action that answers `path`. NotFound if none does; its own errors pass."""
        self._check_running()
        spec = self.loaded.router.match(request.method, path)
        if spec is None:
            raise NotFound(
                "No matching routes found"
                if self.loaded.router
                else "This Convex deployment does not have HTTP actions enabled."
            )
        return await self._actions.run_http_action(spec, request, identity)

    def describe_failure(self, path: str, error: Exception) -> FunctionFailure:
        """What a caller may see of `error`, which the HTTP action at `path` raised."""
        return describe_failure(
            error,
            path=path,
            request=request_id(None, None, self._database.entropy.bytes(8)),
            redact=self.redact,
            folder=self.loaded.folder,
        )

    @property
    def is_running(self) -> bool:
        return self._started and not self._stopped

    def _check_running(self) -> None:
        if not self.is_running:
            raise Unavailable(
                f"The Reactor of {self.name!r} is not running. Start it first: "
                "`async with Reactor(...) as reactor:`."
            )

    # -- direct calls ----------------------------------------------------------------------------

    async def query(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a query in process, as an administrator: `await reactor.query("events:listEvents")`.

        Returns the result as Python values, typed where the function's signature is. Raises what
        the function raised: `ReactorError` with its data, else an error with the failure's text.
        """
        path = self._path_of(function)
        outcome = await self.run_query(path, wire_arguments(self.loaded, args), Identity.ADMIN)
        return python_result(self.loaded.registry.find(path), outcome)

    async def mutation(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run a mutation in process; it is durable when this returns."""
        path = self._path_of(function)
        outcome = await self.run_mutation(path, wire_arguments(self.loaded, args), Identity.ADMIN)
        return python_result(self.loaded.registry.find(path), outcome)

    async def action(self, function: FunctionReference, /, **args: Any) -> Any:
        """Run an action in process."""
        path = self._path_of(function)
        outcome = await self.run_action(path, wire_arguments(self.loaded, args), Identity.ADMIN)
        return python_result(self.loaded.registry.find(path), outcome)

    async def subscribe(
        self, function: FunctionReference, /, **args: Any
    ) -> AsyncGenerator[Any, None]:
        """The query's result now, and again whenever it changes; a failure is raised.

        Unavailable is raised when the Reactor stops.
        """
        path = self._path_of(function)
        find_function(self.loaded, path, internal=True, kind=FunctionKind.QUERY)
        dirty = asyncio.Event()
        client = self.open_live_client(dirty.set)
        self._subscriptions.add(dirty)
        try:
            client.set_identity(Identity.ADMIN)
            client.add(0, path, wire_arguments(self.loaded, args))
            while True:
                self._check_running()
                dirty.clear()
                for _, outcome in (await client.advance()).results:
                    yield python_result(self.loaded.registry.find(path), outcome)
                await dirty.wait()
        finally:
            self._subscriptions.discard(dirty)
            client.close()

    def _path_of(self, function: FunctionReference) -> str:
        if isinstance(function, str):
            return function
        return self.loaded.registry.spec_of(function).path

    def check(self) -> None:
        """Assert the invariants of everything inside. For tests."""
        if not self._started:
            raise InternalProblem("check() needs a started application")
        self._database.check()
        self._live.check()
