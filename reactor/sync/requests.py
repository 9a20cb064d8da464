"""What a `Session` asks of its driver: calls to run, tokens to verify, queries to bring up to date.

Arguments are decoded already; whatever cannot be called at all is a `RefusedCall`, an outcome that
the session makes itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final, TypeAlias

from reactor.data import wire
from reactor.data.values import Value
from reactor.errors import InvalidValue
from reactor.identity import Identity
from reactor.sync.messages import TokenType
from reactor.types import Timestamp


@dataclass(frozen=True, slots=True)
class RunMutation:
    """Run it to its end whatever becomes of the connection; then `Session.mutation_done`."""

    request_id: int
    path: str
    args: dict[str, Value]
    identity: Identity
    session_id: str | None


@dataclass(frozen=True, slots=True)
class RunAction:
    """Start it beside whatever else runs; then `Session.action_done`."""

    request_id: int
    path: str
    args: dict[str, Value]
    identity: Identity
    session_id: str | None


@dataclass(frozen=True, slots=True)
class VerifyToken:
    """Then `Session.authenticated` or `Session.authentication_failed`."""

    token_type: TokenType
    value: str | None
    impersonating: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class WatchQuery:
    query_id: int
    path: str
    args: dict[str, Value]
    journal: str | None


@dataclass(frozen=True, slots=True)
class Advance:
    """Stop watching `removes`, watch `adds`, and bring everything watched to the newest timestamp
    under `identity`; then `Session.advance_done`. At most one is under way.
    """

    removes: tuple[int, ...]
    adds: tuple[WatchQuery, ...]
    identity: Identity


Request: TypeAlias = RunMutation | RunAction | VerifyToken | Advance


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was refused; satisfies `server_messages.Failure`."""

    message: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """The outcome of a call that never ran; satisfies `server_messages.CallOutcome`."""

    error: Refusal
    digest: bytes
    ts: Timestamp = 0
    value: bytes | None = None
    log_lines: tuple[str, ...] = ()
    journal: str | None = None

    @classmethod
    def because(cls, reason: str, call: str, redact: bool) -> RefusedCall:
        """`call` names it; the request id in the text is derived from that (protocol 8.1)."""
        first_line = f"[Request ID: {sha256(call.encode()).hexdigest()[:16]}] Server Error"
        message = first_line if redact else f"{first_line}\n{reason}\n"
        return cls(Refusal(message), blake2b(message.encode(), digest_size=16).digest())


def decode_arguments(path: str, args: list[object], component_path: str) -> dict[str, Value] | str:
    """The argument object of a call, or why the call is refused."""
    if component_path:
        return (
            f"Component {component_path[:80]!r} does not exist: {path[:80]!r} was called in it, "
            "but this server has no components. Leave `componentPath` out."
        )
    if len(args) != 1 or not isinstance(args[0], dict):
        return f"Invalid arguments for {_shown(path)}: `args` must be an array of one object"
    try:
        decoded = wire.from_json(args[0])
    except InvalidValue as problem:
        return f"Invalid arguments for {_shown(path)}: {problem.message}"
    if not isinstance(decoded, dict):
        return f"Invalid arguments for {_shown(path)}: they must be an object"
    return decoded


_PATH_SHOWN_LENGTH: Final = 200


def _shown(path: str) -> str:
    """The internal spelling, `messages.js:list`, which official servers use in this text."""
    module, colon, name = path[:_PATH_SHOWN_LENGTH].rpartition(":")
    if not colon:
        module, name = name, "default"
    return f"{module.removesuffix('.js')}.js:{name}"
