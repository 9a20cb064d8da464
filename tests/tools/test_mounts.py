from __future__ import annotations

import asyncio
from typing import Any

from reactor.tools.mounts import AsgiApp, Message, Mounts, Receive, Scope, Send


class Recorder:
    """An app that remembers how it was called."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)


async def receive() -> Message:
    raise AssertionError("nothing is read")


def request(app: AsgiApp, path: str, kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_call(app, {"type": kind, "path": path}, send))
    return sent


async def _call(app: AsgiApp, scope: Scope, send: Send) -> None:
    await app(scope, receive, send)


def called_with(path: str) -> tuple[str, str]:
    app = Recorder()
    request(Mounts({"events": app}), path)
    (scope,) = app.scopes
    return scope["root_path"], scope["path"]


def test_the_prefix_moves_to_the_root_path() -> None:
    assert called_with("/events/api/query") == ("/events", "/events/api/query")


def test_the_bare_prefix_is_the_root_of_the_app() -> None:
    assert called_with("/events") == ("/events", "/events/")


def test_duplicate_slashes_before_and_after_the_prefix_are_kept_from_hiding_the_app() -> None:
    assert called_with("//events//api/query") == ("/events", "/events//api/query")


def test_only_a_whole_segment_is_a_prefix() -> None:
    sent = request(Mounts({"events": Recorder()}), "/eventsource")
    assert sent[0]["status"] == 404


def test_the_root_lists_the_apps() -> None:
    sent = request(Mounts({"events": Recorder(), "chat": Recorder()}), "/")
    assert sent[0]["status"] == 200
    assert b"/events" in sent[1]["body"] and b"/chat" in sent[1]["body"]


def test_an_unknown_app_is_named_with_those_there_are() -> None:
    sent = request(Mounts({"events": Recorder()}), "/other/version")
    assert sent[0]["status"] == 404
    assert b"/other" in sent[1]["body"] and b"/events" in sent[1]["body"]


def test_a_socket_to_an_unknown_app_is_refused() -> None:
    sent = request(Mounts({"events": Recorder()}), "/other/api/sync", "websocket")
    assert [message["type"] for message in sent] == ["websocket.close"]
