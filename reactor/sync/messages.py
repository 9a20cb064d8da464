"""What clients send, parsed into types (protocol 1.3).

Parsing trusts nothing: every refusal is an `InvalidRequest` that names the field, what it must be
and what came instead. Unknown extra fields are ignored, as official servers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import orjson

from reactor.errors import InvalidRequest
from reactor.sync.versions import U32_MAX, decode_timestamp
from reactor.types import Timestamp

TokenType: TypeAlias = Literal["Admin", "User", "None"]

_TEXT_LENGTH_MAX: Final = 1 << 20
_SHOWN_LENGTH_MAX: Final = 60
_UUID_LENGTH: Final = 36


@dataclass(frozen=True, slots=True)
class Connect:
    session_id: str
    connection_count: int
    last_close_reason: str | None
    max_observed_ts: Timestamp | None


@dataclass(frozen=True, slots=True)
class AddQuery:
    query_id: int
    path: str
    args: list[object]
    journal: str | None
    component_path: str


@dataclass(frozen=True, slots=True)
class RemoveQuery:
    query_id: int


@dataclass(frozen=True, slots=True)
class ModifyQuerySet:
    base_version: int
    new_version: int
    modifications: tuple[AddQuery | RemoveQuery, ...]


@dataclass(frozen=True, slots=True)
class CallFunction:
    """`Mutation` and `Action` messages: the same fields, different promises."""

    kind: Literal["Mutation", "Action"]
    request_id: int
    path: str
    args: list[object]
    component_path: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    base_version: int
    token_type: TokenType
    value: str | None
    impersonating: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Event:
    """Debug information of the client; nothing acts on it."""


ClientMessage: TypeAlias = Connect | ModifyQuerySet | CallFunction | Authenticate | Event


def parse_client_message(data: bytes | str, bytes_max: int) -> ClientMessage:
    """The message in one frame. Raises InvalidRequest."""
    if len(data) > bytes_max:
        raise InvalidRequest(
            f"A message of {len(data)} bytes is larger than the limit of {bytes_max} bytes. Send "
            "less at once; the arguments of a function are limited to 16 MiB.",
            tag="MessageTooLarge",
        )
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"Received a message that is not JSON (character {error.pos}: {error.msg}); "
            "send one JSON object per message",
            tag="WSMessageInvalidJson",
        ) from None
    fields = _Fields(tree, "A message")
    kind = fields.text("type")
    match kind:
        case "ModifyQuerySet":
            return _modify_query_set(_Fields(tree, kind))
        case "Mutation" | "Action":
            return _call_function(
                _Fields(tree, kind), "Mutation" if kind == "Mutation" else "Action"
            )
        case "Connect":
            return _connect(_Fields(tree, kind))
        case "Authenticate":
            return _authenticate(_Fields(tree, kind))
        case "Event":
            return Event()
    raise InvalidRequest(
        f"Unknown message type {_shown(kind)}; known are Connect, ModifyQuerySet, Mutation, "
        "Action, Authenticate and Event",
        tag="UnknownMessageType",
    )


class _Fields:
    """One JSON object, read field by field."""

    __slots__ = ("_tree", "_where")

    def __init__(self, tree: object, where: str) -> None:
        if not isinstance(tree, dict):
            raise InvalidRequest(f"{where} must be a JSON object, not {_shown(tree)}", tag=_TAG)
        self._tree = cast(dict[str, object], tree)
        self._where = where

    def _refuse(self, name: str, wanted: str) -> InvalidRequest:
        if name not in self._tree:
            return InvalidRequest(f"{self._where}.{name} is missing: {wanted} expected", tag=_TAG)
        value = _shown(self._tree[name])
        return InvalidRequest(f"{self._where}.{name} must be {wanted}, not {value}", tag=_TAG)

    def text(self, name: str, length_max: int = _TEXT_LENGTH_MAX) -> str:
        value = self._tree.get(name)
        if type(value) is not str:
            raise self._refuse(name, "a string")
        if len(value) > length_max:
            raise self._refuse(name, f"a string of at most {length_max} characters")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self._tree.get(name) is None else self.text(name)

    def u32(self, name: str) -> int:
        value = self._tree.get(name)
        if type(value) is not int or not 0 <= value <= U32_MAX:
            raise self._refuse(name, f"an integer from 0 to {U32_MAX}")
        return value

    def array(self, name: str) -> list[object]:
        value = self._tree.get(name)
        if type(value) is not list:
            raise self._refuse(name, "an array")
        return value

    def optional_object(self, name: str) -> dict[str, object] | None:
        value = self._tree.get(name)
        if value is not None and type(value) is not dict:
            raise self._refuse(name, "an object")
        return value


_TAG: Final = "InvalidMessage"


def _shown(value: object) -> str:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # a number beyond 64 bits, a lone surrogate, nesting
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_LENGTH_MAX else f"{text[: _SHOWN_LENGTH_MAX - 3]}..."


def _connect(fields: _Fields) -> Connect:
    session_id = fields.text("sessionId", _UUID_LENGTH).lower()
    if not _is_uuid(session_id):
        raise InvalidRequest(
            f"Connect.sessionId must be a UUID such as 'a7d216b1-df30-40ea-8dc9-5eb469528c37', "
            f"not {_shown(session_id)}",
            tag=_TAG,
        )
    observed = fields.optional_text("maxObservedTimestamp")
    return Connect(
        session_id,
        fields.u32("connectionCount"),
        fields.optional_text("lastCloseReason"),
        None if observed is None else decode_timestamp(observed, "Connect.maxObservedTimestamp"),
    )


def _is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        character in "0123456789abcdef" for part in parts for character in part
    )


def _modify_query_set(fields: _Fields) -> ModifyQuerySet:
    modifications: list[AddQuery | RemoveQuery] = []
    for position, tree in enumerate(fields.array("modifications")):
        modification = _Fields(tree, f"ModifyQuerySet.modifications[{position}]")
        match modification.text("type"):
            case "Add":
                modifications.append(
                    AddQuery(
                        modification.u32("queryId"),
                        modification.text("udfPath"),
                        modification.array("args"),
                        modification.optional_text("journal"),
                        modification.optional_text("componentPath") or "",
                    )
                )
            case "Remove":
                modifications.append(RemoveQuery(modification.u32("queryId")))
            case other:
                raise InvalidRequest(
                    f"ModifyQuerySet.modifications[{position}].type must be Add or Remove, "
                    f"not {_shown(other)}",
                    tag=_TAG,
                )
    return ModifyQuerySet(fields.u32("baseVersion"), fields.u32("newVersion"), tuple(modifications))


def _call_function(fields: _Fields, kind: Literal["Mutation", "Action"]) -> CallFunction:
    return CallFunction(
        kind,
        fields.u32("requestId"),
        fields.text("udfPath"),
        fields.array("args"),
        fields.optional_text("componentPath") or "",
    )


def _authenticate(fields: _Fields) -> Authenticate:
    base_version = fields.u32("baseVersion")
    match fields.text("tokenType"):
        case "None":
            return Authenticate(base_version, "None", None, None)
        case "User":
            return Authenticate(base_version, "User", fields.text("value"), None)
        case "Admin":
            acting = (
                fields.optional_object("impersonating")
                or fields.optional_object("actingAs")
                or fields.optional_object("acting_as")
            )
            return Authenticate(base_version, "Admin", fields.text("value"), acting)
        case other:
            raise InvalidRequest(
                f"Authenticate.tokenType must be Admin, User or None, not {_shown(other)}", tag=_TAG
            )
