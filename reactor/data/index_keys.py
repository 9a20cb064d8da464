"""Document and index to key: the values of the index's fields, creation time, id.

Keys of one index are unique because the id ends them. `BY_ID` has nothing but the id, because an id
alone already says which document is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from reactor.data.ids import InternalId
from reactor.data.keys import encode_key
from reactor.data.values import UNDEFINED, Undefined, Value

#: The fields of the built-in index ``by_id``; those of ``by_creation_time`` are ().
BY_ID: Final = ("_id",)


def index_key(
    fields: Sequence[str],
    value: Mapping[str, Value],
    creation_time: float,
    internal_id: InternalId,
) -> bytes:
    """The key of a document with this `value` in an index over `fields` (dotted wire paths)."""
    if not fields:
        return encode_key((creation_time, internal_id))
    if fields[0] == "_id":
        return encode_key((internal_id,))
    key: list[Value | Undefined | InternalId] = [
        field_value(value, field) if "." in field else value.get(field, UNDEFINED)
        for field in fields
    ]
    key.append(creation_time)
    key.append(internal_id)
    return encode_key(key)


def field_value(value: Mapping[str, Value], path: str) -> Value | Undefined:
    """The value at a dotted path; `UNDEFINED` where there is none."""
    node: Value | Undefined = value.get(path, UNDEFINED)  # a name may itself contain a dot
    if node is not UNDEFINED:
        return node
    first, *rest = _names(path)
    node = value.get(first, UNDEFINED)
    for name in rest:
        if not isinstance(node, dict):
            return UNDEFINED
        node = node.get(name, UNDEFINED)
    return node


@lru_cache(maxsize=4096)
def _names(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))
