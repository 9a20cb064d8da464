"""The documentation names everything that is public, and nothing that is not there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.core
import typer.main

import reactor
from reactor import App, Limits, errors
from reactor.functions.context import ActionCtx, MutationCtx, QueryCtx
from reactor.functions.db import DatabaseWriter
from reactor.functions.pagination import Page, PaginationOptions
from reactor.functions.query_builder import Query
from reactor.tools.cli import cli
from tests.docs.pages import PAGES, all_blocks, anchors, blocks, links, prose, section, title
from tests.processes import REPOSITORY

DOCS = REPOSITORY / "docs"
WORDS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
GLOSSARY_ENTRY = re.compile(r"^- \*\*(.+?)\.\*\* \S", re.MULTILINE)


def cells(text: str) -> list[list[str]]:
    """The rows of all tables in a text."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def is_named(name: str, text: str = WORDS) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def test_the_public_names_are_sorted_and_documented() -> None:
    names = reactor.__all__
    assert [name for name in names if not is_named(name)] == []
    assert set(names) <= set(dir(reactor))


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (Query, "queries.md"),
        (DatabaseWriter, "tables.md"),
        (QueryCtx, "functions.md"),
        (MutationCtx, "functions.md"),
        (ActionCtx, "functions.md"),
    ],
)
def test_what_functions_call_is_documented(kind: type, page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [name for name in public(kind) if not is_named(name, text)] == []


@pytest.mark.parametrize("kind", [Page, PaginationOptions])
def test_the_fields_of_pages_are_documented(kind: type[Page[object]]) -> None:
    text = section(DOCS / "queries.md", "Pagination")
    assert [name for name in kind.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "kind", [reactor.Reactor, reactor.BlockingReactor], ids=lambda kind: kind.__name__
)
def test_what_a_reactor_is_made_of_is_documented(kind: type) -> None:
    text = (DOCS / "embedding.md").read_text(encoding="utf-8")
    names = list(inspect.signature(kind).parameters)
    assert [name for name in names if f"`{name}`" not in text] == []


def shown_number(value: float) -> str:
    if value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{int(value) >> 20} MiB"
    return f"{value:,g}" if value < 1_000 else f"{int(value):,}"


def test_each_limit_is_documented_with_its_default() -> None:
    documented = {
        row[0].strip("`"): row[1] for row in cells(section(DOCS / "functions.md", "Limits"))
    }
    for name in ("Limit", "---"):
        del documented[name]
    assert documented == {
        name: shown_number(default) for name, default in Limits().model_dump().items()
    }


def test_each_setting_of_an_app_is_documented() -> None:
    text = section(DOCS / "functions.md", "An app folder")
    settings = list(inspect.signature(App).parameters)
    assert [row[0] for row in cells(text) if row[0].strip("`") in settings] == [
        f"`{name}`" for name in settings
    ]


def parameters() -> Iterator[tuple[str, typer.core.TyperArgument | typer.core.TyperOption]]:
    """Each parameter of each command; the command `reactor` itself has no name."""
    group = typer.main.get_command(cli)
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in [("", group), *group.commands.items()]:
        for parameter in command.params:
            assert isinstance(parameter, typer.core.TyperArgument | typer.core.TyperOption)
            yield name, parameter


@pytest.mark.parametrize(
    ("command", "parameter"),
    list(parameters()),
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_each_command_is_documented_with_its_options(
    command: str, parameter: typer.core.TyperArgument | typer.core.TyperOption
) -> None:
    page = DOCS / "cli.md"
    text = section(page, f"reactor {command}") if command else page.read_text(encoding="utf-8")
    if isinstance(parameter, typer.core.TyperOption):
        assert [option for option in parameter.opts if not is_named(option, text)] == []
    else:
        assert is_named((parameter.metavar or parameter.name or "").strip("[]"), text)


def test_each_documented_default_of_an_option_is_the_real_one() -> None:
    defaults = {
        option: parameter.default
        for command, parameter in parameters()
        if isinstance(parameter, typer.core.TyperOption)
        for option in parameter.opts
    }
    rows = {
        row[0].strip("`"): row[1].strip("`")
        for row in cells((DOCS / "cli.md").read_text(encoding="utf-8"))
    }
    for option in ("--host", "--port", "--site-port", "--limit"):
        assert rows[option] == str(defaults[option]), option
    assert rows["--order"] == str(defaults["--order"])


def test_no_option_is_documented_that_does_not_exist() -> None:
    real = {
        option
        for _, parameter in parameters()
        if isinstance(parameter, typer.core.TyperOption)
        for option in parameter.opts
    }
    named = set(re.findall(r"`(--[a-z-]+)`", WORDS))
    assert named - real - {"--help"} == set()


def error_classes() -> list[type[Exception]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == errors.__name__
    ]


def test_each_error_is_documented_with_its_tag() -> None:
    page = DOCS / "errors.md"
    rows = {row[0]: row[1:] for row in cells(page.read_text(encoding="utf-8"))}
    for kind in error_classes():
        if kind is errors.Problem:
            assert is_named("Problem", prose(page))
            continue
        assert f"`{kind.__name__}`" in rows, kind.__name__
        tag = getattr(kind, "tag", None)
        assert rows[f"`{kind.__name__}`"][0] == ("" if tag is None else f"`{tag}`"), kind.__name__


def test_each_http_status_of_an_error_is_documented() -> None:
    rows = {row[0]: row for row in cells(section(DOCS / "errors.md", "Failures of requests"))}
    for name, row in rows.items():
        kind = getattr(errors, name.strip("`"), None)
        if kind is not None:
            assert row[2] == str(kind.http_status), name


def test_the_glossary_is_sorted_and_each_word_is_used_in_the_code() -> None:
    words = GLOSSARY_ENTRY.findall((DOCS / "glossary.md").read_text(encoding="utf-8"))
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words)) > 30
    sources = (REPOSITORY / "reactor").rglob("*.py")
    code = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    unused = [
        word for word in words if not re.search(word.replace(" ", r"[ _-]?"), code, re.IGNORECASE)
    ]
    assert unused == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        assert "://" not in link, f"{title(page)}: {link}"
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{title(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{title(page)}: {link}"


def test_each_page_is_in_the_index() -> None:
    listed = {link.partition("#")[0] for link in links(DOCS / "index.md")}
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert pages <= listed


def test_files_that_are_named_exist() -> None:
    named = re.findall(r"`((?:reactor|tests|apps|docs|benchmarks)/[\w/.]*\w)`", WORDS)
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_each_block_says_what_it_is() -> None:
    unmarked = [block.place for block in all_blocks("python", "js", "html") if not block.purpose]
    assert unmarked == []
    known = {"python", "js", "html", "sh", "text"}
    other = [b.place for page in PAGES for b in blocks(page) if b.language not in known]
    assert other == []


def test_the_protocol_page_gives_each_row_one_of_three_answers() -> None:
    rows = cells((DOCS / "protocol.md").read_text(encoding="utf-8"))
    for row in rows:
        if len(row) == 3 and row[1] not in ("Support", "---", "Value"):
            assert re.match(r"(yes|later|no)\b", row[1]) or row[1][:1].isdigit(), row


def test_no_page_names_a_machine_or_a_registry() -> None:
    assert re.search(r"(?<![\w.:/])/(home|Users|root|work)/\w", WORDS) is None
    assert re.search(r"https?://(?!127\.0\.0\.1|localhost)", WORDS) is None
