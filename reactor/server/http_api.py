"""Functions over HTTP (protocol 2.1, 2.2, 2.4).

A function that fails is an answer like any other, with status 200; only a request that makes no
sense, may not be made or cannot be served has another status, and then always a JSON body with
`code` and `message`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reactor.application import ReactorApi
from reactor.data.values import Value
from reactor.data.wire import JsonTree
from reactor.errors import InvalidRequest
from reactor.identity import Identity
from reactor.runtime import secret_bytes
from reactor.server.authorization import identify, require_admin
from reactor.server.errors import problem_response
from reactor.server.request_body import read_body, read_json
from reactor.server.value_formats import ValueFormat, choose_format
from reactor.sync.requests import RefusedCall, decode_arguments
from reactor.sync.server_messages import CallOutcome, dump
from reactor.sync.versions import decode_timestamp, encode_timestamp

#: Arguments are limited to 16 MiB; the rest is room for the path and the format.
BODY_BYTES_MAX: Final = (16 << 20) + 2000

BATCH_QUERIES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Call:
    """`args` is the reason when the arguments make no call."""

    path: str
    args: dict[str, Value] | str
    format: ValueFormat


_Run = Callable[[str, dict[str, Value], Identity], Awaitable[CallOutcome]]


class HttpApi:
    """The endpoints; each one turns a request into calls of `ReactorApi`."""

    def __init__(self, api: ReactorApi) -> None:
        self._api = api

    def routes(self) -> list[Route]:
        return [
            Route("/api/query", _answering(self._post_query), methods=["POST"]),
            Route("/api/query", _answering(self._get_query), methods=["GET"]),
            Route("/api/mutation", _answering(self._mutation), methods=["POST"]),
            Route("/api/action", _answering(self._action), methods=["POST"]),
            Route("/api/function", _answering(self._function), methods=["POST"]),
            Route("/api/query_ts", _answering(self._query_ts), methods=["POST"]),
            Route("/api/query_at_ts", _answering(self._query_at_ts), methods=["POST"]),
            Route("/api/query_batch", _answering(self._query_batch), methods=["POST"]),
            Route("/api/run/{parts:path}", _answering(self._run_parts), methods=["POST"]),
            Route("/api/check_admin_key", _answering(self._check_admin_key), methods=["GET"]),
            Route("/echo", _answering(self._echo), methods=["POST"]),
            Route("/version", _answering(self._version), methods=["GET"]),
            Route("/instance_version", _answering(self._version), methods=["GET"]),
            Route("/instance_name", _answering(self._instance_name), methods=["GET"]),
            Route("/", _answering(self._banner), methods=["GET"]),
        ]

    # -- functions -------------------------------------------------------------------------------

    async def _post_query(self, request: Request) -> Response:
        return await self._post(request, self._api.run_query)

    async def _mutation(self, request: Request) -> Response:
        return await self._post(request, self._api.run_mutation)

    async def _action(self, request: Request) -> Response:
        return await self._post(request, self._api.run_action)

    async def _function(self, request: Request) -> Response:
        identity = await require_admin(self._api, request)
        call = _read_call(await read_json(request, BODY_BYTES_MAX), request)
        return _json(await self._run(call, identity, self._api.run_any))

    async def _run_parts(self, request: Request) -> Response:
        """``/api/run/<a>/<b>/<fn>``: `a/b:fn`, of any kind; internal ones for administrators."""
        identity = await identify(self._api, request)
        module, _, name = request.path_params["parts"].rstrip("/").rpartition("/")
        if not module or not name:
            raise InvalidRequest(
                "Name a module and a function, as in /api/run/messages/list or "
                "/api/run/folder/messages/list",
                tag="MissingIdentifier",
            )
        tree = await read_json(request, BODY_BYTES_MAX)
        asked = {"args": tree.get("args", {}), "format": tree.get("format") or "json"}
        call = _read_call({**asked, "path": f"{module}:{name}"}, request)
        run = self._api.run_any if identity.is_admin else self._api.run_public
        return _json(await self._run(call, identity, run))

    async def _post(self, request: Request, run: _Run) -> Response:
        identity = await identify(self._api, request)
        call = _read_call(await read_json(request, BODY_BYTES_MAX), request)
        return _json(await self._run(call, identity, run))

    async def _get_query(self, request: Request) -> Response:
        identity = await identify(self._api, request)
        parameters = request.query_params
        tree: dict[str, object] = {
            name: parameters[name] for name in ("path", "format") if name in parameters
        }
        if parameters.get("args"):
            try:
                tree["args"] = orjson.loads(parameters["args"])
            except orjson.JSONDecodeError as error:
                raise InvalidRequest(
                    f"The parameter `args` is not JSON: {error.msg}", tag="BadArgs"
                ) from None
        return _json(await self._run(_read_call(tree, request), identity, self._api.run_query))

    async def _query_ts(self, request: Request) -> Response:
        await identify(self._api, request)
        return _json({"ts": encode_timestamp(self._api.latest_ts())})

    async def _query_at_ts(self, request: Request) -> Response:
        identity = await identify(self._api, request)
        tree = await read_json(request, BODY_BYTES_MAX)
        text = tree.get("ts")
        if not isinstance(text, str):
            raise InvalidRequest(
                "`ts` must be the timestamp that /api/query_ts gave", tag="InvalidTimestamp"
            )
        ts = decode_timestamp(text, "`ts`")

        async def run(path: str, args: dict[str, Value], identity: Identity) -> CallOutcome:
            return await self._api.run_query(path, args, identity, at=ts)

        return _json(await self._run(_read_call(tree, request), identity, run))

    async def _query_batch(self, request: Request) -> Response:
        identity = await identify(self._api, request)
        tree = await read_json(request, BODY_BYTES_MAX)
        queries = tree.get("queries")
        if not isinstance(queries, list) or len(queries) > BATCH_QUERIES_MAX:
            raise InvalidRequest(
                f"`queries` must be an array of at most {BATCH_QUERIES_MAX} queries",
                tag="BadJsonBody",
            )
        calls = [_read_call(query, request) for query in queries]
        ts = self._api.latest_ts()

        async def run(path: str, args: dict[str, Value], identity: Identity) -> CallOutcome:
            return await self._api.run_query(path, args, identity, at=ts)

        results = await asyncio.gather(*(self._run(call, identity, run) for call in calls))
        return _json({"results": list(results)})

    async def _run(self, call: _Call, identity: Identity, run: _Run) -> JsonTree:
        if isinstance(call.args, dict):
            return _answer(await run(call.path, call.args, identity), call.format)
        name = secret_bytes(16).hex()
        return _answer(RefusedCall.because(call.args, name, self._api.redact), call.format)

    # -- about this server -----------------------------------------------------------------------

    async def _check_admin_key(self, request: Request) -> Response:
        await require_admin(self._api, request)
        return _json({"success": True})

    async def _echo(self, request: Request) -> Response:
        body = await read_body(request, BODY_BYTES_MAX)
        return Response(body, media_type="application/octet-stream")  # never shown as a page

    async def _version(self, request: Request) -> Response:
        return PlainTextResponse("unknown")

    async def _instance_name(self, request: Request) -> Response:
        return PlainTextResponse(self._api.name)

    async def _banner(self, request: Request) -> Response:
        return PlainTextResponse(
            f"reactor serves {self._api.name!r} here. Give this address to a Convex client.\n"
        )


_Endpoint = Callable[[Request], Awaitable[Response]]


def _answering(endpoint: _Endpoint) -> _Endpoint:
    """`endpoint` whose failures are answers, too."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            return problem_response(error)

    return answer


