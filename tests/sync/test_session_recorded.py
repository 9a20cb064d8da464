"""The recorded frames of official clients, replayed against the session."""

from __future__ import annotations

import json

import pytest

from reactor.sync.requests import Advance, RunAction, RunMutation, VerifyToken
from reactor.sync.versions import TIMESTAMP_MAX, encode_timestamp
from tests.sync import client_frames
from tests.sync.client_frames import Message
from tests.sync.connection import Connection, value

RECORDINGS = client_frames.load()


def replay(messages: list[Message]) -> Connection:
    """Send everything, and carry out everything at once after each message."""
    connection = Connection(newest_ts=TIMESTAMP_MAX)
    ts = 0
    for message in messages:
        connection.send_text(json.dumps(message))
        while connection.requests:
            ts += 1
            for request in list(connection.requests):
                if isinstance(request, Advance):
                    results = [(query.query_id, value(ts, ts)) for query in request.adds]
                    connection.advance(ts, *results)
                elif isinstance(request, RunMutation):
                    connection.mutated(request.request_id, value("done", ts))
                elif isinstance(request, RunAction):
                    connection.acted(request.request_id, value("done"))
                elif isinstance(request, VerifyToken):
                    connection.authenticated()
            connection.messages()
    return connection


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_message_is_accepted_and_answered(name: str) -> None:
    for messages in RECORDINGS[name]:
        connection = replay(messages)
        assert connection.session.closed is None
        requests = [m["requestId"] for m in messages if m["type"] in ("Mutation", "Action")]
        answers = [m["requestId"] for m in connection.received if "requestId" in m]
        assert answers == requests
        sets = [m["newVersion"] for m in messages if m["type"] == "ModifyQuerySet"]
        assert connection.version["querySet"] == max(sets, default=0)
        tokens = sum(m["type"] == "Authenticate" for m in messages)
        assert connection.version["identity"] == tokens
        added = {
            modification["queryId"]
            for m in messages
            for modification in m.get("modifications", ())
            if modification["type"] == "Add"
        }
        told = {
            modification["queryId"]
            for m in connection.received
            for modification in m.get("modifications", ())
        }
        assert added <= told


def test_a_recorded_client_that_observed_more_than_the_server_has_is_sent_away() -> None:
    messages = [
        message
        for connections in RECORDINGS.values()
        for messages in connections
        for message in messages
        if "maxObservedTimestamp" in message
    ]
    assert messages
    for message in messages:
        connection = Connection(newest_ts=1)
        connection.send_text(json.dumps(message))
        assert connection.close == (1011, "InternalServerError")


def test_the_first_transition_of_a_replay_has_the_version_of_the_protocol() -> None:
    (messages,) = RECORDINGS["js_basic"][:1]
    connection = replay(messages[:2])
    assert connection.received[0]["startVersion"]["ts"] == encode_timestamp(0)
