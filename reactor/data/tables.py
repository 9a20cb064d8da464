"""What an app declares its tables with: `Table`, `Index` and `Id`; and typed documents.

    class Event(Table, name="events"):
        session_id: str
        tool: str | None = None
        by_session = Index("session_id")

A table class says nothing about spelling on the wire; `Schema.build` fixes that, so that one class
can serve several apps. An instance is either new (made by its constructor, validated by pydantic)
or the image of a stored document (made by `image`, without validation). Images

- are frozen, know their document, and have `id` and `creation_time`;
- leave out list and dict fields until they are looked at, and then hold a copy of their own. So
  flat documents are shared by all readers, reading costs nothing for what is not looked at, nothing
  a caller mutates reaches the store or another reader, and a field that is still left out is known
  to be unchanged (`unchanged_document`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    cast,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from reactor.data.validator_base import StoredDocument
from reactor.errors import SchemaError

SYSTEM_FIELDS: Final = ("_id", "_creationTime")

AnyModel = TypeVar("AnyModel", bound=BaseModel)
AnyTable = TypeVar("AnyTable", bound="Table")


class TableReference:
    """What ``Id[...]`` refers to: a table class, or the name of one that is declared later."""

    __slots__ = ("namespace", "target")

    def __init__(self, target: type[Table] | str, namespace: Mapping[str, object]) -> None:
        self.target = target
        self.namespace = namespace

    def table_name(self, class_names: Mapping[str, str]) -> str | None:
        """The name of the table; `class_names` has those of the schema, by class name."""
        target: object = self.target
        if isinstance(target, str):
            declared = self.namespace.get(target)
            if not (isinstance(declared, type) and issubclass(declared, Table)):
                return class_names.get(target)
            target = declared
        return cast("type[Table]", target).__table_name__

    def __repr__(self) -> str:
        target = self.target
        return f'Id["{target}"]' if isinstance(target, str) else f"Id[{target.__name__}]"


class Id(str, Generic[AnyTable]):
    """The id of a document of a table: ``Id[Event]``, or ``Id["Event"]`` before its declaration.

    For type checkers only: at run time ids are plain str.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __class_getitem__(cls, target: object) -> object:
            name = getattr(target, "__forward_arg__", target)  # a ForwardRef, when typing evaluates
            if isinstance(name, TypeVar):
                return str
            if not isinstance(name, str) and not hasattr(name, "__table_name__"):
                raise SchemaError(
                    f"Id[{name!r}] does not name a table; use Id[Event] with a Table class, or "
                    'Id["Event"] before the class is declared'
                )
            return Annotated[str, TableReference(name, sys._getframe(1).f_globals)]


class Index:
    """An index over fields of a table, in this order: ``by_user = Index("user_id", "timestamp")``.

    ``Index("phase.type")`` reaches into nested objects. Creation time and id follow implicitly.
    """

    __slots__ = ("fields", "name")

    def __init__(self, *fields: str) -> None:
        if not fields or not all(isinstance(field, str) for field in fields):
            raise SchemaError(
                f"Index({', '.join(map(repr, fields))}) needs the names of one or more fields, "
                'such as Index("user_id", "timestamp")'
            )
        self.fields = fields
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Index({', '.join(map(repr, self.fields))})"


class DocumentLoader(Protocol):
    """Makes the value of a field that an image left out."""

    def load_field(self, name: str, document: StoredDocument) -> object: ...


class Source(NamedTuple):
    """What an image was made of. `lazy`: the fields it left out. Without a `loader` it is a copy
    (`model_copy`, pickle) that may differ from its document, of which only the id is left."""

    document: StoredDocument
    lazy: frozenset[str]
    loader: DocumentLoader | None


class _SystemFields(NamedTuple):
    """Stands for the document of a copy."""

    value: Mapping[str, object]
    encoded: bytes = b""