def _read_call(tree: object, request: Request) -> _Call:
    if not isinstance(tree, dict):
        raise InvalidRequest("A query must be a JSON object", tag="BadJsonBody")
    path = tree.get("path")
    if not isinstance(path, str):
        raise InvalidRequest(
            "`path` must be the path of a function, such as 'messages:list'", tag="BadJsonBody"
        )
    component_path = tree.get("componentPath") or ""
    if not isinstance(component_path, str):
        raise InvalidRequest("`componentPath` must be a string", tag="BadJsonBody")
    args = tree.get("args", {})
    return _Call(
        path,
        decode_arguments(path, args if isinstance(args, list) else [args], component_path),
        choose_format(tree.get("format"), request.headers.get("convex-client")),
    )


def _answer(outcome: CallOutcome, value_format: ValueFormat) -> dict[str, JsonTree]:
    answer: dict[str, JsonTree]
    if outcome.error is None:
        value = outcome.value
        answer = {
            "status": "success",
            "value": None if value is None else value_format.write(value),
        }
    else:
        answer = {"status": "error", "errorMessage": outcome.error.message}
        if outcome.error.data is not None:
            answer["errorData"] = value_format.write(outcome.error.data)
    if outcome.log_lines:
        answer["logLines"] = list(outcome.log_lines)
    return answer


def _json(tree: JsonTree) -> Response:
    return Response(dump(tree), media_type="application/json")
