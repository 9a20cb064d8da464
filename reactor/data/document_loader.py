"""Stored documents as typed instances, without validation and mostly without copying.

The first load of a document makes an image of its flat fields and keeps it in the document. If
nothing was left out, that image is what every reader gets; otherwise each reader gets a shallow
copy of it, which copies its nested fields when they are looked at (see `tables`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar, cast

from pydantic import MISSING

from reactor.data.model_validators import ModelV
from reactor.data.tables import Source, Table, image, source_of
from reactor.data.validator_base import SCALARS, StoredDocument
from reactor.data.values import UNDEFINED

#: Documents of one table have few different sets of fields; remember only that many.
_SHAPES_MAX: Final = 64

AnyTable = TypeVar("AnyTable", bound=Table)


class Document(Protocol):
    """The engine's document: its value with system fields, its JSON, and a slot for its image."""

    @property
    def value(self) -> Mapping[str, object]: ...

    @property
    def encoded(self) -> bytes: ...

    typed: Table | None


class TypedLoader(Generic[AnyTable]):
    """Loads the documents of one table as instances of `model`."""

    def __init__(self, model: type[AnyTable], validator: ModelV) -> None:
        self.model = model
        self._fields = {
            field.python_name: (name, field) for name, field in validator.fields.items()
        }
        self._plan: tuple[tuple[str, str, Callable[[object], object] | None, object], ...] = tuple(
            (
                field.python_name,
                name,
                field.validator.load if field.validator.converts else None,
                _LAZY if field.make_default else _or_missing(field.default),
            )
            for name, field in validator.fields.items()
        )
        self._fields_sets: dict[tuple[str, ...], set[str]] = {}

    def load(self, document: Document) -> AnyTable:
        typed = document.typed
        source = None if typed is None else source_of(typed)
        if source is None or source.loader is not self:
            typed = document.typed = self._first_image(document)
            source = cast(Source, source_of(typed))
        row = cast(AnyTable, typed)
        if not source.lazy and self.model.__shareable__:
            return row
        return image(self.model, row.__dict__.copy(), row.__pydantic_fields_set__, source)

    def load_field(self, name: str, document: StoredDocument) -> object:
        wire_name, field = self._fields[name]
        value = document.value.get(wire_name, UNDEFINED)
        return field.absent_value() if value is UNDEFINED else field.validator.load(value)

    def _first_image(self, document: Document) -> AnyTable:
        value = document.value
        fields: dict[str, object] = {}
        lazy: list[str] = []
        for python_name, name, load, default in self._plan:
            item = value.get(name, default)
            if item is _LAZY or (type(item) not in SCALARS and name in value):
                lazy.append(python_name)
            elif load is None or item is default:
                fields[python_name] = item
            else:
                fields[python_name] = load(item)
        source = Source(document, frozenset(lazy) if lazy else _NOTHING, self)
        return image(self.model, fields, self._fields_set(value), source)

    def _fields_set(self, value: Mapping[str, object]) -> set[str]:
        """Which fields were given; shared by all images of that shape, which are frozen."""
        shape = tuple(value)
        known = self._fields_sets.get(shape)
        if known is None:
            fields = self._fields.items()
            known = {python_name for python_name, (name, _) in fields if name in value}
            if len(self._fields_sets) < _SHAPES_MAX:
                self._fields_sets[shape] = known
        return known


class _Lazy:
    """Stands for defaults that must not be shared."""


_LAZY: Final = _Lazy()
_NOTHING: Final[frozenset[str]] = frozenset()


def _or_missing(default: object) -> object:
    return MISSING if default is UNDEFINED else default
