"""The contract of Convex validators: what a value may be, and how Python code sees it.

A tree of validators describes arguments, results and documents. It works on *wire values* (wire
field names, plain dicts). Four verbs:
- `fits` answers yes or no and is quick; `check` raises `ValidatorMismatch` with the text of
  protocol 8.2, and looks for the culprit only after `fits` said no;
- `load` turns a wire value into what Python code sees (Python field names, models, ints where an
  int was declared) and never validates: what does not fit is passed through. With
  ``construct=False`` models stay dicts, which is what pydantic validates;
- `dump` is its inverse, and never validates either: its result is what `check` is for.
`load` and `dump` never return a container of their argument, so nothing is shared by them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol, TypeGuard, cast

from reactor.data.values import Int64, describe
from reactor.errors import ValidatorMismatch

SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes, Int64})
JsonObject = dict[str, object]


class IdResolver(Protocol):
    """Which table a table number belongs to."""

    def table_name(self, table_number: int) -> str | None: ...


class StoredDocument(Protocol):
    """A document of the engine. It stands for its value wherever wire values go."""

    @property
    def value(self) -> Mapping[str, object]: ...

    @property
    def encoded(self) -> bytes: ...


def is_stored(value: object) -> TypeGuard[StoredDocument]:
    return hasattr(value, "encoded")


@dataclass(frozen=True)
class Validator(ABC):
    """Base of all validators."""

    @property
    def kind(self) -> str:
        """How SQL columns and documentation name it (`ColumnDescription.kind`)."""
        return "json"

    @property
    def converts(self) -> bool:
        """Whether `load` may change a value that is neither a list nor a dict."""
        return False

    def check(
        self,
        value: object,
        path: str = "",
        ids: IdResolver | None = None,
        *,
        lenient_names: bool = False,
    ) -> None:
        """Raises `ValidatorMismatch` unless `value` fits. `lenient_names`: see `wire_named`."""
        if lenient_names:
            value = self.wire_named(value)
        if not self.fits(value, ids):
            self.explain(value, path, ids)

    @abstractmethod
    def fits(self, value: object, ids: IdResolver | None = None) -> bool:
        """Whether `value` is one of the described values."""

    def explain(self, value: object, path: str, ids: IdResolver | None) -> NoReturn:
        """Raises the mismatch of a value that does not fit."""
        raise mismatch("Value does not match validator.", path, "Value", value, self)

    @abstractmethod
    def describe(self) -> str:
        """The validator as error texts write it, such as `v.string()`."""

    @abstractmethod
    def to_json(self) -> JsonObject:
        """The form of protocol section 8.3."""

    def load(self, value: object, *, construct: bool = True) -> object:
        return value if type(value) in SCALARS else copy_value(value)

    def dump(self, value: object) -> object:
        return value if type(value) in SCALARS else copy_value(plain_scalar(value))

    @property
    def renames(self) -> bool:
        """Whether some field below is spelled differently in Python and on the wire."""
        return False

    def wire_named(self, value: object) -> object:
        """`value` with Python spellings of field names replaced by the wire's."""
        return value

    def step(self, part: object) -> tuple[Validator, str] | None:
        """The validator of a part of a value (field by Python name, index), and its path."""
        return None

    def locate(self, location: Iterable[object]) -> tuple[Validator, str]:
        """The validator and the path, in wire names, of a place given in Python names.

        Parts that are no part of a value are left out: in the location of an error pydantic also
        names the union member that it tried.
        """
        node: Validator = self
        path = ""
        for part in location:
            found = node.step(part)
            if found is not None:
                node, piece = found
                path += piece
        return node, path

    def refuse(self, location: Iterable[object], value: object, reason: str) -> ValidatorMismatch:
        """The mismatch of a value, found at `location`, that fits but is refused for `reason`."""
        node, path = self.locate(location)
        return mismatch("Value does not match validator.", path, "Value", value, node, reason)


def mismatch(
    head: str, path: str, label: str, value: object, validator: Validator, reason: str = ""
) -> ValidatorMismatch:
    """The four-line form of protocol 8.2, with an optional fifth line that gives a reason."""
    text = (
        f"{head}\n{context(path)}\n{label}: {describe(shown(value))}\n"
        f"Validator: {validator.describe()}"
    )
    return ValidatorMismatch(f"{text}\n{reason}" if reason else text)


def context(path: str) -> str:
    return f"Path: {path}" if path else ""


def shown(value: object) -> object:
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return dict(value.value) if is_stored(value) else value


def plain_scalar(value: object) -> object:
    """Enum members and ids as what they stand for; anything else as it is."""
    if isinstance(value, Enum):
        return plain_scalar(value.value)
    return str.__str__(value) if isinstance(value, str) else value


def copy_value(value: object) -> object:
    """A deep copy of a wire value."""
    kind = type(value)
    if kind is dict:
        return {
            name: item if type(item) in SCALARS else copy_value(item)
            for name, item in cast("dict[str, object]", value).items()
        }
    if kind is list:
        return [
            item if type(item) in SCALARS else copy_value(item)
            for item in cast("list[object]", value)
        ]
    return value
