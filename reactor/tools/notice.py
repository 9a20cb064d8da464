"""How commands find the server that holds a store.

A store has one owner at a time. While a server owns it, a small file beside the store says at which
URL it answers, and `reactor run` and `reactor data` ask the server in place of opening the store. A
server that was killed leaves its notice behind; then nobody answers there, or somebody who does not
know the store's admin key, and the reader opens the store itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_notice(file: Path, url: str) -> None:
    """Say that the server of this process answers at `url`. Replaces an older notice at once."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
    draft.replace(file)


def remove_notice(file: Path) -> None:
    """Take back the notice of this process; leave that of another one alone."""
    if _read(file).get("pid") == os.getpid():
        file.unlink(missing_ok=True)


def noticed_url(file: Path | None) -> str | None:
    """Where a server that holds the store says that it answers, None when there is no notice."""
    url = _read(file).get("url") if file is not None else None
    return url if isinstance(url, str) else None


def _read(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
