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

DEFAULT_URL = "http://127.0.0.1:3210"
DEADLINE_SECONDS = 0.9
SOCKET_TIMEOUT_SECONDS = 0.7
REDACTED = "[redacted]"
TRUNCATED = "[truncated]"

INPUT_BYTES_MAX = 32 << 20
# A list of 100 events has to stay far below the 8 MiB that its readers handle well, in bytes and
# whatever the alphabet: 100 of these are 4.6 MiB.
EVENT_BYTES_MAX = 48_000
TEXT_BYTES_MAX = 20_000
VALUE_BYTES = 10  # what a value costs besides its text: a number, a comma, a pair of quotes
NAME_CHARACTERS_MAX = 200
SECRET_CHARACTERS_MAX = 500
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

# A name is secret when it holds one of these anywhere, or one of the words as a whole word, or a
# word with one of the endings ("githubtoken").
SECRET_PARTS = re.compile(
    "passw(?:or)?d|passphrase|passcode|secret|credential|authorization|cookie|jwt|bearer"
    "|(?:api|access|priv|private|signing|encryption)[-_ ]?key",
    re.IGNORECASE,
)
SECRET_WORDS = frozenset({"auth", "oauth", "creds", "otp", "pat", "pin", "pwd"})
SECRET_ENDINGS = ("key", "token", "pass")
HARMLESS_WORDS = frozenset(
    {"bypass", "compass", "donkey", "hockey", "hotkey", "jockey", "monkey", "turkey", "whiskey"}
)
COUNTED_WORDS = frozenset({"keys", "tokens"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Names that prose and code use for harmless things too: in a text, their value has to look secret.
VAGUE_NAMES = frozenset({"auth", "bearer", "key", "keys", "pass", "pat", "pin", "tokens"})
LOOKS_SECRET = re.compile(r"(?=\D*\d).{4,}", re.DOTALL)
HARMLESS_VALUE = re.compile(
    r"(?:true|false|none|null|nil|undefined|str|string|bytes|int|float|number|bool|boolean|any)\b"
    r"[\W_]*",
    re.IGNORECASE,
)

# An assignment in a text, up to its value: password=…, "apiKey": "…", token '…', --token …
_QUOTE = r"\\*[\"'`]"
ASSIGNED = re.compile(
    rf"(?<![\w.-])(?P<name>[\w.-]+)(?:{_QUOTE})?\]?"
    rf"(?P<sign>[ \t]*(?:[!:=]?={{1,2}}>?|:)[ \t]*|[ \t]+is[ \t]+|[ \t]+(?={_QUOTE}))"
)
ASSIGNED_VALUE = re.compile(
    # A type may come first: token: str = "…". The padding of base64 is none.
    rf"(?:(?<=[: \t])[\w.|\[\]]{{1,40}}(?:[ \t]+=[ \t]+|=(?={_QUOTE})))?"
    rf"(?:[bfruBFRU]{{0,2}}(?P<quote>{_QUOTE})(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\n\\]))+)"
    r"|(?P<plain>(?:\\[^nrt\"'\s]|,(?=\S)|[^\s\"'`&;,\\])+))"
)

# Secrets inside texts. The group `keep`, if there is one, is the part that is not secret.
_VALUE = r"(?!\[redacted\])(?:'[^'\n]+|\"[^\"\n]+|[^\s\"'&;\\]+)"
_OPTIONS = r"[^\n|;&]{0,300}?\s"
SECRETS = [
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*KEY[^-]*-----|\Z)", re.S),
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),  # a JSON web token
    re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{8,}"),
    re.compile(r"\bgh[opsur]_\w{8,}|\bgithub_pat_\w{8,}|\bglpat-[\w-]{8,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"),
    re.compile(r"\bxox[a-z]-[\w-]{8,}|\bAIza[\w-]{30,}|\bhf_\w{16,}|\bnpm_\w{16,}"),
    # Addresses that are secrets themselves.
    re.compile(
        r"(?P<keep>\bhooks\.slack(?:-gov)?\.com/\w+/|\bdiscord(?:app)?\.com/api/webhooks/)[^\s\"']+"
    ),
    # ://user:password@ (a port is none), https://token@
    re.compile(
        r"(?P<keep>://)[^\s/@:'\"]{0,200}:(?!\d{1,5}(?:[/?#\s]|$))[^\s/'\"]{1,200}(?=@)"
        r"|(?P<keep_scheme>\bhttps?://)(?!git@|\[redacted\])[^\s/@:?#'\"]{1,200}(?=@)"
    ),
    # A header, up to the end of its line.
    re.compile(
        r"(?P<keep>\b(?:authorization|cookie)[\"']?\s*:\s*[\"']?)(?!\[redacted\])[^\r\n\"']{4,}",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    # Options of commands: --db-password …, curl -u user:…, mysql -p…, sshpass -p …
    re.compile(
        r"(?P<keep>(?<!\S)--?(?:[\w-]+-)?(?:pass|password|passwd|passphrase|token|secret|pat|pin"
        rf"|(?:api|access|private|secret|auth|account)-?key)(?:\s+(?!-)|=)){_VALUE}",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<keep>(?<!\S)(?:-[a-zA-Z]{0,4}[uU]\s+|-u|--(?:proxy-)?user[\s=]+)[\"']?"
        r"(?!\d+:\d+(?!\S))[^\s:\"'/]{1,200}:)(?!//|\[redacted\])[^\s\"']+"
    ),
    re.compile(rf"(?P<keep>\b(?:mysql|mariadb)[\w-]*{_OPTIONS}-p){_VALUE}"),
    re.compile(
        rf"(?P<keep>\b(?:sshpass{_OPTIONS}-p|(?:docker|podman)\s+login{_OPTIONS}-p"
        rf"|redis-cli{_OPTIONS}-a|(?:un)?zip{_OPTIONS}-P)\s*){_VALUE}"
    ),
    re.compile(r"(?P<keep>\s-pass(?:in|out)?\s+pass:)\S+"),  # openssl
    re.compile(r"(?P<keep>\blogin\s+\S{1,200}\s+password\s+)\S+"),  # .netrc
]


class Filter:
    """Copies JSON values without their secrets, within limits; knows whether it found any."""

    def __init__(self) -> None:
        self.redacted = False
        self.bytes_left = EVENT_BYTES_MAX

    def clean(self, value: object, depth: int = 0) -> object:
        """`value` as it may be sent."""
        self.bytes_left -= VALUE_BYTES
        if self.bytes_left <= 0 or depth > DEPTH_MAX:
            return TRUNCATED
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, list):
            return self.clean_list(value, depth)
        if isinstance(value, dict):
            return self.clean_object(value, depth)
        return value

    def clean_list(self, items: list[object], depth: int) -> list[object]:
        """The items as far as there is room for them."""
        copied: list[object] = []
        for item in items:
            if len(copied) == ITEMS_MAX or self.bytes_left <= 0:
                copied.append(TRUNCATED)
                break
            copied.append(self.clean(item, depth + 1))
        return copied

    def clean_object(self, fields: dict[str, object], depth: int) -> dict[str, object]:
        """The fields as far as there is room for them."""
        copied: dict[str, object] = {}
        for name, value in fields.items():
            if len(copied) == ITEMS_MAX or self.bytes_left <= 0:
                copied[TRUNCATED] = f"{len(fields) - len(copied)} more fields"
                break
            stored_name = field_name(name)
            self.bytes_left -= len(stored_name)
            copied[stored_name] = self.clean_field(name, value, depth + 1)
        return copied

    def clean_field(self, name: str, value: object, depth: int) -> object:
        """The value of a field, whose name alone may tell that it is secret."""
        if value and not isinstance(value, bool) and is_secret(name, value):
            self.redacted = True
            self.bytes_left -= VALUE_BYTES
            return REDACTED
        return self.clean(value, depth)

    def clean_text(self, text: str) -> str:
        """A text without the secrets inside it, and not too long."""
        room = max(0, min(TEXT_BYTES_MAX, self.bytes_left))
        # A bit more than fits: a secret that the cut would halve is still known for what it is.
        taken = text[: room + SECRET_CHARACTERS_MAX]
        safe = taken.encode("utf-8", "replace").decode()  # no lone surrogates
        for pattern in SECRETS:
            safe = pattern.sub(_replacement, safe)
        safe = redact_assignments(safe)
        self.redacted = self.redacted or safe.count(REDACTED) > taken.count(REDACTED)
        kept = safe.encode()[:room].decode("utf-8", "ignore")
        self.bytes_left -= len(kept.encode())
        cut = len(text) - len(taken) + len(safe) - len(kept)
        return f"{kept}… [{cut} more characters]" if cut > 0 else kept


def _replacement(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return (groups.get("keep") or groups.get("keep_scheme") or "") + REDACTED


def redact_assignments(text: str) -> str:
    """`text` without the values that it assigns to secret names."""
    parts: list[str] = []
    done = 0
    for assigned in ASSIGNED.finditer(text):
        if assigned.start() < done or not is_secret(_name_in_text(assigned), ""):
            continue
        value = ASSIGNED_VALUE.match(text, assigned.end())
        if value is None:
            continue
        group = "quoted" if value["quoted"] is not None else "plain"
        if is_secret_assignment(assigned, value[group], quoted=group == "quoted"):
            parts += [text[done : value.start(group)], REDACTED]
            done = value.end(group)
    return "".join([*parts, text[done:]])


def _name_in_text(assigned: re.Match[str]) -> str:
    """The assigned name. Before a colon, only the last part: ``test_token.py:12`` is a place."""
    name = assigned["name"]
    return name if "=" in assigned["sign"] else name.rpartition(".")[2]


def is_secret_assignment(assigned: re.Match[str], value: str, *, quoted: bool) -> bool:
    """Whether what a text assigns to a secret name is a secret."""
    name = _name_in_text(assigned)
    if value.startswith(REDACTED) or (not quoted and HARMLESS_VALUE.fullmatch(value)):
        return False
    if name in ("PWD", "OLDPWD") and value.startswith("/"):
        return False  # the shell's current folder
    words = {word.lower() for word in WORD.findall(name)}
    if words & COUNTED_WORDS and re.fullmatch(r"[\d.,_]+[kM]?\W*", value):
        return False
    vague = name.lower().strip("-_.") in VAGUE_NAMES or assigned["sign"].strip() == "is"
    return not vague or LOOKS_SECRET.match(value) is not None


def is_secret(name: str, value: object) -> bool:
    """Whether a field of this name holds a secret. A number of tokens is none."""
    name = name[-NAME_CHARACTERS_MAX:]
    if SECRET_PARTS.search(name):
        return True
    words = {word.lower() for word in WORD.findall(name)} - HARMLESS_WORDS
    if words & COUNTED_WORDS and not isinstance(value, (int, float)):
        return True
    return bool(words & SECRET_WORDS) or any(word.endswith(SECRET_ENDINGS) for word in words)


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


def session_name(session_id: object) -> str:
    """The session's id as a text. JSON's 5 arrives here as 5.0, and is still session 5."""
    if isinstance(session_id, float) and session_id.is_integer():
        session_id = int(session_id)
    known = session_id is not None and session_id != ""
    return (str(session_id) if known else "unknown")[:NAME_CHARACTERS_MAX]


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
        "sessionId": safe.clean_text(session_name(hook.get("session_id"))),
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
