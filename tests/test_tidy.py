"""House style that a linter does not know: sizes, names, and what must not be left lying about."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
CODE = ("reactor", "apps", "benchmarks")
CODE_AND_TESTS = (*CODE, "tests")
#: Folders of others' or generated files.
FOREIGN = {"node_modules", "__pycache__"}

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
EMPTY_NAMES = {
    *("utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"),
}
# In brackets, so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(TO[D]O|FIXM[E]|XX[X])\b")
MACHINE_PATHS = re.compile(r"(?<![\w.:/])/(home|Users|root|work)/\w")

File = tuple[str, str]
Rule = Callable[[str, str], Iterator[str]]


def long_modules(path: str, text: str) -> Iterator[str]:
    count = len(text.splitlines())
    if count > MODULE_LINES_MAX:
        yield f"{path}:1: {count} lines, at most {MODULE_LINES_MAX}; split it by what it is about"


def long_functions(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            count = node.end_lineno - node.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield (
                    f"{path}:{node.lineno}: `{node.name}` has {count} lines, at most "
                    f"{FUNCTION_LINES_MAX}; give its parts names"
                )


def empty_names(path: str, _text: str) -> Iterator[str]:
    for part in path.removesuffix(".py").split("/"):
        empty = EMPTY_NAMES & set(part.lower().split("_"))
        if empty:
            yield f"{path}:1: `{part}` says nothing; name the one thing it is about"


def missing_docstrings(path: str, text: str) -> Iterator[str]:
    is_template = "/templates/" in path
    is_empty_package = path.endswith("__init__.py") and not text.strip()
    if path.startswith("reactor/") and not is_template and not is_empty_package:
        docstring = ast.get_docstring(ast.parse(text, path))
        if not docstring:
            yield f"{path}:1: no docstring; open with the idea and the invariants"


def leftovers(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for found in LEFTOVERS.finditer(line):
            yield f"{path}:{number}: {found[0]} is left; do it, or open an issue"


def tabs(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            yield f"{path}:{number}: holds a tab; indent with spaces, write \\t in a string"


def machine_paths(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        found = MACHINE_PATHS.search(line)
        if found:
            yield (
                f"{path}:{number}: {found[0]}… exists on one machine only; derive it from "
                "__file__ or take it as an argument"
            )


RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (long_modules, CODE),
    (long_functions, CODE),
    (empty_names, CODE_AND_TESTS),
    (missing_docstrings, ("reactor",)),
    (leftovers, CODE_AND_TESTS),
    (tabs, CODE_AND_TESTS),
    (machine_paths, CODE),
]


def python_files(folders: tuple[str, ...]) -> Iterator[File]:
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            relative = path.relative_to(REPOSITORY)
            if not any(part in FOREIGN or part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("rule", "folders"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_there_are_no(rule: Rule, folders: tuple[str, ...]) -> None:
    files = list(python_files(folders))
    assert files
    broken = [message for path, text in files for message in rule(path, text)]
    if broken:
        pytest.fail("\n".join([f"{rule.__name__}: {len(broken)}", *broken]), pytrace=False)


def function_of(lines: int) -> str:
    return "def f() -> None:\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("rule", "path", "text", "message"),
    [
        (long_modules, "reactor/a.py", "\n" * 501, "reactor/a.py:1: 501 lines"),
        (long_functions, "reactor/a.py", "\n" + function_of(61), "reactor/a.py:2: `f` has 61"),
        (empty_names, "apps/chat/key_utils.py", "", "`key_utils` says nothing"),
        (empty_names, "reactor/common/a.py", "", "`common` says nothing"),
        (missing_docstrings, "reactor/a.py", "x = 1", "reactor/a.py:1: no docstring"),
        (leftovers, "tests/a.py", "\n# {}: later".format("TO" + "DO"), "tests/a.py:2: TO"),
        (tabs, "reactor/a.py", "x = 1\n\ty = 2", "reactor/a.py:2: holds a tab"),
        (machine_paths, "reactor/a.py", 'x = "/home/ada/x"', "reactor/a.py:1: /home/a"),
    ],
)
def test_a_planted_fault_is_found_and_named(rule: Rule, path: str, text: str, message: str) -> None:
    (broken,) = rule(path, text)
    assert message in broken


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (long_modules, "reactor/a.py", "\n" * 500),
        (long_functions, "reactor/a.py", function_of(60)),
        (empty_names, "reactor/data/commit_log.py", ""),
        (missing_docstrings, "reactor/data/__init__.py", "\n"),
        (missing_docstrings, "reactor/tools/templates/app/tasks.py", "x = 1"),
        (machine_paths, "reactor/a.py", 'x = "https://example.com/home/index"'),
    ],
)
def test_what_is_allowed_is_not_reported(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text)) == []
