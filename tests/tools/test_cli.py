"""Each command, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reactor.tools.scaffold import create_app
from tests.processes import FIXTURE_APPS, Program
from tests.tools.command import address, reactor, serving, start

ADA = '{"owner": "ada"}'


def add_task(app: Path, text: str, *options: str) -> str:
    arguments = json.dumps({"owner": "ada", "text": text})
    done = reactor("run", app, "tasks:add", arguments, *options)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    create_app(tmp_path / "hello")
    return tmp_path / "hello"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Program, str]]:
    """An app whose store a running server holds."""
    folder = tmp_path_factory.mktemp("served") / "hello"
    create_app(folder)
    with serving("serve", folder) as (program, url):
        yield folder, program, url


def test_version_is_printed() -> None:
    done = reactor("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "reactor")


def test_help_lists_the_commands_and_each_command_has_an_example() -> None:
    commands = ("dev", "serve", "run", "data", "init", "admin-key")
    top = reactor("--help").stdout
    assert all(command in top for command in commands)
    for command in commands:
        assert f"reactor {command} " in reactor(command, "--help").stdout


def test_a_mistyped_command_exits_with_2() -> None:
    done = reactor("server")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def assert_fails(arguments: tuple[str | Path, ...], code: int, *words: str) -> str:
    """The command fails with one clear message; the message."""
    done = reactor(*arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    return done.stderr


# init


def test_init_makes_an_app_that_works_at_once(tmp_path: Path) -> None:
    made = reactor("init", "hello", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "reactor dev hello" in made.stdout
    with serving("dev", tmp_path / "hello") as (_, url):
        answer = httpx.post(
            f"{url}/api/mutation",
            json={"path": "tasks:add", "args": {"owner": "ada", "text": "x"}},
        )
        assert answer.json()["status"] == "success"


def test_init_refuses_a_bad_name(tmp_path: Path) -> None:
    assert_fails(("init", tmp_path / "1bad"), 2, "1bad")


# dev --once


def test_once_shows_schema_and_functions_and_exits(app: Path) -> None:
    done = reactor("dev", app, "--once")
    assert done.returncode == 0, done.stderr
    assert "tasks  by_owner [owner, done]" in done.stdout
    assert "query     tasks:listTasks" in done.stdout
    assert "ready" not in done.stdout
    assert not (app / ".reactor").exists()


@pytest.mark.parametrize(
    ("broken", "cause"),
    [("def list_tasks(:", "SyntaxError"), ("import nonexistent_module", "nonexistent_module")],
)
def test_once_names_file_and_line_of_a_broken_app(app: Path, broken: str, cause: str) -> None:
    (app / "tasks.py").write_text(f"\n\n{broken}\n")
    assert_fails(("dev", app, "--once"), 1, "tasks.py:3", cause)


def test_a_path_that_is_no_app_is_refused(tmp_path: Path) -> None:
    assert_fails(("dev", tmp_path / "nowhere", "--once"), 1, "nowhere")


# serve


def test_serve_prints_ready_once_and_stops_cleanly(app: Path) -> None:
    with serving("serve", app) as (program, url):
        assert httpx.get(f"{url}/version").status_code == 200
        assert program.terminate() == 0
        assert [line for line in program.lines if line.startswith("ready ")] == [f"ready {url}"]
        assert program.errors == []


def test_a_taken_port_is_one_error_line(app: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        text = assert_fails(
            ("serve", app, "--port", port, "--site-port", "0"), 1, port, "in use", "--port"
        )
    assert text.count("\n") == 1


def test_a_store_url_that_is_none_is_refused(app: Path) -> None:
    options = ("--port", "0", "--site-port", "0")
    assert_fails(("serve", app, "--store", "data.duckdb", *options), 1, "duckdb:///")


def test_a_store_that_another_server_holds_is_refused(served: tuple[Path, Program, str]) -> None:
    folder, _, _ = served
    assert_fails(("serve", folder, "--port", "0", "--site-port", "0"), 1, "data.duckdb")


def test_a_store_file_that_is_none_is_refused(app: Path) -> None:
    (app / ".reactor").mkdir()
    (app / ".reactor" / "data.duckdb").write_bytes(b"not a database" * 1_000)
    assert_fails(("serve", app, "--port", "0", "--site-port", "0"), 1, "data.duckdb")


def test_a_broken_app_is_not_served(app: Path) -> None:
    (app / "tasks.py").write_text("def list_tasks(:")
    for command in ("serve", "dev"):
        assert_fails((command, app, "--port", "0", "--site-port", "0"), 1, "tasks.py:1")


def test_an_own_port_for_an_app_that_is_not_there_is_refused(app: Path) -> None:
    options = ("--port", "0", "--site-port", "0", "--own-port")
    assert_fails(("serve", app, *options, "chat=0"), 2, "chat", "hello")
    assert_fails(("serve", app, *options, "chat"), 2, "APP=PORT")


def test_several_apps_share_the_ports_under_their_names() -> None:
    with serving("serve", FIXTURE_APPS, "--store", "memory:", "--own-port", "proof=0") as (
        program,
        url,
    ):
        site = address(program, "proof HTTP actions")
        own = address(program, "proof on its own port")
        assert httpx.get(f"{url}/other/instance_name").text == "other"
        assert httpx.get(f"{url}/proof/instance_name").text == "proof"
        assert httpx.get(f"{own}/instance_name").text == "proof"
        assert httpx.get(f"{url}/proof/http/hello").text == "hello"
        assert httpx.get(f"{site}/hello").text == "hello"
        assert httpx.get(f"{own}/http/hello").text == "hello"
        assert "/proof" in httpx.get(url).text


# run


def test_run_without_a_server_opens_the_store(app: Path) -> None:
    identifier = add_task(app, "first")
    done = reactor("run", app, "tasks:listTasks", ADA)
    (task,) = json.loads(done.stdout)
    assert (task["_id"], task["text"]) == (identifier, "first")


def test_run_asks_the_server_that_holds_the_store(served: tuple[Path, Program, str]) -> None:
    folder, _, url = served
    identifier = add_task(folder, "through the server")
    answer = httpx.post(
        f"{url}/api/query", json={"path": "tasks:listTasks", "args": {"owner": "ada"}}
    ).json()
    assert identifier in [task["_id"] for task in answer["value"]]


def test_run_prints_log_lines_beside_the_result(app: Path) -> None:
    done = reactor("run", app, "tasks:add", '{"owner": "ada", "text": "x"}')
    assert "new task for" in done.stderr
    json.loads(done.stdout)


def test_run_takes_both_spellings_of_a_function(app: Path) -> None:
    assert reactor("run", app, "tasks:list_tasks", ADA).stdout == "[]\n"


def test_arguments_that_are_not_json_are_refused(app: Path) -> None:
    assert_fails(("run", app, "tasks:listTasks", "{owner: ada}"), 2, "JSON", "{owner: ada}")


@pytest.mark.parametrize("held", [False, True], ids=["in process", "by a server"])
def test_an_unknown_function_is_told_with_those_there_are(
    held: bool, app: Path, served: tuple[Path, Program, str]
) -> None:
    folder = served[0] if held else app
    assert_fails(("run", folder, "tasks:lisTasks"), 1, "Could not find", "tasks:listTasks")


@pytest.mark.parametrize("held", [False, True], ids=["in process", "by a server"])
def test_wrong_arguments_are_told_with_their_place(
    held: bool, app: Path, served: tuple[Path, Program, str]
) -> None:
    folder = served[0] if held else app
    arguments = '{"owner": "ada", "limit": 0}'
    text = assert_fails(("run", folder, "tasks:listTasks", arguments), 1, ".limit")
    assert text.startswith("error: ArgumentValidationError")


def test_one_app_must_be_named_where_a_folder_holds_several() -> None:
    assert_fails(("run", FIXTURE_APPS, "messages:list"), 2, "proof", "other")


def test_watch_prints_each_new_result(served: tuple[Path, Program, str]) -> None:
    folder, _, _ = served
    watching = start("run", folder, "tasks:listTasks", '{"owner": "eve"}', "--watch")
    with watching:
        watching.wait_for_line(lambda line: line == "[]")
        arguments = '{"owner": "eve", "text": "seen live"}'
        reactor("run", folder, "tasks:add", arguments)
        watching.wait_for_line(lambda line: "seen live" in line)


def test_watch_ends_quietly_when_it_is_interrupted(served: tuple[Path, Program, str]) -> None:
    with start("run", served[0], "tasks:listTasks", '{"owner": "nobody"}', "--watch") as watching:
        watching.wait_for_line(lambda line: line == "[]")
        os.kill(watching.pid, signal.SIGINT)
        assert watching.wait() == 0
        assert "Traceback" not in watching.output


def test_watch_of_an_unknown_function_fails(served: tuple[Path, Program, str]) -> None:
    assert_fails(("run", served[0], "tasks:nothing", "--watch"), 1, "Could not find")


def test_a_stale_notice_of_a_killed_server_is_seen_through(app: Path) -> None:
    with serving("serve", app) as (program, _):
        add_task(app, "before the crash")
        program.kill()
    assert (app / ".reactor" / "data.duckdb.server.json").exists()
    done = reactor("run", app, "tasks:listTasks", ADA)
    assert [task["text"] for task in json.loads(done.stdout)] == ["before the crash"]


def test_a_notice_with_the_address_of_another_server_is_seen_through(
    app: Path, served: tuple[Path, Program, str]
) -> None:
    add_task(app, "mine")
    notice = app / ".reactor" / "data.duckdb.server.json"
    notice.write_text(json.dumps({"url": served[2], "pid": 1}))
    done = reactor("run", app, "tasks:listTasks", ADA)
    assert [task["text"] for task in json.loads(done.stdout)] == ["mine"]


def test_a_stopped_server_leaves_no_notice(app: Path) -> None:
    with serving("serve", app) as (program, _):
        assert (app / ".reactor" / "data.duckdb.server.json").exists()
        program.terminate()
    assert not (app / ".reactor" / "data.duckdb.server.json").exists()


# data


def test_data_lists_the_tables_with_the_number_of_documents(app: Path) -> None:
    add_task(app, "one")
    done = reactor("data", app)
    assert (done.returncode, done.stdout) == (0, "tasks  1\n"), done.stderr


@pytest.mark.parametrize("held", [False, True], ids=["in process", "by a server"])
def test_data_prints_documents_newest_first(
    held: bool, app: Path, served: tuple[Path, Program, str]
) -> None:
    folder = served[0] if held else app
    for text in ("one", "two", "three"):
        add_task(folder, text)
    done = reactor("data", folder, "tasks", "--limit", "2", "--json")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["three", "two"]
    assert "there are more" in done.stderr


def test_data_prints_the_oldest_first_on_demand(app: Path) -> None:
    for text in ("one", "two"):
        add_task(app, text)
    done = reactor("data", app, "tasks", "--order", "asc")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("one") < done.stdout.index("two")
    assert done.stdout.split()[:2] == ["_id", "_creationTime"]


def test_data_of_a_table_that_is_not_there_names_the_tables(app: Path) -> None:
    assert_fails(("data", app, "taskz"), 1, "taskz", "tasks")


def test_data_of_an_empty_table_says_so(app: Path) -> None:
    done = reactor("data", app, "tasks")
    assert (done.returncode, done.stdout) == (0, "")
    assert "empty" in done.stderr


# admin-key


def test_the_admin_key_is_accepted_by_the_server(served: tuple[Path, Program, str]) -> None:
    folder, _, url = served
    key = reactor("admin-key", folder).stdout.strip()
    assert key.startswith("hello|")
    body = {"path": "tasks:listTasks", "args": {"owner": "nobody"}}
    accepted = httpx.post(
        f"{url}/api/function", json=body, headers={"Authorization": f"Convex {key}"}
    )
    refused = httpx.post(
        f"{url}/api/function", json=body, headers={"Authorization": f"Convex {key}0"}
    )
    assert (accepted.status_code, accepted.json()["value"]) == (200, [])
    assert refused.status_code == 401


def test_a_memory_store_has_no_lasting_admin_key(app: Path) -> None:
    assert_fails(("admin-key", app, "--store", "memory:"), 2, "memory:")
