"""Running actions and HTTP actions: `async` code outside any transaction.

An action's calls go through the same door as a client's, each in a transaction of its own. A
failing call raises inside the action; if nobody catches it, the caller of the action sees the inner
failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.errors import LimitExceeded
from reactor.functions.context import ActionCtx, Auth, FunctionReference
from reactor.functions.execution import (
    Caller,
    check_arguments,
    encode_result,
    find_function,
    wire_arguments,
)
from reactor.functions.failures import CallFailed, CallFailedWithData, describe_failure
from reactor.functions.limits import Limits
from reactor.functions.loader import LoadedApp
from reactor.functions.logs import LogSink, capture
from reactor.functions.registry import FunctionKind, FunctionSpec
from reactor.functions.runner import FunctionLog, Runner
from reactor.functions.session_requests import SessionRequest
from reactor.identity import Identity


class RunFunction(Protocol):
    """Runs a query, mutation or action by its path, internal ones included."""

    def __call__(
        self, kind: FunctionKind, path: str, args: dict[str, Value], identity: Identity
    ) -> Awaitable[Outcome]: ...


class ActionRunner:
    """Runs the actions of one app; `run_function` is the door for what they call."""

    def __init__(self, runner: Runner, run_function: RunFunction) -> None:
        self._runner = runner
        self._run_function = run_function

    async def run_action(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        internal: bool = False,
        request: SessionRequest | None = None,
    ) -> Outcome:
        """Run an action to its end or its time limit; cancelling this cancels the action."""
        runner, app = self._runner, self._runner.app
        caller = runner.caller(identity, internal or identity.is_admin, request)
        sink = LogSink(echo=runner.echo)
        started = runner.clock.monotonic_seconds()
        error: BaseException | None = None
        try:
            with capture(sink):
                spec = find_function(app, path, internal=caller.internal, kind=FunctionKind.ACTION)
                check_arguments(spec, args)
                keywords = spec.signature.bind(args)
                result = await self._within_limit(
                    spec.path, spec.limits, spec.handler(self._context(app, caller), **keywords)
                )
                value = encode_result(spec, result)
        except Exception as raised:
            error = raised
        log_lines = () if caller.redact else sink.lines
        runner.log(
            FunctionLog(
                FunctionKind.ACTION,
                path,
                runner.clock.monotonic_seconds() - started,
                sink.lines,
                error,
            )
        )
        if error is None:
            return Outcome.of(0, value=value, log_lines=log_lines)
        failure = describe_failure(
            error, path=path, request=caller.request, redact=caller.redact, folder=app.folder
        )
        return Outcome.of(0, error=failure, log_lines=log_lines)

    async def run_http_action(
        self, spec: FunctionSpec, request: Request, identity: Identity
    ) -> Response:
        """Run an HTTP action. Its exceptions pass: the server knows how to answer them."""
        runner, app = self._runner, self._runner.app
        caller = runner.caller(identity, True, None)
        sink = LogSink(echo=runner.echo)
        started = runner.clock.monotonic_seconds()
        error: BaseException | None = None
        try:
            with capture(sink):
                response = await self._within_limit(
                    spec.path, spec.limits, spec.handler(self._context(app, caller), request)
                )
                if not isinstance(response, Response):
                    raise TypeError(
                        f"HTTP action {spec.path} returned {type(response).__name__}, not a "
                        "starlette Response. Return for example Response(status_code=200)."
                    )
                return response
        except Exception as raised:
            error = raised
            raise
        finally:
            seconds = runner.clock.monotonic_seconds() - started
            runner.log(FunctionLog(FunctionKind.HTTP_ACTION, spec.path, seconds, sink.lines, error))

    async def _within_limit(self, path: str, limits: Limits, running: object) -> object:
        assert isinstance(running, Awaitable), "the loader accepts only async actions"
        try:
            async with asyncio.timeout(limits.action_seconds) as timer:
                return await running
        except TimeoutError:
            if not timer.expired():
                raise
            raise LimitExceeded(
                f"Function execution timed out: {path} ran longer than its limit of "
                f"{limits.action_seconds:g} s (action_seconds). Split the work, or raise the limit "
                "with Limits(action_seconds=...) on the function or the app."
            ) from None

    def _context(self, app: LoadedApp, caller: Caller) -> ActionCtx:
        calls = _Calls(app, caller, self._run_function)
        return ActionCtx(
            Auth(caller.identity), calls, self._runner.clock, self._runner.new_random()
        )


class _Calls:
    """`ctx.run_*` of one action."""

    def __init__(self, app: LoadedApp, caller: Caller, run_function: RunFunction) -> None:
        self._app = app
        self._caller = caller
        self._run_function = run_function

    async def run_query(self, function: FunctionReference, args: dict[str, Any]) -> Any:
        return await self._run(FunctionKind.QUERY, function, args)

    async def run_mutation(self, function: FunctionReference, args: dict[str, Any]) -> Any:
        return await self._run(FunctionKind.MUTATION, function, args)

    async def run_action(self, function: FunctionReference, args: dict[str, Any]) -> Any:
        return await self._run(FunctionKind.ACTION, function, args)

    async def _run(
        self, kind: FunctionKind, function: FunctionReference, args: dict[str, Any]
    ) -> Any:
        if isinstance(function, str):
            spec = find_function(self._app, function, internal=True, kind=kind)
        else:
            spec = self._app.registry.spec_of(function)
        outcome = await self._run_function(
            kind, spec.path, wire_arguments(self._app, args), self._caller.identity
        )
        return python_result(spec, outcome)


def python_result(spec: FunctionSpec | None, outcome: Outcome) -> Any:
    """What Python code gets of an outcome: the typed result, or the failure raised."""
    if outcome.error is not None:
        failed: Callable[..., Exception] = (
            CallFailed if outcome.error.data is None else CallFailedWithData
        )
        raise failed(outcome.error)
    assert outcome.value is not None
    value = wire.decode(outcome.value)
    if spec is None or spec.signature.returns is None:
        return value
    return spec.signature.returns.load(value)
