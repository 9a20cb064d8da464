from __future__ import annotations

from pathlib import Path

import pytest

from reactor.errors import InvalidRequest
from reactor.functions.loader import load_app
from reactor.tools.scaffold import create_app


def test_a_new_app_loads_with_a_query_and_a_mutation(tmp_path: Path) -> None:
    create_app(tmp_path / "hello")
    loaded = load_app(tmp_path / "hello")
    kinds = {spec.path: spec.kind.value for spec in loaded.registry}
    assert kinds == {
        "tasks:listTasks": "Query",
        "tasks:add": "Mutation",
        "tasks:finish": "Mutation",
    }
    assert list(loaded.schema.tables) == ["tasks"]


def test_a_new_app_speaks_of_itself_by_name(tmp_path: Path) -> None:
    create_app(tmp_path / "hello")
    assert "reactor dev hello" in (tmp_path / "hello" / "README.md").read_text()


def test_a_new_app_keeps_its_data_out_of_git(tmp_path: Path) -> None:
    create_app(tmp_path / "hello")
    assert ".reactor/" in (tmp_path / "hello" / ".gitignore").read_text().splitlines()


def test_what_was_written_is_returned(tmp_path: Path) -> None:
    files = create_app(tmp_path / "hello")
    assert sorted(files) == sorted((tmp_path / "hello").iterdir())


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "hello").mkdir()
    assert create_app(tmp_path / "hello")


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "precious").write_text("x")
    with pytest.raises(InvalidRequest, match="is not empty"):
        create_app(tmp_path / "hello")
    assert [file.name for file in (tmp_path / "hello").iterdir()] == ["precious"]


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("x")
    with pytest.raises(InvalidRequest, match="is a file"):
        create_app(tmp_path / "hello")


@pytest.mark.parametrize("name", ["1st", "a b", "a.b", "_hidden", "über", "-x", "x" * 65, "a$"])
def test_a_name_that_cannot_be_part_of_a_url_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be the name of an app"):
        create_app(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
