"""Validators of objects that Python code sees as pydantic models, and of whole documents.

Absent, null and default are three things. A field that is left out and defaults to None (or
MISSING) is absent on the wire and reads as that; a given None is null; any other default is written
out when a model is dumped, and read where an older value lacks the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import MISSING, BaseModel

from reactor.data.container_validators import ObjectV
from reactor.data.tables import (
    SYSTEM_FIELDS,
    Table,
    construct,
    copied_source,
    image,
    system_fields,
    unchanged_document,
)
from reactor.data.validator_base import IdResolver, copy_value
from reactor.data.values import UNDEFINED


@dataclass(frozen=True)
class ModelV(ObjectV):
    """An object that loads as an instance of `model`.

    `constrained`: pydantic demands more of it than its types say, somewhere below.
    """

    model: type[BaseModel] = field(default=BaseModel, compare=False)
    constrained: bool = field(default=False, compare=False)

    def load(self, value: object, *, construct: bool = True) -> object:
        if not construct or type(value) is not dict:
            return super().load(value, construct=construct)
        return _construct(self.model, *self.load_fields(value))

    def load_fields(self, value: Mapping[str, object]) -> tuple[dict[str, object], set[str]]:
        """The fields of an instance by Python name, and which of them `value` has."""
        loaded: dict[str, object] = {}
        given: set[str] = set()
        for name, declared in self.fields.items():
            item = value.get(name, UNDEFINED)
            if item is not UNDEFINED:
                loaded[declared.python_name] = declared.validator.load(item)
                given.add(declared.python_name)
            else:
                absent = declared.absent_value()
                loaded[declared.python_name] = MISSING if absent is UNDEFINED else absent
        return loaded, given

    def dump(self, value: object) -> object:
        if isinstance(value, self.model):
            return self.dump_instance(value)
        if isinstance(value, BaseModel):  # of another class: `check` tells what does not fit
            return self.dump(dict(value))
        return super().dump(value)

    def dump_given(self, values: Mapping[str, object]) -> dict[str, object]:
        """`dump_fields` without defaults."""
        return super().dump_fields(values)

    def dump_fields(self, values: Mapping[str, object]) -> dict[str, object]:
        dumped = super().dump_fields(values)
        for name, declared in self.fields.items():
            if name not in values and declared.python_name not in values:
                default = declared.absent_value()
                if default is not None and default is not MISSING and default is not UNDEFINED:
                    dumped[name] = declared.validator.dump(default)
        return dumped

    def dump_instance(self, row: BaseModel, *, defaults: bool = True) -> dict[str, object]:
        """The fields of `row`; without `defaults` only those that were given."""
        dumped: dict[str, object] = {}
        given = row.__pydantic_fields_set__
        for name, declared in self.fields.items():
            if declared.python_name not in given and not defaults:
                continue
            item = getattr(row, declared.python_name, MISSING)
            if item is MISSING or (item is None and declared.python_name not in given):
                continue
            dumped[name] = declared.validator.dump(item)
        if type(row) is not self.model:
            for python_name in type(row).__pydantic_fields__.keys() - self.wire_names.keys():
                dumped[python_name] = getattr(row, python_name)
        return dumped


_construct = construct  # `load` has a parameter of that name


@dataclass(frozen=True)
class TableV(ModelV):
    """A whole document, ``_id`` and ``_creationTime`` included, as an argument or a result."""

    model: type[Table] = field(default=Table, compare=False)

    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        if type(value) is not dict and type(getattr(value, "typed", None)) is self.model:
            return True  # it was stored as a document of this table
        return super().fits(value, ids)

    def load(self, value: object, *, construct: bool = True) -> object:
        if type(value) is not dict or not all(name in value for name in SYSTEM_FIELDS):
            return copy_value(value)
        system = {name: value[name] for name in SYSTEM_FIELDS}
        loaded, given = self.load_fields(value)
        for name in SYSTEM_FIELDS:
            loaded.pop(name)
        return image(self.model, loaded, given.difference(SYSTEM_FIELDS), copied_source(system))

    def dump(self, value: object) -> object:
        """The stored document itself, ready to be spliced, if `value` still equals it."""
        if not isinstance(value, Table):
            return super().dump(value)
        document = unchanged_document(value)
        if document is not None:
            return document
        system = system_fields(value)
        if type(value) is not self.model:
            return {**system, **dict(value)}
        return {**system, **self.dump_instance(value, defaults=not system)}
