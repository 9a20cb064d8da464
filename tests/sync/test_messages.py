from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.errors import InvalidRequest
from reactor.sync.messages import (
    AddQuery,
    Authenticate,
    CallFunction,
    Connect,
    Event,
    ModifyQuerySet,
    RemoveQuery,
    parse_client_message,
)
from tests.sync import client_frames
from tests.sync.connection import SESSION_ID

LIMIT = 1 << 20


def parse(**message: Any) -> object:
    return parse_client_message(json.dumps(message), LIMIT)


def refusal(**message: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse(**message)
    return caught.value.message


def test_connect() -> None:
    message = parse(
        type="Connect",
        sessionId=SESSION_ID,
        connectionCount=2,
        lastCloseReason=None,
        clientTs=5,
        maxObservedTimestamp="AQAAAAAAAAA=",
    )
    assert message == Connect(SESSION_ID, 2, None, 1)


def test_connect_may_lack_the_close_reason_and_what_was_observed() -> None:
    message = parse(type="Connect", sessionId=SESSION_ID, connectionCount=0)
    assert message == Connect(SESSION_ID, 0, None, None)


def test_modify_query_set() -> None:
    message = parse(
        type="ModifyQuerySet",
        baseVersion=1,
        newVersion=2,
        modifications=[
            {"type": "Add", "queryId": 7, "udfPath": "q:a", "args": [{}], "journal": "J"},
            {"type": "Add", "queryId": 8, "udfPath": "q:b", "args": [], "journal": None},
            {"type": "Remove", "queryId": 3},
        ],
    )
    assert message == ModifyQuerySet(
        1,
        2,
        (
            AddQuery(7, "q:a", [{}], "J", ""),
            AddQuery(8, "q:b", [], None, ""),
            RemoveQuery(3),
        ),
    )


def test_calls() -> None:
    call = {"requestId": 4, "udfPath": "m:m", "args": [{"x": 1}], "componentPath": "c"}
    assert parse(type="Mutation", **call) == CallFunction("Mutation", 4, "m:m", [{"x": 1}], "c")
    assert parse(type="Action", **call) == CallFunction("Action", 4, "m:m", [{"x": 1}], "c")


def test_authenticate() -> None:
    assert parse(type="Authenticate", baseVersion=0, tokenType="None") == Authenticate(
        0, "None", None, None
    )
    assert parse(type="Authenticate", baseVersion=1, tokenType="User", value="t") == Authenticate(
        1, "User", "t", None
    )
    for name in ("impersonating", "actingAs", "acting_as"):
        message = {"type": "Authenticate", "baseVersion": 1, "tokenType": "Admin", "value": "k"}
        assert parse(**message, **{name: {"issuer": "i"}}) == Authenticate(
            1, "Admin", "k", {"issuer": "i"}
        )


def test_events_and_unknown_fields_are_ignored() -> None:
    assert parse(type="Event", eventType="Anything", event=[1]) == Event()
    assert isinstance(
        parse(type="ModifyQuerySet", baseVersion=0, newVersion=1, modifications=[], new=1),
        ModifyQuerySet,
    )


def test_every_recorded_message_of_official_clients_parses() -> None:
    for connections in client_frames.load().values():
        for messages in connections:
            for message in messages:
                parse(**message)


@pytest.mark.skipif(not client_frames.RECORDINGS.is_dir(), reason="the recordings are not here")
def test_the_copy_of_the_recordings_is_up_to_date() -> None:
    assert client_frames.load() == client_frames.extract()


def test_a_refusal_names_the_field_what_it_must_be_and_what_came() -> None:
    modifications = [{"type": "Remove", "queryId": 1}, {"type": "Remove", "queryId": "x"}]
    assert (
        refusal(type="ModifyQuerySet", baseVersion=0, newVersion=1, modifications=modifications)
        == "ModifyQuerySet.modifications[1].queryId must be an integer from 0 to 4294967295, "
        'not "x"'
    )
    assert (
        refusal(type="Mutation", requestId=0, args=[])
        == "Mutation.udfPath is missing: a string expected"
    )


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"type": "Nonsense"}, 'Unknown message type "Nonsense"'),
        ({"type": 5}, "A message.type must be a string, not 5"),
        ({}, "A message.type is missing"),
        (
            {"type": "Connect", "sessionId": "me", "connectionCount": 0},
            'Connect.sessionId must be a UUID such as .*, not "me"',
        ),
        (
            {"type": "Connect", "sessionId": SESSION_ID + "0", "connectionCount": 0},
            "Connect.sessionId must be a string of at most 36 characters",
        ),
        (
            {"type": "Connect", "sessionId": SESSION_ID, "connectionCount": -1},
            "Connect.connectionCount must be an integer",
        ),
        (
            {"type": "Mutation", "requestId": 1 << 32, "udfPath": "a", "args": []},
            "Mutation.requestId must be an integer from 0 to 4294967295, not 4294967296",
        ),
        (
            {"type": "Action", "requestId": True, "udfPath": "a", "args": []},
            "Action.requestId must be an integer .*, not true",
        ),
        (
            {"type": "Action", "requestId": 1, "udfPath": "a", "args": {}},
            "Action.args must be an array, not {}",
        ),
        (
            {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [1]},
            r"ModifyQuerySet.modifications\[0\] must be a JSON object, not 1",
        ),
        (
            {
                "type": "ModifyQuerySet",
                "baseVersion": 0,
                "newVersion": 1,
                "modifications": [{"type": "Change"}],
            },
            r"ModifyQuerySet.modifications\[0\].type must be Add or Remove",
        ),
        (
            {"type": "Authenticate", "baseVersion": 0, "tokenType": "Guest"},
            "Authenticate.tokenType must be Admin, User or None",
        ),
        (
            {"type": "Authenticate", "baseVersion": 0, "tokenType": "User"},
            "Authenticate.value is missing",
        ),
    ],
)
def test_malformed_messages_are_refused(message: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        parse(**message)


@pytest.mark.parametrize("data", ["", "{", "nul", b"\xff\xfe", "[" * 100_000, '{"type":"Ev'])
def test_what_is_not_json_is_refused_as_such(data: str | bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_client_message(data, LIMIT)
    assert caught.value.short_code == "WSMessageInvalidJson"


@pytest.mark.parametrize("data", ["1", "null", '"Connect"', "[]"])
def test_json_that_is_no_object_is_refused(data: str) -> None:
    with pytest.raises(InvalidRequest, match="A message must be a JSON object"):
        parse_client_message(data, LIMIT)


def test_utf8_bytes_are_as_good_as_text() -> None:
    data = json.dumps({"type": "Event", "é": "😀"}, ensure_ascii=False).encode()
    assert parse_client_message(data, LIMIT) == Event()


def test_a_message_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(
        InvalidRequest, match="A message of 11 bytes is larger than the limit of 10"
    ):
        parse_client_message(b"{" * 11, 10)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


FIELDS = (
    *("sessionId", "connectionCount", "baseVersion", "newVersion", "modifications", "requestId"),
    *("udfPath", "args", "componentPath", "tokenType", "value", "journal"),
)


@given(
    st.sampled_from(["Connect", "ModifyQuerySet", "Mutation", "Action", "Authenticate"]),
    st.dictionaries(
        st.sampled_from(FIELDS),
        _json,
    ),
)
def test_whatever_arrives_is_parsed_or_refused(kind: str, fields: dict[str, Any]) -> None:
    try:
        parse_client_message(json.dumps({**fields, "type": kind}), LIMIT)
    except InvalidRequest as problem:
        assert len(problem.message) < 400
