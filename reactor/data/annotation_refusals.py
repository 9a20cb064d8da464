"""Annotations that are refused, and what to write instead."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import pathlib
import typing
import uuid
from collections.abc import Mapping
from typing import Final

from pydantic import RootModel

from reactor.data.validators import Field
from reactor.errors import SchemaError

_WAYS_OUT: Final[tuple[tuple[type, str], ...]] = (
    (datetime.datetime, "float, milliseconds since the epoch: value.timestamp() * 1000"),
    (datetime.date, "str: value.isoformat()"),
    (datetime.time, "str: value.isoformat()"),
    (datetime.timedelta, "float: value.total_seconds()"),
    (decimal.Decimal, "str, or float if rounding does not matter"),
    (uuid.UUID, "str"),
    (pathlib.PurePath, "str"),
    (bytearray, "bytes"),
    (complex, "list[float]"),
    (collections.abc.Set, "list[...]; or dict[str, bool] for a set of names"),
    (tuple, "tuple[X, ...] or list[X], lists have elements of one type and any length"),
    (RootModel, "the type inside of it"),
    (collections.abc.Iterable, "list[...]"),
)
_SUPPORTED: Final = (
    "str, float, int, bool, bytes, None, Int64, Any, Literal, unions, list, tuple[X, ...], "
    "dict[str, X], TypedDict, pydantic models, Enum and Id[...]"
)


def check_wire_name(kind: type, wire_name: str, name: str, others: Mapping[str, Field]) -> None:
    where = f"{kind.__qualname__}.{name}"
    if wire_name in others:
        raise SchemaError(
            f"{where} and {kind.__qualname__}.{others[wire_name].python_name} are both spelled "
            f"{wire_name!r} on the wire; rename one of them"
        )
    if not (wire_name.isascii() and wire_name.isprintable()) or wire_name.startswith("$"):
        raise SchemaError(
            f"{where} is spelled {wire_name!r} on the wire, where names are printable ASCII and do "
            'not start with $; rename it, or give it Field(alias="...")'
        )


def at(where: str) -> str:
    return f"{where}: " if where else ""


def spelled(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def unsupported(annotation: object, where: str, instead: str = "") -> SchemaError:
    kind = typing.get_origin(annotation) or annotation
    if not instead and isinstance(kind, type):
        if dataclasses.is_dataclass(kind):
            instead = "a pydantic model or a TypedDict"
        else:
            found = (way_out for base, way_out in _WAYS_OUT if issubclass(kind, base))
            instead = next(found, "")
    return SchemaError(
        f"{at(where)}the annotation {spelled(annotation)} has no Convex type; use "
        f"{instead or 'one of ' + _SUPPORTED}"
    )


def unresolved(kind: type, error: NameError | None) -> SchemaError:
    reason = f" ({error})" if error else ""
    return SchemaError(
        f"{kind.__qualname__}: an annotation names a class that is not known{reason}; declare it "
        'in the same module, import it, or write Id["Name"] with quotes to refer to a table'
    )
