"""Index ranges as the developer writes them, checked and turned into a range of keys.

A range is equality on a prefix of the index fields and then at most one field with a lower and an
upper bound, which must be the next field. Everything else is refused, with the index's fields, the
fields used and the first wrong one (texts of protocol section 6.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import MISSING

from reactor.data.ids import InternalId, decode_id
from reactor.data.intervals import KeyRange
from reactor.data.keys import encode_key, prefix_range
from reactor.data.validators import plain_scalar
from reactor.data.values import UNDEFINED, Undefined, Value, check_value, describe
from reactor.errors import InvalidId, QueryMisuse
from reactor.types import BY_ID

_HELP = "For more information see docs/queries.md."

Operator = Literal["eq", "gt", "gte", "lt", "lte"]
_BOUND_NAMES = {"eq": "equality", "gt": "lower", "gte": "lower", "lt": "upper", "lte": "upper"}
_SYSTEM_SPELLINGS = {"id": "_id", "creation_time": "_creationTime", "creationTime": "_creationTime"}


@dataclass(frozen=True, slots=True)
class IndexRange:
    """Bounds on one index. `spellings` maps Python and wire spellings of its fields to wire
    ones."""

    table: str
    index: str
    fields: tuple[str, ...]
    spellings: Mapping[str, str]
    equal: Mapping[str, Value | Undefined | InternalId] = field(default_factory=dict)
    bounds: Mapping[str, tuple[str, Value | Undefined | InternalId, bool]] = field(
        default_factory=dict
    )

    @property
    def name(self) -> str:
        return f"{self.table}.{self.index}"

    def all_fields(self) -> tuple[str, ...]:
        """The declared fields and the tie-break that every index ends with."""
        if self.index == BY_ID:
            return ("_id",)
        return (*self.fields, "_creationTime")

    def bounded(self, operator: Operator, bounds: Mapping[str, object]) -> IndexRange:
        """With further bounds. Raises QueryMisuse."""
        result = self
        for spelling, raw in bounds.items():
            result = result._with_bound(operator, self._field(spelling, raw), raw)
        return result

    def _field(self, spelling: str, raw: object) -> str:
        name = self.spellings.get(spelling) or _SYSTEM_SPELLINGS.get(spelling, spelling)
        if name not in self.all_fields():
            raise QueryMisuse(
                f'The index range included a comparison with "{spelling}", but {self.name} with '
                f"fields {_quoted(self.all_fields())} doesn't index this field. {_HELP}",
                tag="FieldNotInIndex",
            )
        return name

    def _with_bound(self, operator: Operator, name: str, raw: object) -> IndexRange:
        value = self._value(name, raw)
        side = _BOUND_NAMES[operator]
        taken = [s for s in ("lower", "upper") if f"{name}:{s}" in self.bounds]
        if name in self.equal:
            raise self._already("equality", name, operator, raw)
        if operator == "eq":
            if taken:
                raise self._already("inequality", name, operator, raw)
            return replace(self, equal={**self.equal, name: value})
        if side in taken:
            raise self._already(side, name, operator, raw)
        other = next((key.rpartition(":")[0] for key in self.bounds), name)
        if other != name:
            raise QueryMisuse(
                "Upper and lower bounds in `range` can only be applied to a single index field. "
                f'This query against index {self.name} attempted to set a range bound on both "'
                f'{other}" and "{name}". Consider using `filter` instead. {_HELP}',
                tag="BoundsOnMultipleFields",
            )
        bound = (side, value, operator in ("gte", "lte"))
        return replace(self, bounds={**self.bounds, f"{name}:{side}": bound})

    def _already(self, kind: str, name: str, operator: Operator, raw: object) -> QueryMisuse:
        sign = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[operator]
        return QueryMisuse(
            f"Already defined {kind} bound in index range. "
            f'Can\'t add "{name}" {sign} {_shown(raw)}.',
            tag="AlreadyDefinedBound",
        )

    def _value(self, name: str, raw: object) -> Value | Undefined | InternalId:
        if raw is MISSING or raw is UNDEFINED:
            return UNDEFINED
        raw = plain_scalar(raw)
        if name == "_id" and isinstance(raw, str):
            try:
                return decode_id(raw)[1]
            except InvalidId as error:
                raise QueryMisuse(
                    f"{self.name} compares document ids, and {raw!r} is none: {error}"
                ) from None
        check_value(raw, path=f".{name}")
        return raw  # type: ignore[return-value]

    def key_range(self) -> KeyRange:
        """The range of index keys. Raises QueryMisuse if the fields are not used in order."""
        ordered = self.all_fields()
        bounded = next((key.rpartition(":")[0] for key in self.bounds), None)
        used = [*self.equal, *([bounded] if bounded is not None else [])]
        expected = ordered[: len(used)]
        if set(self.equal) != set(expected[: len(self.equal)]) or (
            bounded is not None and expected[-1] != bounded
        ):
            wrong = next(
                name for position, name in enumerate(used)
                if (name != bounded and name not in ordered[: len(self.equal)])
                or (name == bounded and ordered[len(self.equal)] != name)
            )  # fmt: skip
            raise QueryMisuse(
                f"Tried to query index {self.name} but the query didn't use the index fields in "
                f"order.\nIndex fields: {_quoted(ordered)}\nQuery fields: {_quoted(used)}\n"
                f'First incorrect field: "{wrong}"\n{_HELP}',
                tag="InvalidIndexRange",
            )
        prefix = encode_key(self.equal[name] for name in ordered[: len(self.equal)])
        start, end = prefix_range(prefix)
        for side, value, inclusive in self.bounds.values():
            whole = prefix_range(prefix + encode_key((value,)))
            if side == "lower":
                start = whole.start if inclusive else whole.end
            else:
                end = whole.end if inclusive else whole.start
        return KeyRange(start, max(start, end))


def _quoted(names: tuple[str, ...] | list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _shown(raw: object) -> str:
    if raw is MISSING or raw is UNDEFINED:
        return "undefined"
    return describe(raw)
