"""The pages of the documentation, taken apart: headings, links and blocks of code.

Blocks of Python, JavaScript and HTML begin with a comment that says what they are (see
docs/contributing.md): `file`, `add to`, `shown`, `run` or `client`, and a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"(?:#|//|<!--) (file|add to|shown|run|client): (\S+?)(?: -->)?")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_IDS = re.compile(r"\b[0-9a-hjkmnp-tv-z]{31,37}\b")
_TIMES = re.compile(r"\b1[0-9]{12}(?:\.[0-9]+)?\b")


@dataclass(frozen=True)
class Block:
    """One fenced block. `purpose` and `name` come from its first line, where it needs one."""

    page: Path
    line: int
    language: str
    text: str
    purpose: str = ""
    name: str = ""
    #: The text block right behind it, None when there is none.
    output: str | None = field(default=None)

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def commands(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.strip()]


def title(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    result = []
    for position, match in enumerate(found):
        following = found[position + 1] if position + 1 < len(found) else None
        output = None
        if following is not None and following[1] == "text":
            between = text[match.end() : following.start()]
            output = following[2] if not between.strip() else None
        first, _, rest = match[2].partition("\n")
        mark = _MARK.fullmatch(first)
        purpose, name, body = ("", "", match[2]) if mark is None else (mark[1], mark[2], rest)
        line = text.count("\n", 0, match.start()) + 1
        result.append(Block(page, line, match[1], body, purpose, name, output))
    return result


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    for match in _LINK.finditer(prose(page)):
        yield match[1]


def anchors(page: Path) -> set[str]:
    """The names of the headings, as web sites that show Markdown make them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """The text under a heading, up to the next one of the same depth or above."""
    text = page.read_text(encoding="utf-8")
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match is not None, f"{title(page)} has no heading {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest if end is None else rest[: end.start()]


def without_chance(text: str) -> str:
    """A text with ids and times replaced, so that two runs can be compared."""
    lines = (line.rstrip() for line in text.strip().splitlines())
    return _TIMES.sub("TIME", _IDS.sub("ID", "\n".join(lines)))


def write_files(page: Path, folder: Path) -> None:
    """All files of a page, as its reader has them at the end."""
    for block in blocks(page):
        if block.purpose not in ("file", "add to", "run", "client", "shown"):
            continue
        file = folder / block.name
        file.parent.mkdir(parents=True, exist_ok=True)
        earlier = file.read_text(encoding="utf-8") if block.purpose == "add to" else ""
        file.write_text(earlier + block.text, encoding="utf-8")
