"""What differs between two versions of an app, for the person who just saved a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reactor.functions.loader import LoadedApp


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was added (+), removed (-) or changed (~)."""

    sign: Literal["+", "-", "~"]
    what: str

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


def changes_between(old: LoadedApp, new: LoadedApp) -> list[Change]:
    """Tables, functions and routes that differ. Empty when only comments or layout changed."""
    return [
        *_compare(_tables(old), _tables(new)),
        *_compare(_functions(old), _functions(new)),
        *_compare(_settings(old), _settings(new)),
    ]


def _compare(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for what in sorted(old.keys() | new.keys()):
        if what not in old:
            yield Change("+", what)
        elif what not in new:
            yield Change("-", what)
        elif old[what] != new[what]:
            yield Change("~", what)


def _tables(app: LoadedApp) -> dict[str, object]:
    tables: dict[str, object] = {}
    for name, table in app.schema.tables.items():
        tables[f"table {name}"] = table.validator.describe()
        for index in table.indexes.values():
            tables[f"index {name}.{index.name}"] = tuple(index.fields)
    return tables


def _functions(app: LoadedApp) -> dict[str, object]:
    return {
        f"route {spec.route}"
        if spec.route is not None
        else f"{spec.kind.value.lower()} {spec.path}": (
            spec.digest,
            spec.public,
        )
        for spec in app.registry
    }


def _settings(app: LoadedApp) -> dict[str, object]:
    return {"settings in app.py": repr(app.settings)}
