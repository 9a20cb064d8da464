"""Live reload: a real `reactor dev`, files saved under it, a client that stays connected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from reactor.tools.scaffold import create_app
from tests.processes import Program
from tests.tools.command import serving

SOON_SECONDS = 20.0


class Dev:
    """A running `reactor dev` on a new app."""

    def __init__(self, folder: Path, program: Program, url: str) -> None:
        self.folder = folder
        self.program = program
        self.url = url

    def edit(self, file: str, old: str, new: str) -> int:
        """Save a change; the position in the output from which its effect shows."""
        text = (self.folder / file).read_text()
        assert old in text
        position = len(self.program.lines)
        (self.folder / file).write_text(text.replace(old, new))
        return position

    def wait_for_reload(self, after: int) -> None:
        self.program.wait_for_line(lambda line: line == "reloaded hello", after=after)

    def call(self, kind: str, path: str, **args: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/api/{kind}", json={"path": path, "args": args})
        content: dict[str, Any] = answer.json()
        return content

    def wait_for_error(self, word: str) -> None:
        program = self.program
        with program._changed:
            assert program._changed.wait_for(
                lambda: any(word in line for line in program.errors), SOON_SECONDS
            ), program.output


class Watcher:
    """A client that subscribed to one query and never reconnects."""

    def __init__(self, socket: ClientConnection, path: str, **args: Any) -> None:
        self._socket = socket
        add = {"type": "Add", "queryId": 0, "udfPath": path, "args": [args]}
        for message in (
            {
                "type": "Connect",
                "sessionId": "00000000-0000-4000-8000-000000000000",
                "connectionCount": 0,
                "lastCloseReason": "InitialConnect",
                "clientTs": 0,
            },
            {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [add]},
        ):
            socket.send(json.dumps(message))

    def next_value(self) -> Any:
        while True:
            message = json.loads(self._socket.recv(timeout=SOON_SECONDS))
            for update in message.get("modifications", ()):
                assert update["type"] == "QueryUpdated", update
                return update["value"]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    create_app(tmp_path / "hello")
    with serving("dev", tmp_path / "hello") as (program, url):
        yield Dev(tmp_path / "hello", program, url)


def test_a_saved_query_is_run_again_for_those_who_watch_it(dev: Dev) -> None:
    dev.call("mutation", "tasks:add", owner="ada", text="one")
    dev.call("mutation", "tasks:add", owner="ada", text="two")
    with connect(f"ws{dev.url.removeprefix('http')}/api/sync", proxy=None) as socket:
        watcher = Watcher(socket, "tasks:listTasks", owner="ada")
        assert [task["text"] for task in watcher.next_value()] == ["two", "one"]
        dev.edit("tasks.py", '"desc"', '"asc"')
        assert [task["text"] for task in watcher.next_value()] == ["one", "two"]


def test_a_new_function_answers_and_is_printed(dev: Dev) -> None:
    shout = "@mutation\ndef shout(ctx: MutationCtx) -> str:\n    return 'HEY'\n"
    new = f"{shout}\n\n@query\ndef list_tasks"
    after = dev.edit("tasks.py", "@query\ndef list_tasks", new)
    dev.wait_for_reload(after)
    dev.program.wait_for_line(lambda line: line.strip() == "+ mutation tasks:shout", after=after)
    assert dev.call("mutation", "tasks:shout")["value"] == "HEY"


def test_a_broken_file_leaves_the_old_version_serving(dev: Dev) -> None:
    dev.call("mutation", "tasks:add", owner="ada", text="one")
    dev.edit("tasks.py", "@mutation\ndef add(", "@mutation\ndef add((")
    dev.wait_for_error("tasks.py:")
    dev.wait_for_error("still serving the previous version of hello")
    answer = dev.call("query", "tasks:listTasks", owner="ada")
    assert [task["text"] for task in answer["value"]] == ["one"]


def test_a_repaired_file_is_taken(dev: Dev) -> None:
    dev.edit("tasks.py", "@mutation\ndef add(", "@mutation\ndef add((")
    dev.wait_for_error("tasks.py:")
    after = dev.edit("tasks.py", "def add((", "def add(")
    dev.wait_for_reload(after)


def test_a_new_table_and_index_work_with_the_data_that_is_there(dev: Dev) -> None:
    dev.call("mutation", "tasks:add", owner="ada", text="one")
    index = 'by_owner = Index("owner", "done")\n    by_text = Index("text")'
    after = dev.edit("schema.py", 'by_owner = Index("owner", "done")', index)
    dev.wait_for_reload(after)
    new = (
        "@query\ndef find(ctx: QueryCtx, text: str) -> list[Task]:\n"
        '    return ctx.db.query(Task).with_index("by_text").eq(text=text).collect()\n\n\n'
        "@query\ndef list_tasks"
    )
    dev.wait_for_reload(dev.edit("tasks.py", "@query\ndef list_tasks", new))
    assert len(dev.call("query", "tasks:find", text="one")["value"]) == 1


def test_a_new_route_answers(dev: Dev) -> None:
    after = len(dev.program.lines)
    (dev.folder / "http.py").write_text(
        "from starlette.requests import Request\n"
        "from starlette.responses import PlainTextResponse, Response\n"
        "from reactor import ActionCtx, http_action\n\n"
        '@http_action("GET", "/ping")\n'
        "async def ping(ctx: ActionCtx, request: Request) -> Response:\n"
        '    return PlainTextResponse("pong")\n'
    )
    dev.wait_for_reload(after)
    assert httpx.get(f"{dev.url}/http/ping").text == "pong"


def test_what_functions_log_is_shown(dev: Dev) -> None:
    dev.call("mutation", "tasks:add", owner="ada", text="one")
    position = dev.program.wait_for_line(lambda line: "new task for" in line)
    assert "tasks:add" in dev.program.lines[position]


def test_dev_stops_cleanly_while_it_watches(dev: Dev) -> None:
    assert dev.program.terminate() == 0
    assert "Traceback" not in dev.program.output
