"""What a function takes and gives back, read from its Python signature.

Arguments are checked twice: first against the Convex validator of the annotations, whose error
texts are the protocol's; then, only where an annotation asks for more than a type
(`Annotated[int, Field(ge=1)]`), by one pydantic validator compiled for exactly those parameters.
Nothing is converted on the way except what JSON cannot tell apart: 5.0 is an int where an int is
declared. What is absent stays absent, so Python's own defaults apply.

Every argument is accepted in its Python and in its wire spelling. Bound containers are copies: a
function may change what it received.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import (
    MISSING,
    ConfigDict,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from reactor.data import wire
from reactor.data.annotations import AnnotationReader
from reactor.data.tables import Table, unchanged_document
from reactor.data.validator_base import SCALARS
from reactor.data.validators import AnyV, IdResolver, ObjectV, Validator, mismatch, plain_scalar
from reactor.data.values import Value
from reactor.data.wire_names import WireNames
from reactor.errors import ArgumentMismatch, ReturnMismatch, SchemaError, ValidatorMismatch
from reactor.functions.parameters import Handler, Parameters, check_http_action

_NO_CLASS_NAMES: Final[Mapping[str, str]] = {}


class Signature:
    """The arguments and the result of one function.

    `validator` describes the arguments as clients see them; `returns` the result, None when the
    function declares none and may return any value.
    """

    __slots__ = (
        "_absent_as_missing",
        "_any_result",
        "_constraints",
        "_loads",
        "_renames_below",
        "_spellings",
        "returns",
        "validator",
    )

    def __init__(
        self, parameters: Parameters, names: WireNames, class_names: Mapping[str, str]
    ) -> None:
        fields = parameters.fields
        self.validator = ObjectV(fields)
        self.returns = parameters.returns
        self._absent_as_missing = parameters.absent_as_missing
        self._constraints = _compiled(parameters)
        self._any_result = _any_result(names, class_names)
        self._renames_below = any(field.validator.renames for field in fields.values())
        self._spellings = {name: name for name in fields}
        for name, field in fields.items():
            camel_case = WireNames.CAMEL_CASE.wire(field.python_name)
            for spelling in (field.python_name, camel_case):
                self._spellings.setdefault(spelling, name)
        constrained = parameters.constrained
        self._loads = {
            name: (field.python_name, field.validator.load, field.python_name not in constrained)
            for name, field in fields.items()
        }

    @classmethod
    def of(
        cls,
        handler: Handler,
        names: WireNames,
        *,
        class_names: Mapping[str, str] = _NO_CLASS_NAMES,
    ) -> Signature:
        """The signature of a query, mutation or action. LoadError or SchemaError when clients could
        not call it. `class_names` maps Table classes to tables, for `Id["Event"]`.
        """
        return cls(Parameters(handler, names, class_names), names, class_names)

    @classmethod
    def of_http_action(cls, handler: Handler) -> Signature:
        """The signature of `async def f(ctx, request) -> Response`; it has no wire arguments."""
        check_http_action(handler)
        names = WireNames.AS_WRITTEN
        return cls(Parameters(None, names, _NO_CLASS_NAMES), names, _NO_CLASS_NAMES)

    def bind(self, args: dict[str, Value], ids: IdResolver | None = None) -> dict[str, object]:
        """The handler's keyword arguments. ArgumentMismatch says what does not fit, and where."""
        named = self._wire_named(args)
        try:
            self.validator.check(named, "", ids)
            bound: dict[str, object] = {}
            loads = self._loads
            for name, item in named.items():
                python_name, load, construct = loads[name]
                bound[python_name] = load(item, construct=construct)
            if self._constraints is not None:
                self._constrain(bound, named, self._constraints)
        except ValidatorMismatch as error:
            raise ArgumentMismatch(f"ArgumentValidationError: {error.message}") from None
        for name in self._absent_as_missing:
            bound.setdefault(name, MISSING)
        return bound

    def encode_result(self, result: object, ids: IdResolver | None = None) -> bytes:
        """The wire JSON of what the handler returned. Documents that were not changed since they
        were read are spliced in as they are stored. ReturnMismatch when the result is not what the
        signature declares, InvalidValue when it cannot travel at all.
        """
        returns = self.returns
        if returns is None:
            return wire.encode(self._any_result.dump(result))
        dumped = returns.dump(result)
        try:
            returns.check(dumped, "", ids)
        except ValidatorMismatch as error:
            raise ReturnMismatch(f"ReturnsValidationError: {error.message}") from None
        return wire.encode(dumped)

    def _wire_named(self, args: dict[str, Value]) -> dict[str, object]:
        """`args` in wire names. Of two spellings of one argument the second stays as it is, and is
        then found to be an extra one.
        """
        fields = self.validator.fields
        if not self._renames_below and args.keys() <= fields.keys():
            return cast("dict[str, object]", args)
        named: dict[str, object] = {}
        for given, item in args.items():
            name = self._spellings.get(given, given)
            if name != given and (name in args or name in named):
                name = given
            field = fields.get(name)
            named[name] = item if field is None else field.validator.wire_named(item)
        return named

    def _constrain(
        self,
        bound: dict[str, object],
        named: Mapping[str, object],
        constraints: TypeAdapter[dict[str, object]],
    ) -> None:
        """Let pydantic check, and perhaps convert, what has constraints."""
        try:
            bound.update(constraints.validate_python(bound, strict=True, by_name=True))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise self._broken_constraint(named, first["loc"], first["msg"]) from None

    def _broken_constraint(
        self, named: object, location: tuple[int | str, ...], reason: str
    ) -> ValidatorMismatch:
        node: Validator = self.validator
        value, path = named, ""
        for part in location:
            found = node.step(part)
            if found is None:  # pydantic names the union member that it tried
                continue
            node, piece = found
            path += piece
            try:
                value = cast(Any, value)[part if isinstance(part, int) else piece[1:]]
            except (KeyError, IndexError, TypeError):
                break
        return mismatch("Value does not match validator.", path, "Value", value, node, reason)


class _AnyResult(AnyV):
    """Any value: as the base class, less fields that are marked as absent, and quicker for what
    results mostly are, lists of documents and of plain dicts.
    """

    def dump(self, value: object) -> object:
        if type(value) is list:
            return [item if type(item) in SCALARS else self.dump(item) for item in value]
        if type(value) is dict:
            return {
                name if type(name) is str else plain_scalar(name): item
                if type(item) in SCALARS
                else self.dump(item)
                for name, item in value.items()
                if item is not MISSING
            }
        document = unchanged_document(value) if isinstance(value, Table) else None
        return super().dump(value) if document is None else document


def _any_result(names: WireNames, class_names: Mapping[str, str]) -> Validator:
    anything = AnnotationReader(names, class_names).read(Any, "")
    return _AnyResult(anything.foreign) if isinstance(anything, AnyV) else anything


def _compiled(parameters: Parameters) -> TypeAdapter[dict[str, object]] | None:
    if not parameters.constrained:
        return None
    arguments = cast(Any, TypedDict)("Arguments", parameters.constrained, total=False)
    arguments.__pydantic_config__ = ConfigDict(extra="ignore", arbitrary_types_allowed=True)
    try:
        return TypeAdapter(arguments)
    except (PydanticUserError, PydanticSchemaGenerationError) as error:
        raise SchemaError(f"{', '.join(parameters.constrained)}: {error}") from None
