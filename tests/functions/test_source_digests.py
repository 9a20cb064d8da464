"""Digests of sources: they follow imports inside the folder, and nothing else."""

from pathlib import Path
from types import ModuleType

import pytest

from reactor.functions.source_digests import SourceGraph, module_digest

FILES = {
    "schema.py": "TABLE = 1\n",
    "events.py": "from .schema import TABLE\nfrom .shared import texts\n",
    "other.py": "import os\n",
    "_private.py": "SECRET = 1\n",
    "lazy.py": "def f():\n    from . import _private\n    return _private\n",
    "shared/__init__.py": "",
    "shared/texts.py": "from ._words import WORDS\n",
    "shared/_words.py": "from ..schema import TABLE\nWORDS = []\n",
    "loop_a.py": "from . import loop_b\n",
    "loop_b.py": "from . import loop_a\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    graph = SourceGraph(folder, {})
    modules = ("schema", "events", "other", "lazy", "shared/texts", "loop_a", "loop_b")
    return {module: graph.digest(module) for module in modules}


@pytest.mark.parametrize(
    ("changed_file", "affected"),
    [
        ("schema.py", {"schema", "events", "shared/texts"}),
        ("events.py", {"events"}),
        ("other.py", {"other"}),
        ("_private.py", {"lazy"}),
        ("shared/_words.py", {"shared/texts", "events"}),
        ("shared/__init__.py", {"shared/texts", "events"}),
        ("loop_a.py", {"loop_a", "loop_b"}),
    ],
)
def test_a_change_affects_the_module_and_its_importers(
    folder: Path, changed_file: str, affected: set[str]
) -> None:
    before = digests(folder)
    (folder / changed_file).write_text(FILES[changed_file] + "# changed\n")
    after = digests(folder)
    assert {module for module in before if before[module] != after[module]} == affected


def test_an_init_file_of_the_folder_counts_for_all(folder: Path) -> None:
    before = digests(folder)
    (folder / "__init__.py").write_text("X = 1\n")
    after = digests(folder)
    assert all(before[module] != after[module] for module in before)


def test_known_sources_are_used_in_place_of_files(folder: Path) -> None:
    changed = SourceGraph(folder, {"schema": b"TABLE = 2\n"})
    assert changed.digest("events") != SourceGraph(folder, {}).digest("events")


def test_the_salt_counts(folder: Path) -> None:
    graph = SourceGraph(folder, {})
    assert graph.digest("other", "a") != graph.digest("other", "b")


def made_module(body: str) -> ModuleType:
    module = ModuleType("made")
    exec(f"def f(x={body[-1]}):\n    {body}", module.__dict__)
    return module


def test_a_module_without_source_is_known_by_its_code() -> None:
    assert module_digest(made_module("return 1")) == module_digest(made_module("return 1"))
    assert module_digest(made_module("return 1")) != module_digest(made_module("return 2"))
