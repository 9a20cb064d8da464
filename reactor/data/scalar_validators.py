"""Validators of values without parts, of ids, and of anything (contract: `validator_base`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, NoReturn, cast

from reactor.data import wire
from reactor.data.ids import decode_id
from reactor.data.validator_base import (
    SCALARS,
    IdResolver,
    JsonObject,
    Validator,
    context,
    copy_value,
    mismatch,
    plain_scalar,
    shown,
)
from reactor.data.values import EXACT_INT_MAX, UNDEFINED, Int64, describe
from reactor.errors import InvalidId, ValidatorMismatch


@dataclass(frozen=True)
class NullV(Validator):
    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        return value is None

    def describe(self) -> str:
        return "v.null()"

    def to_json(self) -> JsonObject:
        return {"type": "null"}


@dataclass(frozen=True)
class Float64V(Validator):
    """A float64. `integral` (Python int) takes no fraction and loads as int; on the wire and to
    clients both are `v.float64()`."""

    integral: bool = False

    @property
    def kind(self) -> str:
        return "number"

    @property
    def converts(self) -> bool:
        return self.integral

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is float:
            return not self.integral or value.is_integer()
        return type(value) is int

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        reason = "Input should be an integer, without a fraction" if type(value) is float else ""
        raise mismatch("Value does not match validator.", path, "Value", value, self, reason)

    def describe(self) -> str:
        return "v.float64()"

    def to_json(self) -> JsonObject:
        return {"type": "number"}

    def load(self, value: object, *, construct: bool = True) -> object:
        if self.integral and type(value) is float and value.is_integer():
            return int(value) if -EXACT_INT_MAX <= value <= EXACT_INT_MAX else value
        return super().load(value)


@dataclass(frozen=True)
class _ScalarV(Validator):
    """A validator that looks at the type only."""

    python: ClassVar[type]
    name: ClassVar[str]
    json_type: ClassVar[str]

    @property
    def kind(self) -> str:
        return self.json_type

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        return type(value) is self.python

    def describe(self) -> str:
        return f"v.{self.name}()"

    def to_json(self) -> JsonObject:
        return {"type": self.json_type}


@dataclass(frozen=True)
class Int64V(_ScalarV):
    python, name, json_type = Int64, "int64", "bigint"


@dataclass(frozen=True)
class BooleanV(_ScalarV):
    python, name, json_type = bool, "boolean", "boolean"


@dataclass(frozen=True)
class StringV(_ScalarV):
    python, name, json_type = str, "string", "string"


@dataclass(frozen=True)
class BytesV(_ScalarV):
    python, name, json_type = bytes, "bytes", "bytes"


@dataclass(frozen=True)
class AnyV(Validator):
    """Any value. Field names inside are never renamed, except those of models: `foreign` dumps
    what is neither a plain value nor a list, tuple or dict."""

    foreign: Callable[[object], object] = field(default=plain_scalar, compare=False, repr=False)

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        return True

    def describe(self) -> str:
        return "v.any()"

    def to_json(self) -> JsonObject:
        return {"type": "any"}

    def load(self, value: object, *, construct: bool = True) -> object:
        return copy_value(value)

    def dump(self, value: object) -> object:
        if type(value) in SCALARS:
            return value
        if isinstance(value, (list, tuple)):
            return [self.dump(item) for item in value]
        if isinstance(value, dict):
            return {plain_scalar(name): self.dump(item) for name, item in value.items()}
        return self.foreign(value)


def literal_key(value: object) -> object:
    """Equal for equal wire values only: 1 and 1.0 are one value, 1 and true are not."""
    kind = type(value)
    if kind is str:
        return value
    return ("number", value) if kind is int or kind is float else (kind, value)


@dataclass(frozen=True)
class LiteralV(Validator):
    """Exactly `value`. `python` is what it loads as, such as a member of an enum."""

    value: str | int | float | bool | Int64
    python: object = field(default=UNDEFINED, compare=False)

    @property
    def kind(self) -> str:
        kinds = {str: "string", bool: "boolean", Int64: "bigint"}
        return kinds.get(type(self.value), "number")

    @property
    def converts(self) -> bool:
        return self.python is not UNDEFINED or type(self.value) is int

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        return type(value) in SCALARS and literal_key(value) == literal_key(self.value)

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        raise ValidatorMismatch(
            f"`{describe(shown(value))}` does not match literal validator `{self.describe()}`."
            f"{context(path)}"
        )

    def describe(self) -> str:
        return f"v.literal({describe(self.value)})"

    def to_json(self) -> JsonObject:
        return {"type": "literal", "value": wire.to_json(self.value)}

    def load(self, value: object, *, construct: bool = True) -> object:
        if not self.fits(value):
            return super().load(value)
        return self.value if self.python is UNDEFINED else self.python


@dataclass(frozen=True)
class IdV(Validator):
    """The id of a document of `table`; whether that document exists is not asked."""

    table: str

    @property
    def kind(self) -> str:
        return "id"

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is not str:
            return False
        try:
            table_number, _ = decode_id(value)
        except InvalidId:
            return False
        return ids is None or ids.table_name(table_number) == self.table

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        table: str | None = None
        if ids is not None and IdV(self.table).fits(value):
            table = ids.table_name(decode_id(cast(str, value))[0])
        if table is None:
            super().explain(value, path, ids)
        source = "a system table" if table.startswith("_") else f"table `{table}`"
        raise ValidatorMismatch(
            f"Found ID {describe(value)} from {source}, which does not match the table name in "
            f"validator `{self.describe()}`.{context(path)}"
        )

    def describe(self) -> str:
        return f'v.id("{self.table}")'

    def to_json(self) -> JsonObject:
        return {"type": "id", "tableName": self.table}
