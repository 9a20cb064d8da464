"""The hook, run as an agent runs it: a script with JSON on standard input, a server or none."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import Request, urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processes import Server

HOOK = Path(__file__).resolve().parents[2] / "apps" / "events" / "hook.py"
JSON_HEADERS = {"Content-Type": "application/json"}
END_SECONDS = 5.0  # the hook ends by itself within a second; a busy machine starts Python slowly


def load_hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("events_hook", HOOK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hook = load_hook()


class Receiver:
    """A server that remembers what was posted to it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def event(self) -> dict[str, Any]:
        assert len(self.posts) == 1
        event: dict[str, Any] = self.posts[0][1]
        return event


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def run_hook(
    stdin: bytes | dict[str, Any], url: str | None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    text = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
    env = {**os.environ, **environment}
    env.pop("REACTOR_URL", None)
    if url is not None:
        env["REACTOR_URL"] = url
    return subprocess.run(
        [sys.executable, str(HOOK)], input=text, env=env, capture_output=True, timeout=END_SECONDS
    )


def pre_tool_use(**more: Any) -> dict[str, Any]:
    return {
        "hook_event_name": "PreToolUse",
        "session_id": "s-1",
        "cwd": "/home/ada/projects/engine",
        "tool_name": "Bash",
        "tool_input": {"command": "ls"},
        **more,
    }


def event_of(**more: Any) -> dict[str, Any]:
    event = hook.event_of(pre_tool_use(**more), 1000.0)
    assert event is not None
    return dict(event)


def cleaned(value: Any) -> tuple[Any, bool]:
    safe = hook.Filter()
    return safe.clean(value), safe.redacted


def test_it_posts_the_event_below_the_address_that_clients_use(receiver: Receiver) -> None:
    done = run_hook(pre_tool_use(), receiver.url + "/events")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert receiver.posts[0][0] == "/events/http/event"
    event = receiver.event
    assert event.pop("timestamp") == pytest.approx(time.time() * 1000, abs=60_000)
    assert event == {
        "sessionId": "s-1",
        "projectName": "engine",
        "type": "pre_tool_use",
        "cwd": "/home/ada/projects/engine",
        "tool": "Bash",
        "toolInput": {"command": "ls"},
    }


def test_the_events_app_lists_what_the_hook_reported() -> None:
    with Server(HOOK.parent) as server:
        run_hook(pre_tool_use(tool_response={"$ref": 2**70, "\ud800": "\ud800"}), server.url)
        query = json.dumps({"path": "events:listEvents", "args": {"projectName": "engine"}})
        request = Request(f"{server.url}/api/query", query.encode(), JSON_HEADERS)
        with urlopen(request) as answer:
            (event,) = json.load(answer)["value"]
    assert (event["tool"], event["toolInput"]) == ("Bash", {"command": "ls"})
    assert event["toolOutput"] == {"\\$ref": float(2**70), "\\ud800": "?"}


def test_secrets_do_not_leave_the_machine(receiver: Receiver) -> None:
    run_hook(pre_tool_use(tool_input={"env": [{"API_KEY": "hunter2"}]}), receiver.url)
    assert receiver.event["toolInput"] == {"env": [{"API_KEY": "[redacted]"}]}
    assert receiver.event["redacted"] is True


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"not json",
        b"\x00\xff\xfe binary",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"hook_event_name": 5}',
        b'{"hook_event_name": "PreCompact"}',
        b"[" * 100_000,
        b'{"hook_event_name": "Stop", "session_id": {"a": [1]}, "cwd": 7}',
    ],
    ids=lambda stdin: repr(stdin[:20]),
)
def test_no_input_makes_it_fail_or_speak(stdin: bytes) -> None:
    done = run_hook(stdin, "http://127.0.0.1:1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "", "nonsense", "http://", "ftp://x", "http://[", "://", "\x00"]
)
def test_no_server_and_no_usable_address_are_silent(url: str) -> None:
    url = url.replace("\x00", "%00")
    done = run_hook(pre_tool_use(), url)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_ten_megabytes_of_input_arrive_cut_and_in_time(receiver: Receiver) -> None:
    done = run_hook(pre_tool_use(tool_response="x" * 10_000_000), receiver.url)
    assert done.returncode == 0
    assert len(receiver.event["toolOutput"]) < 30_000


