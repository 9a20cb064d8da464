"""The sync protocol over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.exceptions import ConnectionClosed, InvalidStatus

from reactor import Reactor
from reactor.engine.outcome import Outcome
from reactor.errors import Overloaded
from reactor.server.websocket import SyncSettings, supports_chunks
from reactor.sync.limits import SessionLimits
from tests.server import sample_app
from tests.server.serving import ADMIN_KEY, TIMEOUT_SECONDS, Served, SyncClient
from tests.sync.connection import SESSION_ID


def close_of(client: SyncClient) -> tuple[int, str]:
    """Reads until the connection is closed; with what code and reason."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            client.socket.recv(TIMEOUT_SECONDS)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_a_subscription_sees_a_mutation_after_its_response(served: Served) -> None:
    with served.client() as client:
        client.connect()
        client.subscribe("sample_app:count")
        (before,) = client.values()
        client.mutate(0, "sample_app:add", text="a")
        response = client.receive()
        assert (response["type"], response["result"]) == ("MutationResponse", "added a")
        assert client.values() == [before + 1]


def test_another_client_sees_it_too(served: Served) -> None:
    with served.client() as client, served.client() as other:
        other.subscribe("sample_app:count")
        (before,) = other.values()
        client.mutate(0, "sample_app:add", text="b")
        assert other.values() == [before + 1]


def test_an_action_is_answered(served: Served) -> None:
    with served.client() as client:
        client.send("Action", requestId=0, udfPath="sample_app:act", args=[{"text": "c"}])
        assert client.receive()["result"] == "added c"
        assert client.receive()["type"] == "Transition"


def test_the_server_speaks_first_so_that_clients_need_not_wait_for_acknowledgements(
    served: Served,
) -> None:
    with served.client() as client:
        assert client.receive(ping=True) == {"type": "Ping"}


@pytest.mark.parametrize("path", ["/api/1.48.0/sync", "//api/1.48.0/sync", "/api/nonsense/sync"])
def test_any_version_and_doubled_slashes_are_welcome(served: Served, path: str) -> None:
    with served.client(path) as client:
        client.subscribe("sample_app:echo", value=1)
        assert client.values() == [1]


def test_other_paths_are_refused(served: Served) -> None:
    with pytest.raises(InvalidStatus), served.client("/api/nothing"):
        pass


def test_binary_frames_with_json_are_accepted(served: Served) -> None:
    with served.client() as client:
        message = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": []}
        client.socket.send(json.dumps(message).encode())
        assert client.values() == []


def test_a_malformed_message_ends_that_connection_and_no_other(served: Served) -> None:
    with served.client() as client, served.client() as other:
        client.socket.send("nonsense")
        assert client.receive()["error"].startswith("WSMessageInvalidJson: ")
        assert close_of(client) == (1000, "WSMessageInvalidJson")
        other.subscribe("sample_app:echo", value=2)
        assert other.values() == [2]


def test_an_oversized_message_is_refused_with_an_explanation(served: Served) -> None:
    with served.client() as client:
        client.mutate(0, "sample_app:add", text="x" * (17 << 20))
        assert client.receive()["error"].startswith("MessageTooLarge: A message of 178")
        assert close_of(client) == (1009, "MessageTooLarge")


def test_a_hostile_function_path_is_an_error(served: Served) -> None:
    with served.client() as client:
        client.mutate(0, "../../etc/passwd")
        assert client.receive()["error"].startswith("BadConvexFunctionIdentifier: ")
        assert close_of(client) == (1000, "BadConvexFunctionIdentifier")


def test_ten_thousand_subscriptions_are_served_and_one_more_is_refused(served: Served) -> None:
    with served.client(max_size=None) as client:
        client.subscribe(*["sample_app:echo"] * 10_000, value=3)
        assert client.values() == [3] * 10_000
        client.send(
            "ModifyQuerySet",
            baseVersion=1,
            newVersion=2,
            modifications=[
                {"type": "Add", "queryId": 10_000, "udfPath": "sample_app:echo", "args": [{}]}
            ],
        )
        assert client.receive()["error"].startswith("TooManySubscriptions: ")


