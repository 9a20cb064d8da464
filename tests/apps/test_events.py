"""The events app, in memory: its table, its route that never refuses, its live list."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from reactor import Reactor
from reactor.functions.loader import load_app

APP = Path(__file__).resolve().parents[2] / "apps" / "events"

Scenario = Callable[["Events"], Coroutine[Any, Any, None]]


def event(**fields: Any) -> dict[str, Any]:
    return {
        "sessionId": "s1",
        "projectName": "engine",
        "type": "pre_tool_use",
        "timestamp": 1000.0,
        **fields,
    }


class Events:
    """The running app, by its HTTP route and by direct calls."""

    def __init__(self, reactor: Reactor, site: httpx.AsyncClient) -> None:
        self.reactor = reactor
        self.site = site

    async def post(self, content: Any) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.site.post("/event", content=body)

    async def stored(self, **filters: Any) -> list[dict[str, Any]]:
        """What `events:listEvents` gives to a client."""
        answer = await self.site.post(
            "http://api/api/query",
            json={"path": "events:listEvents", "args": filters, "format": "json"},
        )
        content = answer.json()
        assert content["status"] == "success", content
        value: list[dict[str, Any]] = content["value"]
        return value


@asynccontextmanager
async def running() -> AsyncIterator[Events]:
    async with Reactor(APP) as reactor:
        mounts = {
            "all://site": httpx.ASGITransport(reactor.site_asgi),
            "all://api": httpx.ASGITransport(reactor.asgi),
        }
        async with httpx.AsyncClient(mounts=mounts, base_url="http://site") as site:
            yield Events(reactor, site)


def play(scenario: Scenario) -> None:
    async def run() -> None:
        async with running() as events:
            await scenario(events)

    asyncio.run(run())


def without_system_fields(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.startswith("_")}


def test_the_schema_is_the_given_one() -> None:
    table = load_app(APP).schema.tables["events"]
    indexes = {name: list(index.fields) for name, index in table.indexes.items()}
    assert indexes["by_project"] == ["projectName", "timestamp"]
    assert indexes["by_session"] == ["sessionId", "timestamp"]
    described = table.validator.describe()
    for field in ("eventId", "toolInput: v.optional(v.any())", "redacted"):
        assert field in described


def test_store_is_internal_and_list_events_is_public() -> None:
    public = {spec.path: spec.public for spec in load_app(APP).registry}
    assert public["events:store"] is False
    assert public["events:listEvents"] is True


def test_a_posted_event_is_listed_with_every_field() -> None:
    async def scenario(events: Events) -> None:
        sent = event(
            eventId="e1",
            tool="Bash",
            toolInput={"command": "ls", "nested": [1.5, None, {"a": True}]},
            toolOutput="done",
            prompt="p",
            response="r",
            cwd="/x",
            redacted=True,
        )
        answer = await events.post(sent)
        assert (answer.status_code, answer.content) == (200, b"")
        (stored,) = await events.stored()
        assert without_system_fields(stored) == sent

    play(scenario)


def test_an_event_without_an_id_gets_one_and_absent_fields_stay_absent() -> None:
    async def scenario(events: Events) -> None:
        await events.post(event())
        (stored,) = await events.stored()
        assert len(stored.pop("eventId")) == 36
        assert without_system_fields(stored) == event()

    play(scenario)


def test_store_returns_the_id_of_the_new_document() -> None:
    async def scenario(events: Events) -> None:
        identifier = await events.reactor.mutation("events:store", **event())
        (stored,) = await events.stored()
        assert stored["_id"] == identifier

    play(scenario)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"{}",
        b"[" * 20_000,
        json.dumps(event(type="unheard_of")).encode(),
        json.dumps(event(timestamp="now")).encode(),
        json.dumps(event(timestamp=float("nan"))).encode(),
        json.dumps(event(toolInput=[float("inf")])).encode(),
        json.dumps(event(timestamp=0.5)).replace("0.5", "1e999").encode(),
        json.dumps(event(unknown=1)).encode(),
        json.dumps(event(toolInput={"$bad": 1})).encode(),
        json.dumps({**event(), "function": "x"}).encode(),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_whatever_is_posted_is_answered_with_200_and_nothing(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(events: Events) -> None:
        with caplog.at_level(logging.WARNING):
            answer = await events.post(body)
        assert (answer.status_code, answer.content) == (200, b"")
        assert await events.stored() == []
        assert "dropped an event" in caplog.text

    play(scenario)


def test_after_a_bad_event_good_ones_are_stored() -> None:
    async def scenario(events: Events) -> None:
        await events.post(b"{")
        await events.post(event())
        assert len(await events.stored()) == 1

    play(scenario)


def test_a_number_beyond_float_precision_does_not_lose_the_event() -> None:
    async def scenario(events: Events) -> None:
        await events.post(event(toolInput={"n": 2**80}))
        (stored,) = await events.stored()
        assert stored["toolInput"] == {"n": float(2**80)}

    play(scenario)


def test_newest_events_come_first_whatever_the_order_of_arrival() -> None:
    async def scenario(events: Events) -> None:
        for moment in (2.0, 3.0, 1.0):
            await events.post(event(timestamp=moment))
        for filters in ({"projectName": "engine"}, {"sessionId": "s1"}):
            found = await events.stored(**filters)
            assert [each["timestamp"] for each in found] == [3.0, 2.0, 1.0]

    play(scenario)


async def post_grid(events: Events) -> None:
    """Each of two projects has each of two sessions."""
    for moment, (project, session) in enumerate(
        [("a", "s1"), ("a", "s2"), ("b", "s1"), ("b", "s2")]
    ):
        await events.post(event(projectName=project, sessionId=session, timestamp=float(moment)))


@pytest.mark.parametrize(
    ("filters", "moments"),
    [
        ({}, [3.0, 2.0, 1.0, 0.0]),
        ({"projectName": "a"}, [1.0, 0.0]),
        ({"sessionId": "s1"}, [2.0, 0.0]),
        ({"projectName": "a", "sessionId": "s1"}, [0.0]),
        ({"projectName": "none"}, []),
        ({"projectName": "none", "sessionId": "s1"}, []),
        ({"limit": 3}, [3.0, 2.0, 1.0]),
        ({"projectName": "a", "limit": 1}, [1.0]),
        ({"projectName": "a", "sessionId": "s1", "limit": 1}, [0.0]),
    ],
    ids=str,
)
def test_filters_choose_and_limit_cuts(filters: dict[str, Any], moments: list[float]) -> None:
    async def scenario(events: Events) -> None:
        await post_grid(events)
        assert [each["timestamp"] for each in await events.stored(**filters)] == moments

    play(scenario)


def test_a_hundred_events_are_listed_by_default() -> None:
    async def scenario(events: Events) -> None:
        for moment in range(101):
            await events.post(event(timestamp=float(moment)))
        assert len(await events.stored()) == 100
        assert len(await events.stored(limit=1000)) == 101

    play(scenario)


def test_a_thousand_large_events_are_listed() -> None:
    async def scenario(events: Events) -> None:
        for moment in range(1000):
            await events.reactor.mutation(
                "events:store", **event(timestamp=float(moment), toolOutput="x" * 50_000)
            )
        assert len(await events.stored(limit=1000)) == 1000

    play(scenario)


def test_both_filters_pass_over_more_events_than_a_call_may_read_by_default() -> None:
    async def scenario(events: Events) -> None:
        await events.post(event(projectName="a", timestamp=0.0))
        for moment in range(400):
            await events.reactor.mutation(
                "events:store",
                **event(projectName="b", timestamp=1.0 + moment, toolOutput="x" * 50_000),
            )
        found = await events.stored(projectName="a", sessionId="s1")
        assert [each["timestamp"] for each in found] == [0.0]

    play(scenario)


def test_the_limits_allow_for_a_session_of_half_a_million_events_of_another_project() -> None:
    (limits,) = {spec.limits for spec in load_app(APP).registry if "listEvents" in spec.path}
    assert limits.documents_read > 500_000
    assert limits.bytes_read > 500_000 * 8_000


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, "10", None])
def test_a_limit_out_of_bounds_is_an_argument_error(limit: Any) -> None:
    async def scenario(events: Events) -> None:
        answer = await events.site.post(
            "http://api/api/query", json={"path": "events:listEvents", "args": {"limit": limit}}
        )
        assert answer.json()["status"] == "error"
        assert "ArgumentValidationError" in answer.json()["errorMessage"]

    play(scenario)


def test_a_subscriber_sees_an_event_as_it_is_posted() -> None:
    async def scenario(events: Events) -> None:
        subscription = events.reactor.subscribe("events:listEvents", project_name="engine")
        results = cast(AsyncGenerator[Any, None], subscription)
        assert await anext(results) == []
        await events.post(event())
        async with asyncio.timeout(5):
            (seen,) = await anext(results)
        assert seen.type == "pre_tool_use"
        await results.aclose()

    play(scenario)