def test_a_server_that_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run_hook(pre_tool_use(), f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_standard_input_that_never_ends_does_not_hold_it() -> None:
    with subprocess.Popen(
        [sys.executable, str(HOOK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.wait(END_SECONDS) == 0


def test_it_needs_nothing_but_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK)], input=b"{}", capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("PreToolUse", "pre_tool_use"),
        ("PostToolUse", "post_tool_use"),
        ("SessionStart", "session_start"),
        ("SessionEnd", "session_end"),
        ("UserPromptSubmit", "user_prompt_submit"),
        ("Stop", "stop"),
        ("SubagentStop", "stop"),
        ("Notification", "notification"),
        ("post_tool_use", "post_tool_use"),
    ],
)
def test_each_hook_has_its_event_type(name: str, event_type: str) -> None:
    assert event_of(hook_event_name=name)["type"] == event_type


def test_a_hook_without_an_event_type_is_not_sent() -> None:
    assert hook.event_of(pre_tool_use(hook_event_name="PreCompact"), 1.0) is None


def test_prompts_and_messages_have_their_fields() -> None:
    event = event_of(hook_event_name="UserPromptSubmit", prompt="do it", message="hm")
    assert (event["prompt"], event["response"]) == ("do it", "hm")


def test_output_of_a_tool_is_kept_as_it_is() -> None:
    output = {"stdout": "a\nb", "code": 0.0, "parts": [True, None]}
    assert event_of(tool_response=output)["toolOutput"] == output


@pytest.mark.parametrize(
    ("cwd", "name"),
    [
        ("/home/ada/engine", "engine"),
        ("/home/ada/engine/", "engine"),
        ("C:\\work\\engine", "engine"),
        ("engine", "engine"),
        ("/", "unknown"),
    ],
)
def test_the_project_is_the_folder_of_cwd(cwd: str, name: str) -> None:
    assert event_of(cwd=cwd)["projectName"] == name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "http://127.0.0.1:3210/http/event"),
        ("http://127.0.0.1:3210", "http://127.0.0.1:3210/http/event"),
        ("http://127.0.0.1:3210/events/", "http://127.0.0.1:3210/events/http/event"),
        ("http://127.0.0.1:3211/event", "http://127.0.0.1:3211/event"),
        ("127.0.0.1:3210", "http://127.0.0.1:3210/http/event"),
    ],
)
def test_the_endpoint_follows_from_the_address(url: str, expected: str) -> None:
    assert hook.endpoint(url) == expected