def test_an_admin_key_makes_an_administrator(served: Served) -> None:
    with served.client() as client:
        client.send("Authenticate", baseVersion=0, tokenType="Admin", value=ADMIN_KEY)
        assert client.receive()["endVersion"]["identity"] == 1
        client.subscribe("sample_app:hidden")
        assert client.values() == ["hidden"]


def test_acting_as_a_user_changes_what_queries_see(served: Served) -> None:
    with served.client() as client:
        client.subscribe("sample_app:who")
        assert client.values() == [None]
        client.send(
            "Authenticate",
            baseVersion=0,
            tokenType="Admin",
            value=ADMIN_KEY,
            impersonating={"issuer": "i", "subject": "s"},
        )
        (identity,) = client.values()
        assert identity["subject"] == "s"


def test_a_refused_token_is_an_auth_error_and_the_end(served: Served) -> None:
    with served.client() as client:
        client.send("Authenticate", baseVersion=0, tokenType="User", value="x")
        message = client.receive()
        assert (message["type"], message["authUpdateAttempted"]) == ("AuthError", True)
        assert close_of(client) == (1000, "AuthenticationFailed")


def test_a_replayed_mutation_is_answered_from_memory(served: Served) -> None:
    answers = []
    session_id = SESSION_ID.replace("a", "b")
    for connection_count in range(2):
        with served.client() as client:
            client.connect(sessionId=session_id, connectionCount=connection_count)
            client.mutate(7, "sample_app:add", text="only once")
            answers.append(client.receive())
            assert client.receive()["type"] == "Transition"
    assert answers[0] == answers[1]
    items = served.call("query", "sample_app:listItems").json()["value"]
    assert items.count("only once") == 1


def test_a_mutation_runs_to_its_end_though_its_client_has_gone(served: Served) -> None:
    sample_app.allowed.clear()
    sample_app.entered.clear()
    with served.client() as watcher:
        watcher.subscribe("sample_app:listItems")
        watcher.values()
        with served.client() as client:
            client.mutate(0, "sample_app:addWhenAllowed", text="left behind")
            assert sample_app.entered.wait(TIMEOUT_SECONDS)
        sample_app.allowed.set()
        assert "left behind" in watcher.values()[0]


def test_a_slow_mutation_does_not_hold_back_what_others_write() -> None:
    sample_app.allowed.clear()
    sample_app.entered.clear()
    with Served() as served, served.client() as client:
        client.subscribe("sample_app:echo", value=1)
        client.values()
        client.mutate(0, "sample_app:addWhenAllowed", text="slow")
        assert sample_app.entered.wait(TIMEOUT_SECONDS)
        client.subscribe("sample_app:echo", value=2, version=1)
        assert client.values() == [2]
        sample_app.allowed.set()
        assert [client.receive()["type"] for _ in range(2)] == ["MutationResponse", "Transition"]


def test_a_client_that_saw_the_future_is_sent_away(served: Served) -> None:
    with served.client() as client:
        client.connect(maxObservedTimestamp="/////////38=")
        assert close_of(client) == (1011, "InternalServerError")


def test_silence_is_filled_with_pings() -> None:
    with Served(SyncSettings(ping_seconds=0.05)) as served, served.client() as client:
        assert [client.receive(ping=True)["type"] for _ in range(4)] == ["Ping"] * 4


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.28.0", True),
        ("1.48.0", True),
        ("2.0.0", True),
        ("1.28.0-alpha.1", False),
        ("1.27.9", False),
        ("nonsense", False),
        ("", False),
        (None, False),
    ],
)
def test_chunks_are_for_recent_npm_clients_only(version: str | None, expected: bool) -> None:
    assert supports_chunks(version) is expected


