"""One table of an app: its spelling on the wire, what may be stored in it, and its indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NoReturn, cast

from pydantic import MISSING, ValidationError

from reactor.data.document_loader import Document, TypedLoader
from reactor.data.model_validators import ModelV, TableV
from reactor.data.tables import SYSTEM_FIELDS, Table
from reactor.data.validator_base import IdResolver, StoredDocument
from reactor.data.values import UNDEFINED, Undefined, Value, describe
from reactor.errors import SchemaMismatch, ValidatorMismatch

_EMPTY: Final[Mapping[str, object]] = {}


@dataclass(frozen=True)
class IndexSchema:
    """`fields` are dotted paths in wire names; creation time and id follow implicitly."""

    name: str
    fields: tuple[str, ...]
    python_fields: tuple[str, ...]


@dataclass(frozen=True)
class TableSchema:
    """`validator` describes the fields of the app, `document_validator` also the system's."""

    name: str
    model: type[Table]
    validator: ModelV
    document_validator: TableV
    indexes: Mapping[str, IndexSchema]

    @cached_property
    def _loader(self) -> TypedLoader[Table]:
        return TypedLoader(self.model, self.validator)

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Wire name and kind of each field: string number bigint boolean bytes id, else json."""
        fields = self.document_validator.fields
        return tuple((name, field.validator.kind) for name, field in fields.items())

    def load(self, document: Document) -> Table:
        """The typed, immutable image of a stored document."""
        return self._loader.load(document)

    def dump(
        self,
        row: Table | Mapping[str, object],
        *,
        ids: IdResolver | None = None,
        stored: Mapping[str, Value] | None = None,
    ) -> dict[str, Value]:
        """What to store of a row that is inserted, or replaces `stored`: validated, in wire names,
        with defaults, without system fields. Mappings may use either spelling of names."""
        if isinstance(row, Table):
            if not isinstance(row, self.model):
                raise SchemaMismatch(
                    f'Cannot store a {type(row).__name__} in table "{self.name}", whose rows are '
                    f"{self.model.__name__}: {row!r:.500}"
                )
            fields = self.validator.dump_instance(row)
        else:
            given = self._without_system_fields(row, stored)
            if self.validator.constrained:
                fields = self.validator.dump_given(given)  # pydantic adds the defaults
            else:
                fields = self.validator.dump_fields(given)
        return self._validated(fields, ids, defaults=True)

    def dump_patch(self, fields: Mapping[str, object]) -> dict[str, Value | Undefined]:
        """The changes of a patch in wire names, not yet validated; see `patched`."""
        changes: dict[str, object] = {
            self.validator.wire_name(name, fields): UNDEFINED
            for name, item in fields.items()
            if item is MISSING or item is UNDEFINED
        }
        return cast(
            "dict[str, Value | Undefined]", {**changes, **self.validator.dump_given(fields)}
        )

    def patched(
        self,
        stored: Mapping[str, Value],
        fields: Mapping[str, object],
        *,
        ids: IdResolver | None = None,
    ) -> dict[str, Value]:
        """The stored value changed by a patch: validated, without system fields."""
        changes = self.dump_patch(self._without_system_fields(fields, stored))
        merged: dict[str, object] = {
            name: item
            for name, item in {**stored, **changes}.items()
            if item is not UNDEFINED and name not in SYSTEM_FIELDS
        }
        return self._validated(merged, ids, defaults=False)

    def check(self, value: Mapping[str, Value], ids: IdResolver | None = None) -> None:
        """Raises `SchemaMismatch` unless `value`, with or without system fields, may be stored."""
        fields: dict[str, object] = {
            name: item for name, item in value.items() if name not in SYSTEM_FIELDS
        }
        self._validated(fields, ids, defaults=False)

    def dump_result(self, row: Table) -> StoredDocument | dict[str, object]:
        """A document as (part of) a result: the stored document, which `wire` splices, if `row`
        still equals it for certain, and otherwise its wire value with system fields."""
        return cast("StoredDocument | dict[str, object]", self.document_validator.dump(row))

    def _validated(
        self, fields: dict[str, object], ids: IdResolver | None, *, defaults: bool
    ) -> dict[str, Value]:
        if self.validator.constrained:
            fields = self._constrained(fields, ids, defaults=defaults)
        self._check_types(fields, ids)
        return cast("dict[str, Value]", fields)

    def _check_types(self, fields: dict[str, object], ids: IdResolver | None) -> None:
        if self.validator.fits(fields, ids):
            return
        for name in fields:
            if name.startswith("_"):
                raise SchemaMismatch(
                    f"Field '{name}' starts with an underscore, which is only allowed for system "
                    "fields like '_id'"
                )
        try:
            self.validator.check(fields, "", ids)
        except ValidatorMismatch as problem:
            self._refuse(problem)

    def _constrained(
        self, fields: dict[str, object], ids: IdResolver | None, *, defaults: bool
    ) -> dict[str, object]:
        """`fields` as pydantic's validators leave them."""
        try:
            row = self.model.model_validate(
                self.validator.load(fields, construct=False),
                strict=True,
                by_name=True,
                by_alias=False,
            )
        except ValidationError as error:
            self._check_types(fields, ids)  # a wrong type is told in the protocol's words
            first = error.errors(include_url=False)[0]
            self._refuse(self.validator.refuse(first["loc"], first["input"], first["msg"]))
        return self.validator.dump_instance(row, defaults=defaults)

    def _refuse(self, problem: ValidatorMismatch) -> NoReturn:
        raise SchemaMismatch(
            f'Failed to insert or update a document in table "{self.name}" because it does not '
            f"match the schema: {problem.message}"
        ) from None

    def _without_system_fields(
        self, fields: Mapping[str, object], stored: Mapping[str, Value] | None
    ) -> Mapping[str, object]:
        """System fields may be given, but only as they are."""
        given = [name for name in SYSTEM_FIELDS if name in fields]
        if not given:
            return fields
        expected = _EMPTY if stored is None else stored
        for name in given:
            if name not in expected:
                raise SchemaMismatch(
                    f"Cannot insert a document with '{name}' {describe(fields[name])} into table "
                    f'"{self.name}": the server chooses it; leave it out'
                )
        if "_id" in given and fields["_id"] != expected["_id"]:
            raise SchemaMismatch(
                f"Provided document ID {expected['_id']} doesn't match '_id' field "
                f"{describe(fields['_id'])}"
            )
        if "_creationTime" in given and fields["_creationTime"] != expected["_creationTime"]:
            raise SchemaMismatch(
                f"Provided creation time {describe(fields['_creationTime'])} doesn't match "
                f"'_creationTime' field in document {expected['_id']}"
            )
        return {name: item for name, item in fields.items() if name not in SYSTEM_FIELDS}
