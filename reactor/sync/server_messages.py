"""What the server sends, as text (protocol 1.4).

Values that are JSON already are spliced (`orjson.Fragment`), so a value that goes to many clients
is encoded once. Field rules that clients depend on are kept here: `logLines` is always an array,
`errorData` is absent unless an application error carries it (null counts as carrying), the clock
fields are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast

import orjson

from reactor.data.wire import JsonTree
from reactor.sync.versions import Version, encode_timestamp
from reactor.types import Timestamp


class Failure(Protocol):
    """Why a function failed: the whole text for its caller, and the encoded `errorData`."""

    @property
    def message(self) -> str: ...
    @property
    def data(self) -> bytes | None: ...


class CallOutcome(Protocol):
    """What a call gave, as far as a client can tell. The engine's `Outcome` is one."""

    @property
    def ts(self) -> Timestamp: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def error(self) -> Failure | None: ...
    @property
    def log_lines(self) -> tuple[str, ...]: ...
    @property
    def journal(self) -> str | None: ...
    @property
    def digest(self) -> bytes: ...


PING: Final = '{"type":"Ping"}'


def encode_mutation_response(request_id: int, outcome: CallOutcome) -> str:
    response = _response("MutationResponse", request_id, outcome)
    response["ts"] = encode_timestamp(outcome.ts) if outcome.error is None else None
    return dump(response).decode()


def encode_action_response(request_id: int, outcome: CallOutcome) -> str:
    return dump(_response("ActionResponse", request_id, outcome)).decode()


def _response(kind: str, request_id: int, outcome: CallOutcome) -> dict[str, JsonTree]:
    response: dict[str, JsonTree] = {
        "type": kind,
        "requestId": request_id,
        "success": outcome.error is None,
        "result": _spliced(outcome.value) if outcome.error is None else outcome.error.message,
        "logLines": list(outcome.log_lines),
    }
    if outcome.error is not None and outcome.error.data is not None:
        response["errorData"] = orjson.Fragment(outcome.error.data)
    return response


def query_result(query_id: int, outcome: CallOutcome) -> JsonTree:
    """The modification that tells a client a query's result."""
    if outcome.error is None:
        return {
            "type": "QueryUpdated",
            "queryId": query_id,
            "value": _spliced(outcome.value),
            "logLines": list(outcome.log_lines),
            "journal": outcome.journal,
        }
    failed: dict[str, JsonTree] = {
        "type": "QueryFailed",
        "queryId": query_id,
        "errorMessage": outcome.error.message,
        "logLines": list(outcome.log_lines),
        "journal": outcome.journal,
    }
    if outcome.error.data is not None:
        failed["errorData"] = orjson.Fragment(outcome.error.data)
    return failed


def query_removed(query_id: int) -> JsonTree:
    return {"type": "QueryRemoved", "queryId": query_id}


def _spliced(value: bytes | None) -> JsonTree:
    return None if value is None else orjson.Fragment(value)


def encode_transition(start: Version, end: Version, modifications: Iterable[JsonTree]) -> bytes:
    return dump(
        {
            "type": "Transition",
            "startVersion": cast(JsonTree, start.to_json()),
            "endVersion": cast(JsonTree, end.to_json()),
            "modifications": list(modifications),
        }
    )


def split_transition(transition: bytes, part_bytes_max: int, transition_id: str) -> Sequence[str]:
    """The `TransitionChunk` messages that together hold `transition`, cut between characters."""
    parts: list[str] = []
    start = 0
    while start < len(transition):
        end = min(start + part_bytes_max, len(transition))
        while end < len(transition) and transition[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(transition[start:end].decode())
        start = end
    return [
        dump(
            {
                "type": "TransitionChunk",
                "chunk": part,
                "partNumber": number,
                "totalParts": len(parts),
                "transitionId": transition_id,
            }
        ).decode()
        for number, part in enumerate(parts)
    ]


def encode_auth_error(message: str, base_version: int, *, update_attempted: bool) -> str:
    return dump(
        {
            "type": "AuthError",
            "error": message,
            "baseVersion": base_version,
            "authUpdateAttempted": update_attempted,
        }
    ).decode()


def encode_fatal_error(message: str) -> str:
    return dump({"type": "FatalError", "error": message}).decode()


def dump(tree: JsonTree) -> bytes:
    """`tree` as JSON, whatever its texts hold."""
    try:
        return orjson.dumps(tree)
    except TypeError:
        # Text of a function (an error, a log line) may hold lone surrogates, which JSON in UTF-8
        # cannot; a message must not be lost over that.
        return orjson.dumps(_without_surrogates(tree))


def _without_surrogates(tree: JsonTree) -> JsonTree:
    if isinstance(tree, str):
        return tree.encode(errors="replace").decode()
    if isinstance(tree, list):
        return [_without_surrogates(member) for member in tree]
    if isinstance(tree, dict):
        return {name: _without_surrogates(member) for name, member in tree.items()}
    return tree
