"""The PyPI `convex` clients, unmodified, against a real server.

The WebSocket client waits in native code and holds the interpreter while it does, so that no other
thread of this process runs meanwhile; only a signal reaches it. So it is called in the main thread,
with the deadline of `pytest-timeout`, and what must happen meanwhile happens in other processes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from convex import ConvexClient, ConvexError, ConvexInt64, convex_to_json, json_to_convex
from convex.http_client import ConvexExecutionError, ConvexHttpClient

from tests.clients.value_cases import VALUE_CASES
from tests.processes import Program, Server

pytestmark = pytest.mark.timeout(60)


def until(values: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The values of a subscription up to the first one that is `wanted`."""
    seen = [next(values)]
    while not wanted(seen[-1]):
        seen.append(next(values))
    return seen


def ended(function: Callable[..., Any], *args: Any) -> Exception:
    """The exception that a call ends with."""
    with pytest.raises(Exception) as caught:
        function(*args)
    return caught.value


def python_value(encoded: object) -> Any:
    """A wire value as the Python client holds it: it has no integers among its numbers."""
    return json_to_convex(json.loads(json.dumps(encoded), parse_int=float))


@pytest.fixture
def client(server: Server) -> ConvexClient:
    return ConvexClient(server.url)


@pytest.fixture
def http_client(server: Server) -> ConvexHttpClient:
    return ConvexHttpClient(server.url)


def test_query_mutation_and_action(client: ConvexClient, room: str) -> None:
    assert client.query("messages:listBodies", {"room": room}) == []
    message = {"room": room, "body": "first"}
    identifier = client.mutation("messages:send", message)
    document = client.query("messages:get", {"id": identifier})
    assert (document["_id"], document["body"], document["number"]) == (identifier, "first", 0.0)
    relayed = {"room": room, "bodies": ["a", "b"]}
    assert client.action("relay:relay", relayed) == 3


def test_a_subscription_yields_the_value_and_its_changes(
    client: ConvexClient, http_client: ConvexHttpClient, room: str
) -> None:
    bodies = client.subscribe("messages:listBodies", {"room": room})
    assert next(bodies) == []
    client.mutation("messages:send", {"room": room, "body": "own"})
    assert until(bodies, lambda value: value == ["own"])
    http_client.mutation("messages:send", {"room": room, "body": "other", "number": 1})
    assert until(bodies, lambda value: value == ["own", "other"])


def test_a_mutation_is_visible_when_it_returns(client: ConvexClient, room: str) -> None:
    for number in range(20):
        args = {"room": room, "body": str(number), "number": number}
        client.mutation("messages:send", args)
        count = client.query("messages:count", {"room": room})
        assert count == number + 1


def test_two_queries_of_one_client_are_never_at_different_timestamps(
    client: ConvexClient, http_client: ConvexHttpClient, server: Server, room: str
) -> None:
    rounds = 40
    http_client.mutation("accounts:openPair", {"group": room, "amount": 1000})
    sides = [
        client.subscribe("accounts:balance", {"group": room, "owner": owner})
        for owner in ("left", "right")
    ]
    until(sides[0], lambda value: value == 1000)
    until(sides[1], lambda value: value == 1000)
    views = client.watch_all()
    pairs: list[tuple[Any, Any]] = []
    with ExitStack() as stack:
        for _ in range(2):
            command = [sys.executable, "-m", "tests.clients.transfers"]
            stack.enter_context(Program([*command, server.url, room, str(rounds)]))
        while not pairs or pairs[-1][0] != 1000 - 2 * rounds:
            view = next(views)
            assert view is not None
            left, right = (view[side.id]["value"] for side in sides)
            pairs.append((left, right))
    assert len(pairs) > 10
    assert {left + right for left, right in pairs} == {2000}


