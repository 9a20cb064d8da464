"""The tables of an app, under its wire names. Everything that is declared wrongly fails here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import MISSING, TypeAdapter, ValidationError

from reactor.data.annotation_forms import constrains
from reactor.data.annotations import AnnotationReader
from reactor.data.index_keys import BY_ID
from reactor.data.model_validators import TableV
from reactor.data.table_schema import IndexSchema, TableSchema
from reactor.data.tables import Index, Table
from reactor.data.validators import AnyV, Field, ObjectV, RecordV, UnionV, Validator
from reactor.data.wire_names import WireNames
from reactor.errors import SchemaError, ValidatorMismatch

__all__ = ["IndexSchema", "Schema", "TableSchema"]

INDEXES_MAX: Final = 64
INDEX_FIELDS_MAX: Final = 16

_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_BUILT_IN: Final = {
    "by_creation_time": IndexSchema("by_creation_time", (), ()),
    "by_id": IndexSchema("by_id", BY_ID, BY_ID),
}
_IMPLICIT: Final = frozenset({"_id", "id", "_creationTime", "creation_time"})


@dataclass(frozen=True)
class Schema:
    """Tables by name. `class_names` maps names of their classes to them, for ``Id["Event"]``."""

    tables: Mapping[str, TableSchema]
    names: WireNames
    class_names: Mapping[str, str] = field(repr=False)

    @classmethod
    def build(cls, models: Iterable[type[Table]], names: WireNames) -> Schema:
        """Raises `SchemaError`, naming class and file, for what is declared wrongly."""
        by_name: dict[str, type[Table]] = {}
        for model in models:
            name = _table_name(model)
            other = by_name.setdefault(name, model)
            if other is not model:
                raise _problem(model, f"table {name!r} is already declared by {_place(other)}")
        class_names = {model.__name__: name for name, model in by_name.items()}
        tables = {name: _table(model, names, class_names) for name, model in by_name.items()}
        return cls(tables, names, class_names)

    def table_of(self, table: type[Table] | str) -> TableSchema:
        """The table of a class, or by name."""
        name = table if isinstance(table, str) else table.__table_name__
        found = self.tables.get(name) if name is not None else None
        if found is None or (not isinstance(table, str) and found.model is not table):
            known = ", ".join(sorted(self.tables)) or "none"
            shown = repr(table) if isinstance(table, str) else table.__qualname__
            raise SchemaError(
                f"{shown} is not a table of this app, whose tables are: {known}. Tables are "
                "classes with Table as base and a name, in any module of the app folder"
            )
        return found


def _table_name(model: type[Table]) -> str:
    name = model.__table_name__
    if name is None:
        raise _problem(model, f'it has no name; write class {model.__name__}(Table, name="...")')
    if not _IDENTIFIER.match(name):
        advice = "names that start with _ are reserved; " if name.startswith("_") else ""
        raise _problem(
            model,
            f"{name!r} cannot be the name of a table: {advice}use up to 64 letters, digits and "
            "underscores, the first one a letter",
        )
    return name


def _table(model: type[Table], names: WireNames, class_names: Mapping[str, str]) -> TableSchema:
    _refuse_private_fields(model)
    try:
        reader = AnnotationReader(names, class_names)
        validator = reader.table(model)
        document_validator = reader.model(model)
    except SchemaError as problem:
        raise _problem(model, problem.message) from problem
    for name, declared in validator.fields.items():
        if name.startswith("_"):
            raise _problem(
                model,
                f"field {declared.python_name} is spelled {name!r} on the wire, but a leading "
                "underscore is only allowed for system fields like '_id'; rename it",
            )
    for declared in validator.fields.values():
        _check_default(model, declared)
    assert isinstance(document_validator, TableV)
    indexes = {**_BUILT_IN, **_indexes(model, validator)}
    assert model.__table_name__ is not None
    return TableSchema(model.__table_name__, model, validator, document_validator, indexes)


def _refuse_private_fields(model: type[Table]) -> None:
    """pydantic makes ``_x: str`` a private attribute: no field, so never stored. One made by a
    factory can only have been declared as what it is.
    """
    for name, private in model.__private_attributes__.items():
        is_annotated = any(name in inspect.get_annotations(base) for base in model.__mro__)
        if is_annotated and private.default_factory is None:
            raise _problem(
                model,
                f"field {name} starts with an underscore, so it would not be stored; rename it, "
                f"such as to {name.lstrip('_') or 'value'}. What is not to be stored is declared "
                f"as {name}: ... = PrivateAttr(default_factory=...)",
            )


def _check_default(model: type[Table], declared: Field) -> None:
    """pydantic takes any default; one that cannot be stored would fail only when it is used."""
    info = model.__pydantic_fields__[declared.python_name]
    if info.is_required() or info.default_factory is not None or info.default is MISSING:
        return
    default = declared.validator.dump(info.default)
    try:
        declared.validator.check(default)
        if any(map(constrains, info.metadata)):
            annotation: Any = Annotated[(info.annotation, *info.metadata)]
            loaded = declared.validator.load(default, construct=False)
            TypeAdapter(annotation).validate_python(loaded, strict=True)
    except (ValidatorMismatch, ValidationError) as problem:
        name, shown = declared.python_name, repr(info.default)[:80]
        reason = ""
        if isinstance(problem, ValidationError):
            reason = f" ({problem.errors(include_url=False)[0]['msg']})"
        advice = "annotate it with `... | None`" if info.default is None else "change one of them"
        raise _problem(
            model,
            f"field {name} has the default {shown}, which does not fit its own annotation"
            f"{reason}: {declared.validator.describe()}; {advice}, or leave the default out",
        ) from None


def _indexes(model: type[Table], validator: ObjectV) -> dict[str, IndexSchema]:
    declared: dict[str, Index] = {}
    for base in reversed(model.__mro__):
        declared.update(
            (name, index) for name, index in vars(base).items() if isinstance(index, Index)
        )
    if len(declared) > INDEXES_MAX:
        raise _problem(model, f"it has {len(declared)} indexes, more than {INDEXES_MAX}")
    return {name: _index(model, validator, name, index) for name, index in declared.items()}


def _index(model: type[Table], validator: ObjectV, name: str, index: Index) -> IndexSchema:
    if name in _BUILT_IN or not _IDENTIFIER.match(name):
        raise _problem(
            model,
            f"{name!r} cannot be the name of an index: by_id, by_creation_time and names with a "
            "leading underscore are reserved, others have up to 64 letters, digits and underscores",
        )
    if len(index.fields) > INDEX_FIELDS_MAX:
        raise _problem(
            model, f"index {name} has {len(index.fields)} fields, more than {INDEX_FIELDS_MAX}"
        )
    spellings = [_resolve(model, validator, name, path) for path in index.fields]
    fields = tuple(wire for wire, _ in spellings)
    repeated = {path for path in fields if fields.count(path) > 1}
    if repeated:
        raise _problem(model, f"index {name} names {', '.join(sorted(repeated))} twice")
    return IndexSchema(name, fields, tuple(python for _, python in spellings))


def _resolve(model: type[Table], validator: ObjectV, index: str, path: str) -> tuple[str, str]:
    """A path of an index, in either spelling, as wire path and Python path."""
    if path in _IMPLICIT and path not in validator.wire_names:
        raise _problem(
            model,
            f"index {index} names {path!r}: creation time and id end every index anyway; leave it "
            "out, or use the built-in by_creation_time",
        )
    wire_path: list[str] = []
    python_path: list[str] = []
    nodes: list[Validator] = [validator]
    for part in path.split("."):
        known = {
            name: declared
            for node in nodes
            if isinstance(node, ObjectV)
            for name, declared in node.fields.items()
        }
        by_python_name = {declared.python_name: name for name, declared in known.items()}
        name = by_python_name.get(part, part)
        if name in known:
            wire_path.append(name)
            python_path.append(known[name].python_name)
            nodes = _alternatives(known[name].validator)
        elif any(isinstance(node, (AnyV, RecordV)) for node in nodes):
            wire_path.append(part)
            python_path.append(part)
            nodes = [AnyV()]
        else:
            inside = f" in {'.'.join(python_path)}" if python_path else ""
            fields = ", ".join(by_python_name) or "none, it is no object"
            raise _problem(
                model,
                f"index {index} names {path!r}, but there is no field {part!r}{inside}; the "
                f"fields there are: {fields}",
            )
    return ".".join(wire_path), ".".join(python_path)


def _alternatives(validator: Validator) -> list[Validator]:
    return list(validator.members) if isinstance(validator, UnionV) else [validator]


def _problem(model: type, message: str) -> SchemaError:
    return SchemaError(f"{_place(model)}: {message}")


def _place(model: type) -> str:
    """The class with file and line, as far as they can be known."""
    try:
        file = inspect.getsourcefile(model)
        line = inspect.getsourcelines(model)[1]
    except (OSError, TypeError):
        return f"class {model.__qualname__}"
    return f"class {model.__qualname__} ({file}, line {line})"
