"""What official clients were seen to send, connection by connection.

`frames/client_frames.json` is a compact copy of the client's half of the recordings in
`shared/reference/frames`, so that this repository can be tested alone. To renew it:
``python -m tests.sync.client_frames``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COPY = Path(__file__).with_name("frames") / "client_frames.json"
RECORDINGS = Path(__file__).parents[3] / "shared" / "reference" / "frames"

Message = dict[str, Any]
Connections = list[list[Message]]


def load() -> dict[str, Connections]:
    """Each recording's connections, each the messages of the client in order."""
    content: dict[str, Connections] = json.loads(COPY.read_text("utf-8"))
    return content


def extract() -> dict[str, Connections]:
    """The same from the recordings themselves."""
    extracted = {}
    for file in sorted(RECORDINGS.glob("*.json")):
        if file.stem.startswith(("js_", "py_", "ordering_")):
            for name, frames in _cases(json.loads(file.read_text("utf-8"))):
                connections: dict[int, list[Message]] = {}
                for frame in frames:
                    if frame.get("dir") == "C>S":
                        connections.setdefault(frame["conn"], []).append(frame["msg"])
                if connections:
                    extracted[f"{file.stem}{name}"] = [connections[key] for key in connections]
    return extracted


def _cases(recording: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    cases = recording.get("cases")
    if cases is None:
        yield "", recording["frames"]
    elif isinstance(cases, dict):
        for name, frames in cases.items():
            yield f".{name}", frames
    else:
        for case in cases:
            yield f".{case['case']}", case["frames"]


if __name__ == "__main__":
    COPY.write_text(json.dumps(extract(), separators=(",", ":")) + "\n", "utf-8")
