"""Which folders are apps, and which files are their modules."""

from pathlib import Path

import pytest

from reactor.errors import LoadError
from reactor.functions.app_folder import app_modules, checked_folder, discover_apps

IMPORTS = "from reactor import query\n\n\n@query\ndef f(ctx): ...\n"


def write(folder: Path, *names: str, text: str = IMPORTS) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_modules_are_found_in_sub_folders_too(tmp_path: Path) -> None:
    write(tmp_path, "events.py", "schema.py", "admin/users.py", "admin/deep/er.py")
    assert list(app_modules(tmp_path)) == ["admin/deep/er", "admin/users", "events", "schema"]


def test_private_files_tests_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        "events.py",
        "_helpers.py",
        "test_events.py",
        "conftest.py",
        "__init__.py",
        ".hidden/a.py",
        "_private/a.py",
        "__pycache__/a.py",
        "node_modules/gyp/a.py",
        "not-a-module/a.py",
    )
    assert list(app_modules(tmp_path)) == ["events"]


def test_a_file_that_cannot_be_imported_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "my-events.py")
    with pytest.raises(LoadError, match=r"Rename it to `my_events\.py`, or start its name with"):
        app_modules(tmp_path)


def test_a_link_out_of_the_app_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "outside.py", "app/events.py")
    (tmp_path / "app" / "linked.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(LoadError, match="outside the app"):
        app_modules(tmp_path / "app")


def test_linked_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/secret.py", "app/events.py")
    (tmp_path / "app" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(app_modules(tmp_path / "app")) == ["events"]


def test_an_app_folder_is_one_app(tmp_path: Path) -> None:
    write(tmp_path, "shop/items.py", "shop/admin/items.py")
    assert discover_apps(tmp_path / "shop") == {"shop": tmp_path / "shop"}


def test_a_folder_of_app_folders_is_several_apps(tmp_path: Path) -> None:
    write(tmp_path, "__init__.py", "shop/items.py", "chat/schema.py", ".git/x.py", "_old/x.py")
    write(tmp_path, "assets/logo.txt")
    assert list(discover_apps(tmp_path)) == ["chat", "shop"]


def test_scripts_beside_the_apps_do_not_make_their_folder_an_app(tmp_path: Path) -> None:
    write(tmp_path, "shop/items.py")
    write(tmp_path, "setup.py", text="import setuptools\n")
    write(tmp_path, "report.py", text="from reactor import Reactor\nReactor('shop')\n")
    assert list(discover_apps(tmp_path)) == ["shop"]


def test_python_files_alone_make_an_app(tmp_path: Path) -> None:
    write(tmp_path, "blank.py", text="")
    assert list(discover_apps(tmp_path)) == [tmp_path.name]


def test_nothing_is_imported_to_decide(tmp_path: Path) -> None:
    write(tmp_path, "a/one.py", "a/two.py", text=IMPORTS + "raise SystemExit\n")
    assert list(discover_apps(tmp_path)) == ["a"]


def test_a_relative_path_gets_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "shop/items.py")
    monkeypatch.chdir(tmp_path / "shop")
    assert discover_apps(Path(".")) == {"shop": tmp_path / "shop"}


def test_a_folder_without_apps_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "notes/readme.txt")
    with pytest.raises(LoadError, match=r"neither an app nor a folder of apps\. Looked for"):
        discover_apps(tmp_path)


def test_a_missing_folder_is_reported_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoadError) as caught:
        checked_folder(Path("shop"))
    assert caught.value.message == (
        "There is no folder shop. Give the folder of an app, or make a new app with "
        "`reactor init shop`."
    )


def test_a_file_is_not_an_app(tmp_path: Path) -> None:
    write(tmp_path, "items.py")
    with pytest.raises(LoadError, match="is a file, but an app is a folder"):
        checked_folder(tmp_path / "items.py")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_unusable_paths_are_load_errors(path: str) -> None:
    with pytest.raises(LoadError):
        checked_folder(Path(path))
