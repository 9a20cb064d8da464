"""Convex validators, all of them under one name.

The tree is closed: `scalar_validators` has those of values without parts, `container_validators`
those of lists, records, objects and unions, and `validator_base` the contract that they share.
None of them knows models; `model_validators` adds how objects load as such.
"""

from __future__ import annotations

from reactor.data.container_validators import ArrayV, Field, ObjectV, RecordV, UnionV
from reactor.data.scalar_validators import (
    AnyV,
    BooleanV,
    BytesV,
    Float64V,
    IdV,
    Int64V,
    LiteralV,
    NullV,
    StringV,
)
from reactor.data.validator_base import (
    IdResolver,
    JsonObject,
    StoredDocument,
    Validator,
    copy_value,
    is_stored,
    mismatch,
    plain_scalar,
)

__all__ = [
    "AnyV",
    "ArrayV",
    "BooleanV",
    "BytesV",
    "Field",
    "Float64V",
    "IdResolver",
    "IdV",
    "Int64V",
    "JsonObject",
    "LiteralV",
    "NullV",
    "ObjectV",
    "RecordV",
    "StoredDocument",
    "StringV",
    "UnionV",
    "Validator",
    "copy_value",
    "is_stored",
    "mismatch",
    "plain_scalar",
]
