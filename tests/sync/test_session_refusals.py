"""Bad input: a FatalError with the reason, and a close that names it."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from reactor.errors import InvalidFunctionPath, NotFound
from reactor.sync.closing import Close
from reactor.sync.versions import encode_timestamp
from tests.sync.connection import Connection, add, remove


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("not json", "WSMessageInvalidJson"),
        (b"\xff\x00", "WSMessageInvalidJson"),
        ("[" * 5_000, "WSMessageInvalidJson"),
        ("[]", "InvalidMessage"),
        ('{"type":"Subscribe"}', "UnknownMessageType"),
        ('{"type":"Mutation"}', "InvalidMessage"),
    ],
)
def test_a_malformed_message_is_fatal(data: str | bytes, code: str) -> None:
    connection = Connection.subscribed(0)
    connection.send_text(data)
    assert connection.fatal_error().startswith(f"{code}: ")
    assert connection.close == (1000, code)


def test_a_message_above_the_limit_is_fatal() -> None:
    connection = Connection(message_bytes=1_000)
    connection.send_text("é" * 500)
    assert connection.session.closed == Close(1000, "WSMessageInvalidJson", ANY)
    connection = Connection(message_bytes=1_000)
    connection.send_text("é" * 501)
    assert connection.fatal_error().startswith("MessageTooLarge: A message of 1002 bytes is larger")
    assert connection.close == (1009, "MessageTooLarge")


@pytest.mark.parametrize(("base", "new"), [(0, 1), (2, 3), (1, 1), (1, 0)])
def test_a_query_set_must_start_at_its_version_and_go_up(base: int, new: int) -> None:
    connection = Connection.subscribed(0)
    connection.send("ModifyQuerySet", baseVersion=base, newVersion=new, modifications=[])
    assert connection.fatal_error().startswith(
        f"BaseVersionMismatch: ModifyQuerySet leads from version {base} to {new}"
    )


def test_versions_may_jump() -> None:
    connection = Connection()
    connection.send("ModifyQuerySet", baseVersion=0, newVersion=7, modifications=[])
    connection.advance(10)
    assert connection.transition()["endVersion"]["querySet"] == 7


@pytest.mark.parametrize("modifications", [[add(0)], [add(1), add(1)], [remove(0), add(0), add(0)]])
def test_a_query_id_in_use_is_fatal(modifications: list[dict[str, Any]]) -> None:
    connection = Connection.subscribed(0)
    connection.modify(*modifications)
    assert connection.fatal_error().startswith("DuplicateQueryId: Query id ")


def test_a_request_id_in_use_is_fatal() -> None:
    connection = Connection.subscribed()
    connection.mutate(1)
    connection.act(1)
    assert connection.fatal_error().startswith("DuplicateRequestId: Request id 1 ")


def test_a_second_connect_is_fatal() -> None:
    connection = Connection.subscribed()
    connection.connect()
    assert connection.fatal_error().startswith("AlreadyConnected: ")


def test_too_many_subscriptions_are_fatal() -> None:
    connection = Connection.subscribed()
    connection.modify(*map(add, range(10_000)))
    assert connection.session.closed is None
    connection.modify(add(10_000))
    assert connection.fatal_error().startswith(
        "TooManySubscriptions: More than 10000 queries on one connection"
    )


def test_removed_queries_make_room_for_others() -> None:
    connection = Connection(queries=2)
    connection.modify(add(0), add(1))
    connection.modify(remove(0), add(2))
    assert connection.session.closed is None


def test_a_malformed_function_path_is_fatal() -> None:
    connection = Connection.subscribed()
    connection.mutate(0, udfPath="../secrets:read")
    connection.fail(InvalidFunctionPath("'../secrets:read' is not a function path"))
    assert connection.close == (1000, "BadConvexFunctionIdentifier")
    assert connection.kinds() == ["FatalError"]


def test_what_is_not_found_closes_without_a_message() -> None:
    connection = Connection.subscribed()
    connection.fail(NotFound("gone"))
    assert connection.messages() == []
    assert connection.close == (1000, "NotFound")


def test_a_client_that_saw_the_future_is_sent_away() -> None:
    connection = Connection(newest_ts=100)
    connection.connect(connectionCount=1, maxObservedTimestamp=encode_timestamp(101))
    assert connection.messages() == []
    assert connection.close == (1011, "InternalServerError")
    assert connection.session.closed is not None
    assert "101" in connection.session.closed.detail


def test_a_client_that_saw_the_newest_timestamp_is_welcome() -> None:
    connection = Connection(newest_ts=100)
    connection.connect(connectionCount=1, maxObservedTimestamp=encode_timestamp(100))
    assert connection.session.closed is None


def test_close_reasons_fit_into_a_close_frame() -> None:
    connection = Connection.subscribed()
    connection.send("x" * 1_000)
    assert len(connection.close[1].encode()) <= 123


def test_what_was_ready_is_sent_before_the_end() -> None:
    connection = Connection.subscribed()
    connection.mutate(1, args=[])
    connection.send_text("nonsense")
    assert connection.kinds() == ["MutationResponse", "FatalError"]


def test_only_the_first_reason_counts() -> None:
    connection = Connection.subscribed()
    connection.send_text("nonsense")
    connection.session.shut_down(1012, "ServerRestart")
    assert connection.close == (1000, "WSMessageInvalidJson")
