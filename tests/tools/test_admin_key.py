from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reactor.errors import StoreUnavailable
from reactor.tools.admin_key import admin_key_of, existing_admin_key
from reactor.tools.targets import Target


@pytest.fixture
def target(tmp_path: Path) -> Target:
    store = tmp_path / ".reactor" / "data.duckdb"
    return Target(name="events", folder=tmp_path, prefix="", store=f"duckdb:///{store}")


def key_file(target: Target) -> Path:
    assert target.admin_key_file is not None
    return target.admin_key_file


def test_a_key_is_the_name_of_the_instance_and_a_secret(target: Target) -> None:
    name, _, secret = admin_key_of(target).partition("|")
    assert name == "events"
    assert len(bytes.fromhex(secret)) == 32


def test_a_key_stays_the_same(target: Target) -> None:
    assert admin_key_of(target) == admin_key_of(target)


def test_only_the_owner_can_read_the_secret(target: Target) -> None:
    admin_key_of(target)
    assert stat.S_IMODE(key_file(target).stat().st_mode) == 0o600


def test_a_secret_that_others_could_read_is_closed_again(target: Target) -> None:
    admin_key_of(target)
    key_file(target).chmod(0o644)
    admin_key_of(target)
    assert stat.S_IMODE(key_file(target).stat().st_mode) == 0o600


def test_many_at_once_agree_on_one_secret(target: Target) -> None:
    with ThreadPoolExecutor(1) as pool:  # drafts are named by process
        keys = set(pool.map(lambda _: admin_key_of(target), range(20)))
    assert len(keys) == 1
    assert [file.name for file in key_file(target).parent.iterdir() if "key." in file.name] == []


def test_a_damaged_key_file_is_reported_with_the_way_out(target: Target) -> None:
    admin_key_of(target)
    key_file(target).write_text("not hex")
    with pytest.raises(StoreUnavailable, match="Delete the file"):
        admin_key_of(target)


def test_a_folder_that_takes_no_files_is_reported_with_the_database(tmp_path: Path) -> None:
    store = "/proc/x.duckdb"
    target = Target(name="events", folder=tmp_path, prefix="", store=f"duckdb:///{store}")
    with pytest.raises(StoreUnavailable, match=f"The database {store} cannot be used.*--store"):
        admin_key_of(target)


def test_a_folder_that_cannot_be_made_is_reported_with_the_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = tmp_path / "file" / "x.duckdb"
    target = Target(name="events", folder=tmp_path, prefix="", store=f"duckdb:///{store}")
    with pytest.raises(StoreUnavailable, match=f"The database {store} cannot be used.*--store"):
        admin_key_of(target)


def test_asking_for_an_existing_key_makes_none(target: Target) -> None:
    assert existing_admin_key(target) is None
    assert not key_file(target).exists()
    made = admin_key_of(target)
    assert existing_admin_key(target) == made


def test_a_store_in_memory_has_a_new_key_each_time(tmp_path: Path) -> None:
    target = Target(name="events", folder=tmp_path, prefix="", store="memory:")
    assert admin_key_of(target) != admin_key_of(target)
    assert list(tmp_path.iterdir()) == []
