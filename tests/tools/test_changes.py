from __future__ import annotations

from pathlib import Path

from reactor.functions.loader import LoadedApp, load_app
from reactor.tools.changes import changes_between
from reactor.tools.scaffold import create_app


def edited(folder: Path, file: str, old: str, new: str) -> tuple[LoadedApp, LoadedApp]:
    """A new app before and after a replacement in one of its files."""
    create_app(folder)
    before = load_app(folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return before, load_app(folder)


def texts(versions: tuple[LoadedApp, LoadedApp]) -> list[str]:
    return [str(change) for change in changes_between(*versions)]


def test_a_renamed_function_is_one_gone_and_one_new(tmp_path: Path) -> None:
    changes = texts(edited(tmp_path / "hello", "tasks.py", "def finish", "def complete"))
    assert "+ mutation tasks:complete" in changes
    assert "- mutation tasks:finish" in changes


def test_a_changed_body_changes_the_functions_of_its_module(tmp_path: Path) -> None:
    changes = texts(edited(tmp_path / "hello", "tasks.py", '"desc"', '"asc"'))
    assert "~ query tasks:listTasks" in changes


def test_a_new_field_changes_its_table(tmp_path: Path) -> None:
    changes = texts(edited(tmp_path / "hello", "schema.py", "owner: str", "owner: str\n    x: str"))
    assert "~ table tasks" in changes


def test_a_new_index_is_told(tmp_path: Path) -> None:
    new = 'by_owner = Index("owner", "done")\n    by_text = Index("text")'
    changes = texts(
        edited(tmp_path / "hello", "schema.py", 'by_owner = Index("owner", "done")', new)
    )
    assert "+ index tasks.by_text" in changes


def test_two_loads_of_the_same_files_do_not_differ(tmp_path: Path) -> None:
    create_app(tmp_path / "hello")
    assert texts((load_app(tmp_path / "hello"), load_app(tmp_path / "hello"))) == []
