"""An app's own settings, declared once in its `app.py`: ``app = App(wire_names="as_written")``.

Everything here has a default, so most apps need no `app.py` at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from reactor.data.wire_names import WireNames
from reactor.errors import LoadError
from reactor.functions.limits import Limits

_WIRE_NAMES = {"camelCase": WireNames.CAMEL_CASE, "as_written": WireNames.AS_WRITTEN}


class App:
    """Settings of one app.

    `wire_names` says how clients spell the names of fields, arguments and functions: `"camelCase"`
    (`project_name` travels as `projectName`) or `"as_written"`. `limits` bounds every call; a
    function may override it. `auth` lists the providers whose tokens are accepted.
    """

    __slots__ = ("auth", "limits", "wire_names")

    def __init__(
        self,
        *,
        wire_names: Literal["camelCase", "as_written"] = "camelCase",
        limits: Limits | None = None,
        auth: Sequence[object] = (),
    ) -> None:
        if wire_names not in _WIRE_NAMES:
            raise LoadError(
                f"App(wire_names={wire_names!r}): expected one of "
                f"{', '.join(map(repr, _WIRE_NAMES))}."
            )
        if limits is not None and not isinstance(limits, Limits):
            raise LoadError(
                f"App(limits={limits!r}): expected a Limits, for example Limits(run_seconds=10)."
            )
        self.wire_names: WireNames = _WIRE_NAMES[wire_names]
        self.limits: Limits = limits or Limits()
        self.auth: tuple[object, ...] = tuple(auth)

    def __repr__(self) -> str:
        return f"App(wire_names={self.wire_names.name}, limits={self.limits!r}, auth={self.auth!r})"
