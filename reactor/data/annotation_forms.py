"""What typing and pydantic wrap around a type: qualifiers, MISSING, TypedDict, constraints."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Final, NotRequired, Required, Union

import typing_extensions
from pydantic import MISSING, BaseModel
from pydantic.fields import FieldInfo

from reactor.data.annotation_refusals import unresolved
from reactor.data.tables import TableReference

QUALIFIERS: Final = (Required, NotRequired, typing_extensions.ReadOnly, Final)
_CONSTRAINING_SETTINGS: Final = frozenset(
    {
        "str_max_length",
        "str_min_length",
        "str_strip_whitespace",
        "str_to_lower",
        "str_to_upper",
    }
)


def typed_dict_fields(kind: type) -> list[tuple[str, object, bool]]:
    """Name, annotation and whether it is required, of each field of a TypedDict.

    `__required_keys__` alone does not do: where annotations are texts (``from __future__ import
    annotations``) it knows nothing of NotRequired and Required.
    """
    try:
        hints = typing_extensions.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise unresolved(kind, error) from None
    required_keys: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    fields = []
    for name, annotation in hints.items():
        required = name in required_keys
        qualifier: object = typing.get_origin(annotation)
        while qualifier in QUALIFIERS:
            required = qualifier is Required or (required and qualifier is not NotRequired)
            annotation = typing.get_args(annotation)[0]
            qualifier = typing.get_origin(annotation)
        fields.append((name, annotation, required))
    return fields


def without_missing(annotation: object) -> tuple[object, bool]:
    """The annotation less `MISSING`, and whether it had it."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        inner, optional = without_missing(arguments[0])
        return Annotated[(inner, *arguments[1:])], optional
    if origin in QUALIFIERS:
        return without_missing(arguments[0])
    if origin in (Union, types.UnionType) and any(part is MISSING for part in arguments):
        rest = tuple(part for part in arguments if part is not MISSING)
        return Union[rest], True  # noqa: UP007  # of a tuple
    return annotation, False


def constrains(metadata: object) -> bool:
    """Whether something inside Annotated[...] changes what pydantic accepts or makes of it."""
    if isinstance(metadata, FieldInfo):
        return bool(metadata.metadata)
    return not isinstance(metadata, (str, TableReference, typing_extensions.Doc))


def constrained_class(kind: type[BaseModel]) -> bool:
    decorators = kind.__pydantic_decorators__
    return bool(
        decorators.model_validators
        or decorators.field_validators
        or decorators.validators
        or decorators.root_validators
        or _CONSTRAINING_SETTINGS & kind.model_config.keys()
        or any(
            info.default_factory_takes_validated_data for info in kind.__pydantic_fields__.values()
        )
    )
