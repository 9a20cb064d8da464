"""A handler's Python signature, read for clients: fields, constraints and result.

Clients give every argument by name, and know only names that are declared. So `*args`, undeclared
`**kwargs` and positional-only parameters are refused here, when the app is loaded, rather than when
somebody calls.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import typing_extensions

from reactor.data.annotation_forms import typed_dict_fields
from reactor.data.annotations import AnnotationReader
from reactor.data.validators import Field, Validator
from reactor.data.wire_names import WireNames
from reactor.errors import LoadError, SchemaError

Handler: TypeAlias = Callable[..., object]

_EMPTY: Final = inspect.Parameter.empty


class Parameters:
    """What the annotations of a handler say; without a handler, that it takes nothing."""

    def __init__(
        self, handler: Handler | None, names: WireNames, class_names: Mapping[str, str]
    ) -> None:
        self.fields: dict[str, Field] = {}
        #: annotations, by Python name, of which pydantic checks more than the type
        self.constrained: dict[str, object] = {}
        #: parameters `X | MISSING` without a Python default
        self.absent_as_missing: list[str] = []
        self.returns: Validator | None = None
        self._handler = handler
        self._names = names
        self._class_names = class_names
        if handler is None:
            return
        _, *parameters = _checked(handler)
        for parameter in parameters:
            self._read(handler, parameter)
        annotation = inspect.signature(handler).return_annotation
        if annotation is not inspect.Signature.empty:
            self._read_return(_evaluated(handler, "return", annotation))

    def _read(self, handler: Handler, parameter: inspect.Parameter) -> None:
        annotation: object = Any
        if parameter.annotation is not _EMPTY:
            annotation = _evaluated(handler, parameter.name, parameter.annotation)
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            self._add(parameter.name, annotation, has_default=parameter.default is not _EMPTY)
            return
        unpacked = typing.get_args(annotation)
        is_unpack = typing.get_origin(annotation) in (typing.Unpack, typing_extensions.Unpack)
        if not is_unpack or not typing_extensions.is_typeddict(unpacked[0]):
            raise LoadError(
                f"`{_name(handler)}` takes `**{parameter.name}`, of which clients cannot know the "
                f"names. Declare them with a TypedDict: `**{parameter.name}: Unpack[...]`."
            )
        for name, hint, required in typed_dict_fields(unpacked[0]):
            self._add(name, hint, has_default=not required)

    def _add(self, name: str, annotation: object, *, has_default: bool) -> None:
        reader = AnnotationReader(self._names, self._class_names)
        field = reader.field(name, annotation, self._where(name))
        if field.optional and not has_default:
            self.absent_as_missing.append(name)
        if reader.constrained:
            self.constrained[name] = annotation
        wire_name = self._names.wire(name)
        taken = next((one for one in self.fields.values() if _same(one.python_name, name)), None)
        if taken is not None:
            raise LoadError(
                f"`{self._handler_name}` takes `{taken.python_name}` and `{name}`, which are the "
                "same argument to clients, because both spellings are accepted. Rename one."
            )
        self.fields[wire_name] = Field(name, field.validator, field.optional or has_default)

    def _read_return(self, annotation: object) -> None:
        if annotation in (NoReturn, typing_extensions.Never):
            return
        reader = AnnotationReader(self._names, self._class_names)
        self.returns = reader.read(annotation, self._where("return"))

    def _where(self, part: str) -> str:
        return f"{self._handler_name}({part})"

    @property
    def _handler_name(self) -> str:
        return "" if self._handler is None else _name(self._handler)


def check_http_action(handler: Handler) -> None:
    """An HTTP action has exactly two parameters, both given by position."""
    parameters = list(inspect.signature(handler).parameters.values())
    required = [one for one in parameters if one.default is _EMPTY]
    if len(parameters) < 2 or len(required) > 2 or not all(map(_is_positional, parameters[:2])):
        raise LoadError(
            f"`{_name(handler)}` takes {_shown(parameters)}, but an HTTP action takes exactly the "
            f"context and the request: `async def {_name(handler)}(ctx, request)`."
        )


def context_annotation(handler: Handler) -> object:
    """What the first parameter is annotated with; None without an annotation, or with one that
    only type checkers can evaluate.
    """
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters or parameters[0].annotation is _EMPTY:
        return None
    try:
        return _evaluated(handler, parameters[0].name, parameters[0].annotation)
    except SchemaError:
        return None


def _checked(handler: Handler) -> list[inspect.Parameter]:
    """The parameters, the context first; refuses what has no name that a client could give."""
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters or not _is_positional(parameters[0]):
        raise LoadError(
            f"`{_name(handler)}` has no parameter for the context. Add it as the first one: "
            f"`def {_name(handler)}(ctx, ...)`."
        )
    for parameter in parameters[1:]:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            raise LoadError(
                f"`{_name(handler)}` takes `*{parameter.name}`, but clients give every argument by "
                f"name. Declare a list: `{parameter.name}: list[...]`."
            )
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise LoadError(
                f"`{_name(handler)}`: `{parameter.name}` is positional-only, but clients give "
                "every argument by name. Move the `/` before it, or remove it."
            )
    return parameters


def _evaluated(handler: Handler, name: str, annotation: object) -> object:
    """An annotation with its forward references resolved. One at a time, because that of the
    context may name something that only type checkers import.
    """

    def holder() -> None: ...

    holder.__annotations__ = {name: annotation}
    namespace = getattr(inspect.unwrap(handler), "__globals__", {})
    try:
        return typing_extensions.get_type_hints(holder, namespace, include_extras=True)[name]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise SchemaError(
            f"{_name(handler)}({name}): the annotation {annotation!r} cannot be evaluated: "
            f"{error}. Import or define what it names at the top level of the module, outside of "
            "`if TYPE_CHECKING`."
        ) from None


def _same(first: str, second: str) -> bool:
    return WireNames.CAMEL_CASE.wire(first) == WireNames.CAMEL_CASE.wire(second)


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )


def _name(handler: Handler) -> str:
    return getattr(handler, "__name__", repr(handler))


def _shown(parameters: list[inspect.Parameter]) -> str:
    return f"({', '.join(str(one.replace(annotation=_EMPTY)) for one in parameters)})"
