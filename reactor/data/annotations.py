"""From Python annotations to validators, and from Python names to wire names.

Every annotation either has exactly one validator or is refused with what to use instead: a type
that pydantic would convert (a datetime, a set) has no form of its own among Convex values, and
guessing one would come back as something else.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, Final, Literal, Union, cast

import typing_extensions
from pydantic import MISSING, BaseModel, JsonValue, RootModel
from pydantic.fields import FieldInfo

from reactor.data.annotation_forms import (
    QUALIFIERS,
    constrained_class,
    constrains,
    typed_dict_fields,
    without_missing,
)
from reactor.data.annotation_refusals import at, check_wire_name, unresolved, unsupported
from reactor.data.model_validators import ModelV, TableV
from reactor.data.tables import Table, TableReference
from reactor.data.validator_base import SCALARS, plain_scalar
from reactor.data.validators import (
    AnyV,
    ArrayV,
    BooleanV,
    BytesV,
    Field,
    Float64V,
    IdV,
    Int64V,
    LiteralV,
    NullV,
    ObjectV,
    RecordV,
    StringV,
    UnionV,
    Validator,
)
from reactor.data.values import UNDEFINED, Int64, Value
from reactor.data.wire_names import WireNames
from reactor.errors import SchemaError

__all__ = ["AnnotationReader", "WireNames", "field_for", "typed_dict_fields", "validator_for"]

_NO_CLASS_NAMES: Final[Mapping[str, str]] = {}
_SIMPLE: Final[Mapping[object, Validator]] = {
    str: StringV(),
    float: Float64V(),
    int: Float64V(integral=True),
    bool: BooleanV(),
    bytes: BytesV(),
    Int64: Int64V(),
    type(None): NullV(),
}
_LISTS: Final = (list, collections.abc.Sequence)
_DICTS: Final = (dict, collections.abc.Mapping)


def validator_for(
    annotation: object,
    names: WireNames,
    *,
    where: str = "",
    class_names: Mapping[str, str] = _NO_CLASS_NAMES,
) -> Validator:
    """The validator of an annotation. `where` names its class and field in errors; `class_names`
    maps names of Table classes to names of tables, for forward references in ``Id["Event"]``."""
    return AnnotationReader(names, class_names).read(annotation, where)


def field_for(
    python_name: str,
    annotation: object,
    names: WireNames,
    *,
    where: str = "",
    class_names: Mapping[str, str] = _NO_CLASS_NAMES,
    default: object = UNDEFINED,
) -> Field:
    """The field of an annotated name, such as a parameter. ``X | MISSING`` and names with a
    default are optional."""
    return AnnotationReader(names, class_names).field(python_name, annotation, where, default)


class AnnotationReader:
    """Reads annotations. `constrained` tells whether pydantic demands more than types of one."""

    def __init__(self, names: WireNames, class_names: Mapping[str, str] = _NO_CLASS_NAMES) -> None:
        self.names = names
        self.class_names = class_names
        self.constrained = False
        self._open: list[type] = []  # the objects being read, to notice recursion
        self._any = AnyV(self._dump_foreign)
        self._models: dict[type[BaseModel], ModelV] = {}  # those met inside of values of type Any

    def field(
        self,
        python_name: str,
        annotation: object,
        where: str,
        default: object = UNDEFINED,
        make_default: Callable[[], object] | None = None,
    ) -> Field:
        annotation, optional = without_missing(annotation)
        if optional and default is UNDEFINED:
            default = MISSING
        optional = optional or default is not UNDEFINED or make_default is not None
        return Field(python_name, self.read(annotation, where), optional, default, make_default)

    def read(self, annotation: object, where: str) -> Validator:
        simple = _SIMPLE.get(annotation) if isinstance(annotation, type) else None
        if simple is not None:
            return simple
        if annotation is None:
            return NullV()
        if annotation in (Any, object) or annotation is JsonValue or annotation == Value:
            return self._any
        if isinstance(annotation, typing.TypeVar):  # of a generic model that was not parametrised
            return self._any
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            return self._annotated(annotation, where)
        if origin in (Union, types.UnionType):
            return self._union(typing.get_args(annotation), where, annotation)
        if origin is Literal:
            return self._literals(annotation, where)
        if origin is not None and origin in QUALIFIERS:
            return self.read(typing.get_args(annotation)[0], where)
        if isinstance(annotation, typing.NewType):
            return self.read(annotation.__supertype__, where)
        if hasattr(annotation, "__value__"):  # type X = ...
            return self.read(annotation.__value__, where)
        if isinstance(annotation, type) and typing_extensions.is_typeddict(annotation):
            return self._typed_dict(annotation, where)
        kind = annotation if origin is None else origin
        if isinstance(kind, type):
            return self._class(kind, typing.get_args(annotation), where, annotation)
        raise unsupported(annotation, where)

    def _class(
        self, kind: type, arguments: tuple[object, ...], where: str, annotation: object
    ) -> Validator:
        if issubclass(kind, Enum):
            members = [self._literal(plain_scalar(m), where, annotation, m) for m in kind]
            return members[0] if len(members) == 1 else UnionV(tuple(members))
        if issubclass(kind, RootModel):
            raise unsupported(annotation, where)
        if issubclass(kind, BaseModel):
            return self.model(kind, where)
        if kind in _LISTS:
            return ArrayV(self._argument(arguments, 0, where))
        if kind is tuple and (not arguments or arguments[1:] == (...,)):
            return ArrayV(self._argument(arguments, 0, where), as_tuple=True)
        if kind in _DICTS:
            keys = self.read(arguments[0], where) if arguments else StringV()
            if not isinstance(keys, (StringV, IdV)):
                raise unsupported(annotation, where, "dict[str, ...], keys are text")
            return RecordV(keys, self._argument(arguments, 1, where))
        raise unsupported(annotation, where)

    def _argument(self, arguments: tuple[object, ...], position: int, where: str) -> Validator:
        return self.read(arguments[position], where) if arguments else self._any

    def _annotated(self, annotation: object, where: str) -> Validator:
        inner, *metadata = typing.get_args(annotation)
        for item in metadata:
            if isinstance(item, TableReference):
                return self._id(item, where)
        self.constrained = self.constrained or any(constrains(item) for item in metadata)
        return self.read(inner, where)

    def _id(self, reference: TableReference, where: str) -> IdV:
        table = reference.table_name(self.class_names)
        if table is None:
            raise SchemaError(
                f"{at(where)}{reference!r} refers to no table of this app; the class must be a "
                f'Table with a name, as in class Event(Table, name="events"). '
                f"Known tables: {', '.join(sorted(self.class_names)) or 'none'}"
            )
        return IdV(table)

    def _union(self, arguments: Sequence[object], where: str, annotation: object) -> Validator:
        if any(argument is MISSING for argument in arguments):
            raise unsupported(
                annotation, where, "MISSING for whole fields only; None inside of others"
            )
        members: list[Validator] = []
        for argument in arguments:
            member = self.read(argument, where)
            # typing flattens unions, except those behind Annotated and aliases
            parts = member.members if isinstance(member, UnionV) else [member]
            members += [part for part in parts if part not in members]
        if any(isinstance(member, AnyV) for member in members):
            return self._any
        if Float64V() in members:  # int | float
            members = [member for member in members if member != Float64V(integral=True)]
        return members[0] if len(members) == 1 else UnionV(tuple(members))

    def _literals(self, annotation: object, where: str) -> Validator:
        members = [
            NullV()
            if value is None
            else self._literal(plain_scalar(value), where, annotation, value)
            for value in typing.get_args(annotation)
        ]
        return members[0] if len(members) == 1 else UnionV(tuple(members))

    def _literal(self, value: object, where: str, annotation: object, python: object) -> LiteralV:
        if type(value) not in (str, int, float, bool, Int64):
            raise unsupported(annotation, where, "literals and enum values of str, int or bool")
        wire = cast("str | int | float | bool | Int64", value)
        return LiteralV(wire, python) if isinstance(python, Enum) else LiteralV(wire)

    def _typed_dict(self, kind: type, where: str) -> ObjectV:
        with self._reading(kind, where):
            fields: dict[str, Field] = {}
            for name, annotation, required in typed_dict_fields(kind):
                declared = self.field(name, annotation, f"{kind.__qualname__}.{name}")
                wire_name = self.names.wire(name)
                check_wire_name(kind, wire_name, name, fields)
                # a dict has no defaults: what is absent stays absent
                optional = declared.optional or not required
                fields[wire_name] = Field(name, declared.validator, optional)
            return ObjectV(fields)

    def model(self, kind: type[BaseModel], where: str = "") -> ModelV:
        """The validator of a model; of a `Table`, that of its whole documents."""
        if not issubclass(kind, Table):
            return ModelV(*self._model_parts(kind, where))
        if kind.__table_name__ is None:
            raise SchemaError(
                f"{at(where)}{kind.__qualname__} has no table name; declare it as "
                f'class {kind.__name__}(Table, name="...")'
            )
        fields, _, constrained = self._model_parts(kind, where)
        system = {
            "_id": Field("_id", IdV(kind.__table_name__)),
            "_creationTime": Field("_creationTime", Float64V()),
        }
        return TableV({**system, **fields}, kind, constrained)

    def table(self, kind: type[Table]) -> ModelV:
        """The validator of what is written to a table: its fields without the system's."""
        return ModelV(*self._model_parts(kind, ""))

    def _model_parts(
        self, kind: type[BaseModel], where: str
    ) -> tuple[dict[str, Field], type[BaseModel], bool]:
        with self._reading(kind, where):
            if not kind.__pydantic_complete__:
                kind.model_rebuild(raise_errors=False)
            if not kind.__pydantic_complete__:
                raise unresolved(kind, None)
            if kind.model_config.get("extra") == "allow":
                raise SchemaError(
                    f"{kind.__qualname__} allows extra fields, which a schema cannot describe; "
                    "drop extra='allow' and use a field of type Any or dict[str, Any] for them"
                )
            outer, self.constrained = self.constrained, constrained_class(kind)
            fields: dict[str, Field] = {}
            for name, info in kind.__pydantic_fields__.items():
                wire_name = info.serialization_alias or self.names.wire(name)
                check_wire_name(kind, wire_name, name, fields)
                fields[wire_name] = self._model_field(name, info, f"{kind.__qualname__}.{name}")
            constrained = self.constrained
            self.constrained = outer or constrained
            return fields, kind, constrained

    def _model_field(self, name: str, info: FieldInfo, where: str) -> Field:
        annotation: object = info.annotation
        if info.metadata:
            annotation = Annotated[(annotation, *info.metadata)]  # pydantic had taken it apart
        if info.is_required():
            return self.field(name, annotation, where)
        if info.default_factory is None and _is_constant(info.default):
            return self.field(name, annotation, where, info.default)
        make_default = partial(info.get_default, call_default_factory=True, validated_data={})
        return self.field(name, annotation, where, make_default=make_default)

    def _reading(self, kind: type, where: str) -> _Reading:
        if kind in self._open:
            raise SchemaError(
                f"{at(where)}{kind.__qualname__} contains itself; a schema describes finite "
                "depth. Use Any for the inner one, or tables that refer to each other by Id"
            )
        return _Reading(self._open, kind)

    def _dump_foreign(self, value: object) -> object:
        """A model somewhere inside a value of type Any."""
        if not isinstance(value, BaseModel):
            return plain_scalar(value)
        kind = type(value)
        if kind not in self._models:
            self._models[kind] = AnnotationReader(self.names, self.class_names).model(kind)
        return self._models[kind].dump(value)


class _Reading:
    def __init__(self, stack: list[type], kind: type) -> None:
        self.stack = stack
        self.kind = kind

    def __enter__(self) -> None:
        self.stack.append(self.kind)

    def __exit__(self, *_: object) -> None:
        self.stack.pop()


def _is_constant(default: object) -> bool:
    return type(default) in SCALARS or default is MISSING or isinstance(default, Enum)
