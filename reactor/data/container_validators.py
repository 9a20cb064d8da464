"""Validators of values with parts: lists, records, objects, unions (contract: `validator_base`).

`check` reports one mismatch of an object, the first in this order: a declared field that is missing
or does not fit, then a field that is not declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn, cast

from pydantic_core import MISSING

from reactor.data.scalar_validators import AnyV, LiteralV, NullV, literal_key
from reactor.data.validator_base import (
    SCALARS,
    IdResolver,
    JsonObject,
    Validator,
    copy_value,
    is_stored,
    mismatch,
    plain_scalar,
)
from reactor.data.values import UNDEFINED


@dataclass(frozen=True)
class ArrayV(Validator):
    """A list of `element`s; loads as a list or a tuple."""

    element: Validator
    as_tuple: bool = field(default=False, compare=False)

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is not list:
            return False
        fits = self.element.fits
        return all(fits(item, ids) for item in value)

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        if type(value) is list:
            for index, item in enumerate(value):
                self.element.check(item, f"{path}[{index}]", ids)
        super().explain(value, path, ids)

    def describe(self) -> str:
        return f"v.array({self.element.describe()})"

    def to_json(self) -> JsonObject:
        return {"type": "array", "value": self.element.to_json()}

    def load(self, value: object, *, construct: bool = True) -> object:
        if type(value) is not list:
            return super().load(value)
        load = self.element.load
        loaded = [load(item, construct=construct) for item in value]
        return tuple(loaded) if self.as_tuple else loaded

    def dump(self, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return [self.element.dump(item) for item in value]
        return super().dump(value)

    @property
    def renames(self) -> bool:
        return self.element.renames

    def wire_named(self, value: object) -> object:
        if type(value) is not list or not self.renames:
            return value
        return [self.element.wire_named(item) for item in value]

    def step(self, part: object) -> tuple[Validator, str] | None:
        return (self.element, f"[{part}]") if type(part) is int else None


@dataclass(frozen=True)
class RecordV(Validator):
    """A dict whose keys are data, so that they are never renamed."""

    keys: Validator
    values: Validator

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is not dict:
            return False
        key_fits, value_fits = self.keys.fits, self.values.fits
        return all(key_fits(name, ids) and value_fits(item, ids) for name, item in value.items())

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        if type(value) is dict:
            for name, item in value.items():
                self.keys.check(name, path, ids)
                self.values.check(item, f"{path}.{name}", ids)
        super().explain(value, path, ids)

    def describe(self) -> str:
        return f"v.record({self.keys.describe()}, {self.values.describe()})"

    def to_json(self) -> JsonObject:
        values = {"fieldType": self.values.to_json(), "optional": False}
        return {"type": "record", "keys": self.keys.to_json(), "values": values}

    def load(self, value: object, *, construct: bool = True) -> object:
        if type(value) is not dict:
            return super().load(value)
        load = self.values.load
        return {name: load(item, construct=construct) for name, item in value.items()}

    def dump(self, value: object) -> object:
        if isinstance(value, Mapping):
            return {plain_scalar(name): self.values.dump(item) for name, item in value.items()}
        return super().dump(value)

    @property
    def renames(self) -> bool:
        return self.values.renames

    def wire_named(self, value: object) -> object:
        if type(value) is not dict or not self.renames:
            return value
        return {name: self.values.wire_named(item) for name, item in value.items()}

    def step(self, part: object) -> tuple[Validator, str] | None:
        return (self.values, f".{part}") if type(part) is str else None


@dataclass(frozen=True)
class Field:
    """One field of an object. An absent one reads as `default`, or as what `make_default` makes
    (defaults that must not be shared); without either it stays absent."""

    python_name: str
    validator: Validator
    optional: bool = False
    default: object = field(default=UNDEFINED, compare=False)
    make_default: Callable[[], object] | None = field(default=None, compare=False, repr=False)

    def absent_value(self) -> object:
        """What Python code sees where there is no such field; `UNDEFINED` without a default."""
        return self.default if self.make_default is None else self.make_default()

    def describe(self) -> str:
        inner = self.validator.describe()
        return f"v.optional({inner})" if self.optional else inner


@dataclass(frozen=True)
class ObjectV(Validator):
    """A dict with exactly these fields (by wire name); loads as a dict by Python names."""

    fields: Mapping[str, Field]

    @cached_property
    def _checks(self) -> tuple[tuple[str, Callable[[object, IdResolver | None], bool], bool], ...]:
        return tuple(
            (name, field.validator.fits, field.optional) for name, field in self.fields.items()
        )

    @cached_property
    def wire_names(self) -> dict[str, str]:
        """The wire name of each Python name."""
        return {field.python_name: name for name, field in self.fields.items()}

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is not dict:
            if not is_stored(value):
                return False
            value = value.value
        fields = cast("Mapping[str, object]", value)
        known = 0
        for name, field_fits, optional in self._checks:
            item = fields.get(name, UNDEFINED)
            if item is not UNDEFINED:
                if not field_fits(item, ids):
                    return False
                known += 1
            elif not optional:
                return False
        return known == len(fields)

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        fields = dict(value.value) if is_stored(value) else value
        if type(fields) is not dict:
            super().explain(value, path, ids)
        for name, declared in self.fields.items():
            if name in fields:
                declared.validator.check(fields[name], f"{path}.{name}", ids)
            elif not declared.optional:
                head = (
                    f"Object is missing the required field `{name}`. Consider wrapping the field "
                    "validator in `v.optional(...)` if this is expected."
                )
                raise mismatch(head, path, "Object", fields, self)
        for name in fields:
            if name not in self.fields:
                head = f"Object contains extra field `{name}` that is not in the validator."
                raise mismatch(head, path, "Object", fields, self)
        super().explain(value, path, ids)

    def describe(self) -> str:
        fields = ", ".join(
            f"{name}: {self.fields[name].describe()}" for name in sorted(self.fields)
        )
        return f"v.object({{{fields}}})"

    def to_json(self) -> JsonObject:
        fields = {
            name: {"fieldType": field.validator.to_json(), "optional": field.optional}
            for name, field in self.fields.items()
        }
        return {"type": "object", "value": fields}

    def load(self, value: object, *, construct: bool = True) -> object:
        if type(value) is not dict:
            return super().load(value)
        loaded: dict[str, object] = {}
        for name, item in value.items():
            declared = self.fields.get(name)
            if declared is None:
                loaded[name] = copy_value(item)
            else:
                loaded[declared.python_name] = declared.validator.load(item, construct=construct)
        return loaded

    def dump(self, value: object) -> object:
        if not isinstance(value, Mapping):
            return super().dump(value)
        return self.dump_fields(value)

    def dump_fields(self, values: Mapping[str, object]) -> dict[str, object]:
        """Fields by Python or wire name as wire fields. Unknown ones stay, for `check` to find."""
        dumped: dict[str, object] = {}
        for name, item in values.items():
            wire_name = self.wire_name(name, values)
            declared = self.fields.get(wire_name)
            if item is not MISSING and item is not UNDEFINED:
                dumped[wire_name] = (declared.validator if declared else AnyV()).dump(item)
        return dumped

    def wire_name(self, name: str, values: Mapping[str, object]) -> str:
        """The wire name for `name` in either spelling; `name` where `values` has both."""
        wire_name = self.wire_names.get(name, name)
        return name if wire_name != name and wire_name in values else wire_name

    @cached_property
    def _renames(self) -> bool:
        return any(
            name != field.python_name or field.validator.renames
            for name, field in self.fields.items()
        )

    @property
    def renames(self) -> bool:
        return self._renames

    def wire_named(self, value: object) -> object:
        if type(value) is not dict or not self._renames:
            return value
        renamed: dict[str, object] = {}
        for name, item in value.items():
            wire_name = self.wire_name(name, value)
            declared = self.fields.get(wire_name)
            renamed[wire_name] = declared.validator.wire_named(item) if declared else item
        return renamed

    def step(self, part: object) -> tuple[Validator, str] | None:
        name = self.wire_names.get(part, part) if isinstance(part, str) else None
        declared = self.fields.get(name) if name is not None else None
        return (declared.validator, f".{name}") if declared else None


@dataclass(frozen=True)
class UnionV(Validator):
    """One of `members`. Values load and dump as the first member that they fit."""

    members: Sequence[Validator]

    @cached_property
    def _literals(self) -> dict[object, LiteralV]:
        return {
            literal_key(member.value): member
            for member in reversed(self.members)
            if isinstance(member, LiteralV)
        }

    @cached_property
    def _others(self) -> tuple[Validator, ...]:
        return tuple(member for member in self.members if not isinstance(member, LiteralV))

    def _member(self, value: object, ids: IdResolver | None = None) -> Validator | None:
        if self._literals and type(value) in SCALARS:
            literal = self._literals.get(literal_key(value))
            if literal is not None:
                return literal
        for member in self._others:
            if member.fits(value, ids):
                return member
        return None

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        return self._member(value, ids) is not None

    def describe(self) -> str:
        return f"v.union({', '.join(member.describe() for member in self.members)})"

    def to_json(self) -> JsonObject:
        return {"type": "union", "value": [member.to_json() for member in self.members]}

    @property
    def kind(self) -> str:
        kinds = {member.kind for member in self.members if not isinstance(member, NullV)}
        return kinds.pop() if len(kinds) == 1 else "json"

    @cached_property
    def _converts(self) -> bool:
        return any(member.converts for member in self.members)

    @property
    def converts(self) -> bool:
        return self._converts

    @cached_property
    def _only(self) -> Validator | None:
        """The one member that is not null, if there is just one."""
        others = [member for member in self.members if not isinstance(member, NullV)]
        return others[0] if len(others) == 1 else None

    def load(self, value: object, *, construct: bool = True) -> object:
        if type(value) in SCALARS and not self._converts:
            return value
        member = self._only or self._member(value)
        return member.load(value, construct=construct) if member else copy_value(value)

    def dump(self, value: object) -> object:
        if type(value) in SCALARS:
            return value
        if self._only is not None:
            return self._only.dump(value)
        for member in self.members:
            dumped = member.dump(value)
            if member.fits(dumped):
                return dumped
        return AnyV().dump(value)

    @cached_property
    def _renames(self) -> bool:
        return any(member.renames for member in self.members)

    @property
    def renames(self) -> bool:
        return self._renames

    def wire_named(self, value: object) -> object:
        if type(value) in SCALARS or not self._renames:
            return value
        if self._only is not None:
            return self._only.wire_named(value)
        for member in self.members:
            renamed = member.wire_named(value)
            if member.fits(renamed):
                return renamed
        return value

    def step(self, part: object) -> tuple[Validator, str] | None:
        steps = (member.step(part) for member in self.members)
        return next((found for found in steps if found is not None), None)