def test_a_large_transition_reaches_a_recent_npm_client_in_chunks() -> None:
    settings = SyncSettings(SessionLimits(chunk_bytes=1_000))
    with Served(settings) as served:
        with served.client("/api/1.48.0/sync") as client:
            client.subscribe("sample_app:big", size=2_000)
            parts = [client.receive()]
            while len(parts) < parts[0]["totalParts"]:
                parts.append(client.receive())
            whole = json.loads("".join(part["chunk"] for part in parts))
            assert whole["type"] == "Transition"
        with served.client("/api/sync") as client:
            client.subscribe("sample_app:big", size=2_000)
            assert client.receive()["type"] == "Transition"


def test_a_client_that_reads_nothing_is_given_up() -> None:
    settings = SyncSettings(ping_seconds=0.1, drain_seconds=0.2, close_seconds=0.2)
    with (
        Served(settings) as served,
        Logged("reactor.sync", "SlowClient") as given_up,
        served.client(max_queue=1, max_size=None, compression=None) as client,
    ):
        for version in range(20):
            client.subscribe("sample_app:big", version=version, size=1_000_000, salt=version)
        assert given_up.wait(TIMEOUT_SECONDS)
        with pytest.raises(ConnectionClosed):
            while True:
                client.socket.recv(TIMEOUT_SECONDS)


class Logged(logging.Handler):
    """An event: some record of a logger holds a text."""

    def __init__(self, logger: str, text: str) -> None:
        super().__init__()
        self._logger = logging.getLogger(logger)
        self._text = text
        self._event = threading.Event()

    def __enter__(self) -> threading.Event:
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)
        return self._event

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self._event.set()


def test_a_slow_client_skips_intermediate_states() -> None:
    with Served() as served, served.client(max_queue=1, max_size=None, compression=None) as slow:
        slow.subscribe("sample_app:listItems")
        slow.values()
        text = "x" * 100_000
        with served.client(max_size=None) as writer:
            for request_id in range(60):
                writer.mutate(request_id, "sample_app:add", text=text)
                while writer.receive()["type"] != "MutationResponse":
                    pass
        received: list[list[str]] = []
        while not received or len(received[-1]) < 60:
            received.append(slow.values()[0])
        assert len(received) < 60


def test_the_end_of_the_server_is_announced() -> None:
    with Served() as served, served.client() as client:
        client.receive(ping=True)
        threading.Thread(target=served.stop).start()
        code, _ = close_of(client)
        assert code == 1012


def test_closing_the_sync_server_sends_clients_away_and_finishes_mutations() -> None:
    sample_app.allowed.clear()
    sample_app.entered.clear()
    with Served() as served, served.client() as client:
        client.mutate(0, "sample_app:addWhenAllowed", text="finished")
        assert sample_app.entered.wait(TIMEOUT_SECONDS)
        closing = asyncio.run_coroutine_threadsafe(served.sync.close(), served.loop)
        assert close_of(client) == (1012, "ServerRestart")
        sample_app.allowed.set()
        closing.result(TIMEOUT_SECONDS)
        assert served.call("query", "sample_app:listItems").json()["value"] == ["finished"]


class Broken(Reactor):
    """A reactor with a bug."""

    async def run_mutation(self, path: str, *args: Any, **more: Any) -> Outcome:
        if path == "overloaded":
            raise Overloaded("busy")
        raise RuntimeError("the secret")


def test_a_bug_closes_the_connection_without_details_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Served(reactor_class=Broken) as served, served.client() as client:
        client.mutate(0, "a:b")
        assert close_of(client) == (1011, "InternalServerError")
        assert "the secret" in caplog.text


def test_overload_closes_so_that_the_client_comes_back() -> None:
    with Served(reactor_class=Broken) as served, served.client() as client:
        client.mutate(0, "overloaded")
        assert close_of(client) == (1013, "TooManyConcurrentRequests")


def test_sync_works_below_a_prefix() -> None:
    def wrap(app: Any) -> Starlette:
        return Starlette(routes=[Mount("/some/prefix", app)])

    with Served(wrap=wrap) as served:
        for path in ("/some/prefix/api/1.48.0/sync", "/some/prefix//api/1.48.0/sync"):
            with served.client(path) as client:
                client.subscribe("sample_app:echo", value=4)
                assert client.values() == [4]
