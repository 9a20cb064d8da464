"""What a command works on: the apps at a path, and for each where its data is.

One app folder is served at the root. A folder of apps serves each under ``/<app>``, so each target
has a prefix. Beside a store in a file there are two small files of ours: the admin key and, while a
server runs, the notice that says where it answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactor.errors import InvalidRequest
from reactor.functions.loader import discover_apps

DATA_FOLDER: Final = ".reactor"
MEMORY_STORE: Final = "memory:"
_DUCKDB_URL: Final = "duckdb:///"
_URL_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One app: its folder, the URL prefix it is served under, and the URL of its store."""

    name: str
    folder: Path
    prefix: str
    store: str

    @property
    def store_file(self) -> Path | None:
        """The file of the store, None for one that has no file."""
        if not self.store.startswith(_DUCKDB_URL):
            return None
        return Path(self.store.removeprefix(_DUCKDB_URL)).absolute()

    @property
    def admin_key_file(self) -> Path | None:
        """Where the secret is kept, None when it lasts only as long as the process."""
        file = self.store_file
        if file is None:
            return None
        if file.parent.name == DATA_FOLDER:
            return file.with_name("admin.key")
        return file.with_name(f"{file.name}.admin.key")

    @property
    def notice_file(self) -> Path | None:
        """Where a running server says that it holds the store."""
        file = self.store_file
        return None if file is None else file.with_name(f"{file.name}.server.json")


def find_targets(path: Path, store: str | None) -> list[Target]:
    """The apps at `path` with their stores; InvalidRequest when `store` does not fit them."""
    apps = discover_apps(path)
    root = path.resolve()
    single = apps == {root.name: root}
    if store is not None and not single and store != MEMORY_STORE and "{app}" not in store:
        raise InvalidRequest(
            f"--store {store}: {path} holds {len(apps)} apps ({', '.join(apps)}), and each needs a "
            f"store of its own. Put {{app}} into the URL, such as duckdb:///data/{{app}}.duckdb."
        )
    for name in apps if not single else ():
        if not _URL_SAFE.fullmatch(name):
            raise InvalidRequest(
                f"The app folder {name!r} cannot be part of a URL. Name it with letters, digits, "
                "`-`, `_` and `.`, or serve it alone."
            )
    return [
        Target(
            name=name,
            folder=folder,
            prefix="" if single else f"/{name}",
            store=_store_url(name, folder, store),
        )
        for name, folder in apps.items()
    ]


def find_target(path: Path, store: str | None) -> Target:
    """The one app at `path`, for commands that work on one."""
    targets = find_targets(path, store)
    if len(targets) > 1 or targets[0].prefix:
        raise InvalidRequest(
            f"{path} is a folder of apps ({', '.join(target.name for target in targets)}). Name "
            f"one of them, such as {path / targets[0].name}."
        )
    return targets[0]


def _store_url(name: str, folder: Path, store: str | None) -> str:
    """Whether the URL names a store at all is checked where it is opened."""
    if store is None:
        return f"{_DUCKDB_URL}{folder / DATA_FOLDER / 'data.duckdb'}"
    return store.replace("{app}", name)


def make_data_folder(target: Target) -> None:
    """Create the folder of the store. Our own `.reactor` folders keep themselves out of git."""
    file = target.store_file
    if file is None or file.parent.is_dir():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.parent.name == DATA_FOLDER:
        (file.parent / ".gitignore").write_text("*\n", encoding="ascii")
