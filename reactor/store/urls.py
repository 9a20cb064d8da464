"""Store URLs: the one place that knows which adapters exist."""

from __future__ import annotations

from pathlib import Path

from reactor.errors import StoreUnavailable
from reactor.store.base import Store
from reactor.store.duckdb import DuckDBStore
from reactor.store.memory import MemoryStore

_FORMS = (
    '"memory:" (nothing is kept), "duckdb:///data.duckdb" (relative to the working directory) or '
    '"duckdb:////srv/app/data.duckdb" (four slashes: an absolute path)'
)


def open_store(url: str) -> Store:
    """The store that `url` names, not yet opened: `Store.open` takes its lock.

    >>> open_store("duckdb:///app.duckdb")
    """
    if url == "memory:":
        return MemoryStore()
    prefix = "duckdb:///"
    if url.startswith(prefix):
        path = url.removeprefix(prefix)
        if path and not path.endswith("/") and path != ":memory:":
            return DuckDBStore(Path(path))
    if url.startswith(("postgres:", "postgresql:")):
        raise StoreUnavailable(f"The store {url!r} needs PostgreSQL, which comes later: {_FORMS}.")
    raise StoreUnavailable(f"The store URL {url!r} names no store. Use one of {_FORMS}.")
