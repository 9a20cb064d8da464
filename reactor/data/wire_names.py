"""How Python names are spelled on the wire."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache


class WireNames(Enum):
    """How an app spells its Python names on the wire."""

    CAMEL_CASE = "camelCase"
    AS_WRITTEN = "as_written"

    def wire(self, python_name: str) -> str:
        """``list_events`` -> ``listEvents``, or as it is. One trailing underscore, which Python
        needs beside its keywords, is no part of a camelCase name."""
        return _camel_case(python_name) if self is WireNames.CAMEL_CASE else python_name

    def matches(self, given: str, python_name: str) -> bool:
        """Whether `given` is one of the two spellings of `python_name`."""
        return given in (python_name, self.wire(python_name))


@lru_cache(maxsize=4096)
def _camel_case(name: str) -> str:
    body = name.lstrip("_")
    first, *others = [part for part in body.split("_") if part] or [""]
    return name[: len(name) - len(body)] + first + "".join(p[0].upper() + p[1:] for p in others)
