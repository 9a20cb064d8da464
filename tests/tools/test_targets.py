from __future__ import annotations

from pathlib import Path

import pytest

from reactor.errors import InvalidRequest, LoadError
from reactor.tools.targets import find_target, find_targets, make_data_folder


def make_app(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "schema.py").write_text("from reactor import Table\n")
    return folder


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    make_app(tmp_path / "apps" / "one")
    make_app(tmp_path / "apps" / "two")
    return tmp_path / "apps"


def test_one_app_is_served_at_the_root(apps: Path) -> None:
    (target,) = find_targets(apps / "one", None)
    assert (target.name, target.prefix) == ("one", "")


def test_the_apps_of_a_folder_are_served_under_their_names(apps: Path) -> None:
    assert [target.prefix for target in find_targets(apps, None)] == ["/one", "/two"]


def test_a_folder_with_one_app_still_has_a_prefix(tmp_path: Path) -> None:
    make_app(tmp_path / "apps" / "one")
    assert [target.prefix for target in find_targets(tmp_path / "apps", None)] == ["/one"]


def test_data_is_kept_in_the_app_folder_by_default(apps: Path) -> None:
    target = find_target(apps / "one", None)
    assert target.store_file == apps / "one" / ".reactor" / "data.duckdb"
    assert target.admin_key_file == apps / "one" / ".reactor" / "admin.key"
    assert target.notice_file == apps / "one" / ".reactor" / "data.duckdb.server.json"


def test_files_beside_a_store_elsewhere_carry_its_name(apps: Path, tmp_path: Path) -> None:
    target = find_target(apps / "one", f"duckdb:///{tmp_path}/x.duckdb")
    assert target.store_file == tmp_path / "x.duckdb"
    assert target.admin_key_file == tmp_path / "x.duckdb.admin.key"


def test_a_relative_store_is_relative_to_the_working_directory(
    apps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = find_target(apps / "one", "duckdb:///some/x.duckdb")
    assert target.store_file == tmp_path / "some" / "x.duckdb"


def test_app_in_braces_gives_each_app_a_store(apps: Path) -> None:
    targets = find_targets(apps, "duckdb:////data/{app}.duckdb")
    assert [target.store for target in targets] == [
        "duckdb:////data/one.duckdb",
        "duckdb:////data/two.duckdb",
    ]


def test_several_apps_may_not_share_a_file(apps: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"holds 2 apps \(one, two\).*\{app\}"):
        find_targets(apps, "duckdb:////data/x.duckdb")


def test_several_apps_may_all_live_in_memory(apps: Path) -> None:
    targets = find_targets(apps, "memory:")
    assert [target.store_file for target in targets] == [None, None]
    assert [target.admin_key_file for target in targets] == [None, None]


def test_a_command_for_one_app_names_the_apps_of_a_folder(apps: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder of apps") as raised:
        find_target(apps, None)
    assert str(apps / "one") in raised.value.message


def test_a_path_without_apps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError):
        find_targets(tmp_path / "nowhere", None)


def test_the_data_folder_keeps_itself_out_of_git(apps: Path) -> None:
    make_data_folder(find_target(apps / "one", None))
    assert (apps / "one" / ".reactor" / ".gitignore").read_text() == "*\n"
