"""The hook of a coding agent: tells the `events` app what the agent does.

The agent runs this file with a JSON object on standard input. It must never be in the way: whatever
happens, it prints nothing, exits 0, and is gone within a second. Hence it is a script of the
standard library alone (Python 3.9 is enough); the work runs in a daemon thread that the main thread
stops waiting for.

What is sent is made safe and small first: values that look like secrets become ``[redacted]``, long
texts and large structures are cut, so that the event always fits into a document.

    REACTOR_URL=http://127.0.0.1:3210/events python3 apps/events/hook.py < hook.json
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # As a script, this folder leads `sys.path`, and its `http.py` would hide the library's `http`.
    _folder = __file__.rpartition("/")[0] or "."
    sys.path[:] = [entry for entry in sys.path if entry not in ("", ".", _folder)]

import json
import os
import re
import threading
import time
from itertools import islice

DEFAULT_URL = "http://127.0.0.1:3210"
DEADLINE_SECONDS = 0.9
SOCKET_TIMEOUT_SECONDS = 0.7
REDACTED = "[redacted]"
TRUNCATED = "[truncated]"

INPUT_BYTES_MAX = 32 << 20
EVENT_CHARACTERS_MAX = 250_000
TEXT_CHARACTERS_MAX = 20_000
NAME_CHARACTERS_MAX = 200
VALUES_MAX = 20_000
ITEMS_MAX = 1_000
DEPTH_MAX = 12

EVENT_TYPES = {
    "pretooluse": "pre_tool_use",
    "posttooluse": "post_tool_use",
    "sessionstart": "session_start",
    "sessionend": "session_end",
    "userpromptsubmit": "user_prompt_submit",
    "stop": "stop",
    "subagentstop": "stop",
    "notification": "notification",
}

# Field of the event -> fields of the hook's input, the first that is there counts.
TEXT_SOURCES = {
    "tool": ("tool_name",),
    "prompt": ("prompt",),
    "response": ("response", "last_assistant_message", "message"),
}
VALUE_SOURCES = {"toolInput": ("tool_input",), "toolOutput": ("tool_response", "tool_output")}

# A field is secret when its name holds one of these anywhere, or one of the words as a whole word.
SECRET_PARTS = re.compile(
    "password|passwd|passphrase|secret|credential|authorization|cookie"
    "|(?:api|access|private|signing|encryption)[-_ ]?key",
    re.IGNORECASE,
)
SECRET_WORDS = frozenset({"key", "token", "pwd", "auth", "pat"})
COUNTED_WORDS = frozenset({"keys", "tokens"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Secrets inside texts. The group `keep`, if there is one, is the part that is not secret.
_ASSIGNED = r"\\?[\"']?(?:\s*[=:]\s*|\s+(?=[\"']))\\?[\"']?"
_VALUE = r"(?!\[redacted\])[^\s\"'&;,\\]{4,}"
SECRETS = [
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*KEY[^-]*-----|\Z)", re.S),
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),  # a JSON web token
    re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{8,}"),
    re.compile(r"\bgh[opsur]_\w{8,}|\bgithub_pat_\w{8,}|\bglpat-[\w-]{8,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"),
    re.compile(r"\bxox[a-z]-[\w-]{8,}|\bAIza[\w-]{30,}|\bhf_\w{16,}|\bnpm_\w{16,}"),
    re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    # ://user:password@
    re.compile(r"(?P<keep>://)[^\s/@:'\"]{0,200}:[^\s/@'\"]{1,200}(?=@)"),
    # A header, up to the end of its line.
    re.compile(
        r"(?P<keep>\b(?:authorization|cookie)[\"']?\s*:\s*[\"']?)(?!\[redacted\])[^\r\n\"']{4,}",
        re.IGNORECASE,
    ),
    # password=…, "apiKey": "…", --token …
    re.compile(
        r"(?P<keep>(?:\b|_)(?:(?:api|access|auth|private|secret|signing|client)[-_]?"
        rf"(?:key|token|secret)|password|passwd|passphrase|pwd|secret|token){_ASSIGNED}){_VALUE}",
        re.IGNORECASE,
    ),
    re.compile(rf"(?P<keep>--(?:password|passwd|token|secret|api-?key)[\s=]+){_VALUE}"),
    # An environment variable: OPENAI_API_KEY=…
    re.compile(
        rf"(?P<keep>\b[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)[A-Z0-9_]*={_ASSIGNED}?){_VALUE}"
    ),
]


class Filter:
    """Copies JSON values without their secrets, within limits; knows whether it found any."""

    def __init__(self) -> None:
        self.redacted = False
        self.values_left = VALUES_MAX
        self.characters_left = EVENT_CHARACTERS_MAX

    def clean(self, value: object, depth: int = 0) -> object:
        """`value` as it may be sent."""
        self.values_left -= 1
        if self.values_left < 0 or self.characters_left <= 0 or depth > DEPTH_MAX:
            return TRUNCATED
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, list):
            return [self.clean(item, depth + 1) for item in value[:ITEMS_MAX]]
        if isinstance(value, dict):
            return {
                field_name(name): self.clean_field(name, item, depth + 1)
                for name, item in islice(value.items(), ITEMS_MAX)
            }
        return value

    def clean_field(self, name: str, value: object, depth: int) -> object:
        """The value of a field, whose name alone may tell that it is secret."""
        self.characters_left -= min(len(name), NAME_CHARACTERS_MAX)
        if value and not isinstance(value, bool) and is_secret(name, value):
            self.redacted = True
            return REDACTED
        return self.clean(value, depth)

    def clean_text(self, text: str) -> str:
        """A text without the secrets inside it, and not too long."""
        room = min(TEXT_CHARACTERS_MAX, self.characters_left)
        cut = len(text) - room
        text = text[:room].encode("utf-8", "replace").decode()  # no lone surrogates
        for pattern in SECRETS:
            text, found = pattern.subn(_replacement, text)
            self.redacted = self.redacted or found > 0
        self.characters_left -= len(text)
        return f"{text}… [{cut} more characters]" if cut > 0 else text


def _replacement(match: re.Match[str]) -> str:
    return (match.groupdict().get("keep") or "") + REDACTED


def is_secret(name: str, value: object) -> bool:
    """Whether a field of this name holds a secret. A number of tokens is none."""
    name = name[:NAME_CHARACTERS_MAX]
    if SECRET_PARTS.search(name):
        return True
    words = {word.lower() for word in WORD.findall(name)}
    if words & COUNTED_WORDS and not isinstance(value, (int, float)):
        return True
    return bool(words & SECRET_WORDS)


def field_name(name: str) -> str:
    """A name that a document may use: printable ASCII that does not start with a dollar sign."""
    if (
        name.isascii()
        and name.isprintable()
        and name[:1] != "$"
        and len(name) < NAME_CHARACTERS_MAX
    ):
        return name
    escaped = name[:NAME_CHARACTERS_MAX].encode("ascii", "backslashreplace").decode()
    escaped = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return "\\" + escaped if escaped.startswith("$") else escaped


def project_name(cwd: str) -> str:
    """The name of the folder that the agent works in."""
    return re.split(r"[\\/]", cwd.rstrip("\\/"))[-1] or "unknown"


def event_of(hook: dict[str, object], now_ms: float) -> dict[str, object] | None:
    """What the app stores for a hook's input, or None for a hook that it has no type for."""
    name = str(hook.get("hook_event_name") or hook.get("hookEventName") or hook.get("type") or "")
    event_type = EVENT_TYPES.get(re.sub(r"[^a-z]", "", name.lower()))
    if event_type is None:
        return None
    cwd = hook.get("cwd")
    if not isinstance(cwd, str) or not cwd:
        cwd = os.getcwd()
    safe = Filter()
    event: dict[str, object] = {
        "sessionId": str(hook.get("session_id") or "unknown")[:NAME_CHARACTERS_MAX],
        "projectName": safe.clean_text(project_name(cwd)),
        "type": event_type,
        "timestamp": now_ms,
        "cwd": safe.clean_text(cwd),
    }
    for field, sources in TEXT_SOURCES.items():
        texts = (hook[source] for source in sources if source in hook)
        if isinstance(text := next(texts, None), str):
            event[field] = safe.clean_text(text)
    for field, sources in VALUE_SOURCES.items():
        values = [hook[source] for source in sources if source in hook]
        if values:
            event[field] = safe.clean(values[0])
    if safe.redacted:
        event["redacted"] = True
    return event


def endpoint(url: str) -> str:
    """Where to post, from the address that clients of the app are given.

    HTTP actions live under ``/http`` of that address. An address that ends in ``/event`` is taken
    as it is, which is how to use the site port: ``http://127.0.0.1:3211/event``.
    """
    url = (url.strip() or DEFAULT_URL).rstrip("/")
    if "://" not in url:
        url = "http://" + url
    return url if url.endswith("/event") else url + "/http/event"


def post(url: str, body: bytes) -> None:
    """Send `body` and wait for the answer's first line: the server has then stored it."""
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SOCKET_TIMEOUT_SECONDS)
    connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
    connection.getresponse()


def report() -> None:
    """Read, filter, send. A failure is nobody's business here: the agent must not notice it."""
    try:
        hook = json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX), parse_int=float)
        event = event_of(hook, now_ms=float(time.time_ns() // 1_000_000))
        if event is not None:
            post(endpoint(os.environ.get("REACTOR_URL", "")), json.dumps(event).encode())
    except BaseException:
        pass


def main() -> None:
    """Give the work its time, then leave, even when it is stuck in a read or in a name server."""
    try:
        worker = threading.Thread(target=report, daemon=True)
        worker.start()
        worker.join(DEADLINE_SECONDS)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