class Table(BaseModel):
    """Base of the tables of an app: ``class Event(Table, name="events")``.

    Without a name it is a base for other tables, and not stored.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        ignored_types=(Index,),
        arbitrary_types_allowed=True,  # so that `annotations` can say what to use instead
        validate_by_name=True,
        validate_by_alias=True,
    )
    __slots__ = ("__source__",)

    __table_name__: ClassVar[str | None] = None
    __shareable__: ClassVar[bool] = True

    def __init_subclass__(cls, *, name: str | None = None, **config: Unpack[ConfigDict]) -> None:
        for reserved in ("id", "creation_time"):
            if reserved in inspect.get_annotations(cls):
                raise SchemaError(
                    f"{cls.__qualname__}.{reserved}: every document has `{reserved}` already; give "
                    f"the field another name, such as `{cls.__name__.lower()}_{reserved}: ... = "
                    f'Field(alias="{reserved}")`'
                )
        super().__init_subclass__(**config)
        cls.__table_name__ = name

    @classmethod
    def __pydantic_init_subclass__(cls, **config: Any) -> None:
        super().__pydantic_init_subclass__(**config)
        cls.__shareable__ = not cls.__private_attributes__ and not any(
            isinstance(attribute, cached_property)
            for base in cls.__mro__
            for attribute in vars(base).values()
        )

    @property
    def id(self) -> Id[Self]:
        return cast("Id[Self]", self.__system_field("_id"))

    @property
    def creation_time(self) -> float:
        """Milliseconds since the epoch."""
        return cast(float, self.__system_field("_creationTime"))

    def __system_field(self, name: str) -> object:
        source = source_of(self)
        if source is None:
            raise _never_stored(self)
        return source.document.value[name]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            source = source_of(self)
            if source is None:
                if name in ("id", "creation_time"):
                    raise _never_stored(self)
            elif name in source.lazy:
                value = self.__dict__[name] = source.loader.load_field(name, source.document)
                return value
            return super().__getattr__(name)

    # Whatever looks at all fields at once needs them all to be there.

    @model_serializer(mode="wrap")
    def __serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(complete(self))

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]  # as BaseModel does
        return super(Table, complete(self)).__iter__()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        source = source_of(self)
        if source is not None:
            yield "id", self.id
            yield "creation_time", self.creation_time
        yield from super(Table, complete(self)).__repr_args__()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        if self is other:
            return True
        if _identity(self) != _identity(other):
            return False
        return super(Table, complete(self)).__eq__(complete(other))

    def __hash__(self) -> int:
        identity = _identity(self)
        return hash((type(self), identity or tuple(self.__dict__.values())))

    def __copy__(self) -> Self:
        return _detach(super(Table, complete(self)).__copy__(), self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _detach(super(Table, complete(self)).__deepcopy__(memo), self)

    def __getstate__(self) -> dict[Any, Any]:
        state = super(Table, complete(self)).__getstate__()
        return {**state, "system": _identity(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__({name: state[name] for name in state.keys() - {"system"}})
        if state["system"] is not None:
            _source_slot.__set__(
                self, copied_source(dict(zip(SYSTEM_FIELDS, state["system"], strict=True)))
            )


_source_slot: Final = Table.__dict__["__source__"]
_set_attribute: Final = object.__setattr__


def source_of(row: Table) -> Source | None:
    """What `row` is the image of; None if it was never stored."""
    try:
        return cast(Source, _source_slot.__get__(row))
    except AttributeError:
        return None


def complete(row: AnyTable) -> AnyTable:
    """`row`, with the fields that it had left out, in the order of their declaration."""
    source = source_of(row)
    if source is not None and source.lazy:
        fields = {name: getattr(row, name) for name in type(row).__pydantic_fields__}
        _set_attribute(row, "__dict__", {**fields, **row.__dict__})
    return row


def construct(model: type[AnyModel], fields: dict[str, object], fields_set: set[str]) -> AnyModel:
    """An instance made without validation. Takes over `fields`, which has every field."""
    row = model.__new__(model)
    _set_attribute(row, "__dict__", fields)
    _set_attribute(row, "__pydantic_fields_set__", fields_set)
    _set_attribute(row, "__pydantic_extra__", None)
    _set_attribute(row, "__pydantic_private__", None)
    if model.__pydantic_post_init__:
        row.model_post_init(None)
    return row


def image(
    model: type[AnyTable], fields: dict[str, object], fields_set: set[str], source: Source
) -> AnyTable:
    """A typed document. Takes over `fields`, which has every field that is not lazy."""
    row = model.__new__(model)
    _source_slot.__set__(row, source)
    _set_attribute(row, "__dict__", fields)
    _set_attribute(row, "__pydantic_fields_set__", fields_set)
    _set_attribute(row, "__pydantic_extra__", None)
    _set_attribute(row, "__pydantic_private__", None)
    if model.__pydantic_post_init__:
        row.model_post_init(None)
    return row


def unchanged_document(row: Table) -> StoredDocument | None:
    """The stored document that `row` still equals for certain, if there is one."""
    source = source_of(row)
    if source is None or source.loader is None:
        return None
    if source.lazy and not source.lazy.isdisjoint(row.__dict__):
        return None
    return source.document


def system_fields(row: Table) -> dict[str, object]:
    """``_id`` and ``_creationTime``; empty for a row that was never stored."""
    return dict(zip(SYSTEM_FIELDS, _identity(row) or (), strict=False))


def copied_source(system: Mapping[str, object]) -> Source:
    return Source(_SystemFields(dict(system)), frozenset(), None)


def _identity(row: Table) -> tuple[object, ...] | None:
    source = source_of(row)
    return None if source is None else tuple(source.document.value[name] for name in SYSTEM_FIELDS)


def _detach(copy: AnyTable, original: AnyTable) -> AnyTable:
    system = system_fields(original)
    if system:
        _source_slot.__set__(copy, copied_source(system))
    return copy


def _never_stored(row: Table) -> AttributeError:
    model = type(row).__name__
    return AttributeError(
        f"This {model} has no id and no creation_time: it was made by {model}(...) and never "
        "stored. ctx.db.insert(row) returns its id, and ctx.db.get(id) the stored document"
    )