def test_values_of_every_type_return_as_they_were_sent(client: ConvexClient, room: str) -> None:
    for name, encoded in VALUE_CASES:
        value = python_value(encoded)
        args = {"name": f"{room} {name}", "value": value}
        returned = client.mutation("values:keep", args)
        kept = client.query("values:kept", {"name": f"{room} {name}"})
        acted = client.action("values:echoFromAction", {"value": value})
        assert [convex_to_json(each) for each in (returned, kept, acted)] == [encoded] * 3, name


def test_values_of_every_type_return_over_http(http_client: ConvexHttpClient, room: str) -> None:
    for name, encoded in VALUE_CASES:
        args = {"name": f"{room} {name}", "value": python_value(encoded)}
        returned = http_client.mutation("values:keep", args)
        kept = http_client.query("values:kept", {"name": f"{room} {name}"})
        assert [convex_to_json(each) for each in (returned, kept)] == [encoded] * 2, name


def test_a_whole_number_arrives_as_a_float(
    client: ConvexClient, http_client: ConvexHttpClient, room: str
) -> None:
    """The HTTP client refuses JSON integers, so every number needs its fraction on the wire."""
    for each in (client, http_client):
        count = each.query("messages:count", {"room": room})
        assert (count, type(count)) == (0.0, float)


def test_an_int64_is_not_a_float(client: ConvexClient) -> None:
    def echo(value: object) -> Any:
        return client.query("values:echo", {"value": value})

    assert echo(ConvexInt64(5)) == ConvexInt64(5)
    assert isinstance(echo(5), float)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("query", "messages:nope"),
        ("mutation", "messages:nope"),
        ("action", "nowhere:nope"),
        ("query", "messages:hidden"),
    ],
)
def test_an_unknown_function_is_a_failed_call(
    client: ConvexClient, http_client: ConvexHttpClient, kind: str, path: str
) -> None:
    for each in (client, http_client):
        error = ended(getattr(each, kind), path, {})
        assert f"Could not find public function for '{path}'." in str(error)


def test_bad_arguments_are_shown_with_their_path(
    client: ConvexClient, http_client: ConvexHttpClient
) -> None:
    for each in (client, http_client):
        error = ended(each.query, "messages:count", {"room": 5})
        assert "Path: .room\nValue: 5.0\nValidator: v.string()" in str(error)


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_exception_fails_the_call(
    client: ConvexClient, http_client: ConvexHttpClient, kind: str, room: str
) -> None:
    args = {"room": room} if kind == "mutation" else {}
    for each in (client, http_client):
        error = ended(getattr(each, kind), f"failures:{kind}Fails", args)
        assert not isinstance(error, ConvexError)
        assert "Uncaught ValueError: the-secret-in-the-message" in str(error)


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_application_error_arrives_with_its_data(
    client: ConvexClient, http_client: ConvexHttpClient, kind: str
) -> None:
    data = {"code": 7, "nested": ["x"], "big": ConvexInt64(5)}
    error = ended(getattr(client, kind), f"failures:{kind}Refuses", {"data": data})
    assert isinstance(error, ConvexError)
    assert error.data == data
    # Over HTTP this client leaves the data in its wire encoding.
    error = ended(getattr(http_client, kind), f"failures:{kind}Refuses", {"data": data})
    assert isinstance(error, ConvexError)
    assert json_to_convex(error.data) == data


def test_a_failure_over_http_is_an_execution_error(http_client: ConvexHttpClient) -> None:
    assert isinstance(ended(http_client.query, "failures:queryFails", {}), ConvexExecutionError)


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_subscription_goes_on_after_a_restart_of_the_server(
    durable_server: Server, room: str, ending: str
) -> None:
    client = ConvexClient(durable_server.url)
    bodies = client.subscribe("messages:listBodies", {"room": room})
    client.mutation("messages:send", {"room": room, "body": "before"})
    until(bodies, lambda value: value == ["before"])
    getattr(durable_server, ending)()
    durable_server.start()
    args = {"room": room, "body": "after", "number": 1}
    client.mutation("messages:send", args)
    until(bodies, lambda value: value == ["before", "after"])
