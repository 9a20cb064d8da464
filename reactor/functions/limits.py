"""What one function call may use up: settings of an app, and of a single function.

Each bound exists so that one runaway call cannot take the process with it; the defaults are
generous and follow the protocol where it names a number. Only fields that were set explicitly
override, so `Limits(run_seconds=30)` on a function keeps everything else of its app.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """Upper bounds of one function call. Sizes are in bytes, as the protocol counts them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=False, use_attribute_docstrings=True
    )

    run_seconds: _Seconds = 5.0
    """How long a query or mutation may run before it is stopped at its next database call."""
    action_seconds: _Seconds = 600.0
    """How long an action or HTTP action may take before it is cancelled."""
    documents_read: _Count = 32_000
    """Documents that one call may read."""
    bytes_read: _Count = 16 << 20
    """Size of the documents that one call may read."""
    ranges_read: _Count = 4_096
    """Index ranges (each `get` is one) that one call may read."""
    documents_written: _Count = 16_000
    """Documents that one mutation may insert, change or delete."""
    bytes_written: _Count = 16 << 20
    """Size of the documents that one mutation may write."""
    arguments_bytes: _Count = 16 << 20
    """Size of a call's arguments."""
    result_bytes: _Count = 16 << 20
    """Size of a call's result."""
    nesting: Annotated[int, Field(ge=1, le=64)] = 64
    """How deep arguments and results may nest; 64 is also the most that clients can decode."""

    def merged(self, overrides: Limits | None) -> Limits:
        """These limits, with what `overrides` sets explicitly in their place."""
        if overrides is None or not overrides.model_fields_set:
            return self
        explicit = {name: getattr(overrides, name) for name in overrides.model_fields_set}
        return self.model_copy(update=explicit)
