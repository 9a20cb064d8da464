"""The admin key of an app: ``<instance name>|<secret>``.

The secret is made once, kept beside the store in a file that only its owner may read, and lives as
long as the data does. A store without a file gets a secret that ends with the process.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from reactor.errors import StoreUnavailable
from reactor.runtime import secret_bytes
from reactor.tools.targets import Target, make_data_folder

SECRET_BYTES: Final = 32
_SECRET: Final = re.compile(r"[0-9a-f]{32,}")


def admin_key_of(target: Target) -> str:
    """The admin key of `target`; makes the secret when there is none yet."""
    file = target.admin_key_file
    if file is None:
        secret = secret_bytes(SECRET_BYTES).hex()
    else:
        try:
            make_data_folder(target)
            secret = _read(file) if file.exists() else _create(file)
        except OSError as error:
            raise _unwritable(target, file, error) from error
    return f"{target.name}|{secret}"


def existing_admin_key(target: Target) -> str | None:
    """The admin key of `target` if its secret exists already."""
    file = target.admin_key_file
    return admin_key_of(target) if file is not None and file.exists() else None


def _unwritable(target: Target, file: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The database {target.store_file} cannot be used: its admin key, {file.name}, cannot be "
        f"kept beside it ({error.strerror or error}). Give a database in a folder that you may "
        "write to, such as --store duckdb:///data/app.duckdb, or --store memory: to keep nothing."
    )


def _create(file: Path) -> str:
    """Write a new secret under a name of our own first, so that nobody reads half of one."""
    secret = secret_bytes(SECRET_BYTES).hex()
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secret + "\n")
    try:
        os.link(draft, file)  # fails, and changes nothing, when another process was faster
    except FileExistsError:
        return _read(file)
    finally:
        draft.unlink()
    return secret


def _read(file: Path) -> str:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        file.chmod(0o600)
    secret = file.read_text(encoding="utf-8", errors="replace").strip()
    if not _SECRET.fullmatch(secret):
        raise StoreUnavailable(
            f"{file} should hold an admin secret (at least 32 hexadecimal digits) but does not. "
            "Delete the file to get a new secret; keys that were handed out stop working then."
        )
    return secret