@pytest.mark.parametrize(
    "name",
    [
        "key", "apiKey", "api_key", "X-API-Key", "API_KEY", "apikey", "token", "accessToken",
        "refresh_token", "secret", "clientSecret", "password", "db_password", "userPassword",
        "PASSWD", "Authorization", "cookie", "Set-Cookie", "credentials", "private_key",
        "AWS_SECRET_ACCESS_KEY", "apiKeys", "passphrase", "dbPass", "pass", "passcode", "pin",
        "bearer", "jwt", "privkey", "authtoken", "mytoken", "githubtoken", "sshkey",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["hunter2", 12345, ["a"], {"b": "c"}], ids=str)
def test_a_secret_name_hides_its_value(name: str, value: Any) -> None:
    assert cleaned({"deep": [{name: value}]}) == ({"deep": [{name: "[redacted]"}]}, True)


@pytest.mark.parametrize(
    "harmless",
    [
        {"keyboard": "qwerty", "monkey": "george", "file_path": "/a/b.py"},
        {"inputTokens": 12, "max_tokens": 100},
        {"token": "", "password": None, "has_secret": False},
        {"command": "git status && ls -la"},
        {"text": "the key to success is a token of trust"},
        {"url": "https://example.com:8080/a?b=c@d"},
        {"url": "https://example.com?b=c@d"},
        {"compass": "north", "monkeys": "3", "author": "ada", "path": "/p", "spinner": "on"},
        {"text": "tokens: 5, total_tokens=1200, inputTokens: 12"},
        {"text": "key: value, and the key is simple; pass: ok"},
        {"text": "sorted(rows, key=lambda row: row.name)"},
        {"text": "def f(token: str, password: bytes | None = None)"},
        {"text": "tests/test_token.py:12: in auth.py:7"},
        {"text": "PWD=/home/ada HOME=/home/ada PATH=/bin KEYBOARD=us MONKEY=george"},
        {"text": "docker run -u 1000:1000 -p 8080:80 x; python -u a.py; git push -u origin HEAD:m"},
        {"text": "mysql -P 3306 -u bob; git clone ssh://git@github.com/x https://git@github.com/x"},
    ],
    ids=str,
)
def test_what_is_no_secret_stays(harmless: Any) -> None:
    assert cleaned(harmless) == (harmless, False)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("use sk-ant-api03-AbCdEf0123456789 now", "AbCdEf0123456789"),
        ("sk-proj-0123456789abcdef", "0123456789abcdef"),
        ("git clone https://ghp_0123456789abcdefABCDEF0123456789abcd@x.y/z", "ghp_0123"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("curl -H 'Authorization: Bearer abc.def-ghi_jkl'", "abc.def-ghi_jkl"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("Cookie: session=abcdef; theme=dark", "abcdef"),
        ("postgres://bob:hunter2@db.example/x", "hunter2"),
        ("redis://:hunter2@cache", "hunter2"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----", "b3Bl"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEcut", "MIIEcut"),
        ("export OPENAI_API_KEY=hunter2hunter2", "hunter2"),
        ("mysql --password hunter2 -u bob", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ('{\\"password\\": \\"hunter2\\"}', "hunter2"),
        ("password=hunter2&user=bob", "hunter2"),
        ("PGPASSWORD=hunter2 psql", "hunter2"),
        ("export STRIPE_KEY=abcd1234", "abcd1234"),
        ("DEPLOY_KEY=abcd1234", "abcd1234"),
        ("TOKEN_GITHUB=abcd1234", "abcd1234"),
        ("DB_PASSWORD_PROD='abc 1234'", "1234"),
        ("SECRET_X=abcd", "abcd"),
        ("AWS_KEY_ID=abcd1234", "abcd1234"),
        ("API_KEYS=abcd,efgh", "efgh"),
        ("API_KEY=abcd1234==", "abcd1234"),
        ("API_KEY: abcd1234==", "abcd1234"),
        ("password=bufu", "bu"),
        ('{"api_key": "abcd1234="}', "abcd1234"),
        ("java -Dpassword=abc", "abc"),
        ("password=abc", "abc"),
        ("token: 'abc'", "abc"),
        ("dbPassword: hunter22", "hunter22"),
        ("SSH_KEY: abcd", "abcd"),
        ("self.token = x1", "x1"),
        ('token: str = "hunter2"', "hunter2"),
        ('password="a \\" hunter2"', "hunter2"),
        ('run(command: "env A_KEY=hunter2")', "hunter2"),
        ("if password == 'hunter2':", "hunter2"),
        ("config['password'] = 'hunter2'", "hunter2"),
        ("pin: 1234", "1234"),
        ("the password is hunter2", "hunter2"),
        ("curl -u user:passw0rd https://x.y", "passw0rd"),
        ("curl -sSu user:passw0rd https://x.y", "passw0rd"),
        ("curl --user 'user:passw0rd' https://x.y", "passw0rd"),
        ("mysql -phunter22", "hunter22"),
        ("mysqldump -u bob -p'hunter22' db", "hunter22"),
        ("sshpass -p hunter22 ssh x", "hunter22"),
        ("sshpass -phunter22 ssh x", "hunter22"),
        ("docker login -u bob -p hunter22", "hunter22"),
        ("tool --db-password hunter22", "hunter22"),
        ("https://abcd1234@github.com/x", "abcd1234"),
        ("postgres://bob:p@hunter2@db.example/x", "hunter2"),
        ("https://hooks.slack.com/services/T00/B00/abcd1234", "abcd1234"),
        ("machine x login bob password hunter22", "hunter22"),
    ],
)
def test_a_secret_inside_a_text_is_cut_out(text: str, secret: str) -> None:
    clean, redacted = cleaned({"command": text})
    assert redacted
    assert secret not in clean["command"]
    assert "[redacted]" in clean["command"]


def test_text_around_a_secret_stays() -> None:
    assert cleaned("say ghp_0123456789abcdef twice")[0] == "say [redacted] twice"


def test_a_secret_that_the_cut_would_halve_is_cut_out() -> None:
    text = "x" * (hook.TEXT_BYTES_MAX - 8) + " ghp_0123456789abcdef"
    clean, redacted = cleaned(text)
    assert redacted
    assert "ghp_" not in clean


def test_a_long_text_says_how_much_of_it_is_missing() -> None:
    clean, _ = cleaned("x" * 30_000)
    assert clean == "x" * 20_000 + "… [10000 more characters]"


@pytest.mark.parametrize(
    "text",
    ["a" * 50_000, "a=" * 25_000, " " * 50_000, "\\" * 50_000, "token=" * 9_000, "mysql " * 9_000,
     "curl -u " * 7_000, "sshpass -" * 6_000, "a-" * 25_000, "-----BEGIN PRIVATE KEY" * 2_000,
     "://a:" * 10_000, "login x " * 7_000, "token='" * 8_000],
    ids=lambda text: text[:12],
)  # fmt: skip
@pytest.mark.timeout(20)  # a pattern that backtracks would take minutes
def test_a_hostile_text_is_cleaned_and_cut(text: str) -> None:
    (first, second), _ = cleaned([text, text])
    assert first == second
    assert len(first) <= 20_100


@pytest.mark.parametrize(
    ("session_id", "stored"),
    [("s-1", "s-1"), (5.0, "5"), (0.0, "0"), (5.5, "5.5"), ("a\ud800", "a?"), (None, "unknown"),
     ("", "unknown")],
)  # fmt: skip
def test_the_session_keeps_its_name(session_id: Any, stored: str) -> None:
    assert event_of(session_id=session_id)["sessionId"] == stored


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_everything_that_is_sent_can_be_stored(value: Any) -> None:
    def check(part: Any) -> None:
        if isinstance(part, str):
            part.encode()  # no lone surrogates
        elif isinstance(part, list):
            for item in part:
                check(item)
        elif isinstance(part, dict):
            for name, item in part.items():
                assert name.isascii() and (name.isprintable() or not name)
                assert not name.startswith("$")
                check(item)

    check(cleaned(value)[0])


def test_a_deep_or_wide_value_is_cut_to_what_a_document_may_hold() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"d": deep}
    wide = {"list": list(range(50_000)), "object": {f"f{n}": n for n in range(5_000)}}
    clean, _ = cleaned({"deep": deep, **wide})
    depth = 0
    below = clean["deep"]
    while isinstance(below, dict):
        below, depth = below["d"], depth + 1
    assert depth <= 14
    assert len(clean["list"]) <= 8_192
    assert len(clean["object"]) <= 1_024


BULKY = [
    ["x" * 20_000] * 500,
    ["é" * 20_000] * 500,
    {"a": "𝄞" * 10**6, "b": "語" * 10**6},
    [float(n) / 7 for n in range(50_000)],
    [[[]] * 1_000] * 1_000,
    {f"{n}" * 150: None for n in range(900)},
    {f"語{n}" * 50: {"password": "x"} for n in range(900)},
    ["token=a;" * 5_000] * 10,
]


@pytest.mark.parametrize("bulk", BULKY, ids=range(len(BULKY)))
def test_a_hundred_events_stay_well_below_eight_mebibytes(bulk: Any) -> None:
    event = event_of(prompt="𝄞" * 10**5, tool_input=bulk, tool_response=bulk)
    assert 100 * len(json.dumps(event, ensure_ascii=False).encode()) < 6.5 * (1 << 20)
