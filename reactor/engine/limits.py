"""What one transaction may consume, and the meter that counts it.

The meter is asked at every read and write, so it is also where a deadline is noticed: a transaction
that runs too long stops at its next `ctx.db` call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from reactor.errors import LimitExceeded

_READ_HELP = (
    "Consider using smaller limits in your queries, paginating your queries, or using indexed "
    "queries with a selective index range expressions."
)


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """Upper bounds of one transaction. Defaults as in the protocol's section 6.1."""

    documents_read: int = 32_000
    bytes_read: int = 16 << 20
    ranges_read: int = 4_096
    documents_written: int = 16_000
    bytes_written: int = 16 << 20

    NONE: ClassVar[TransactionLimits]


TransactionLimits.NONE = TransactionLimits(*[sys.maxsize] * 5)


def _no_deadline() -> None:
    return None


class Meter:
    """Counts what a transaction did and raises `LimitExceeded` at a bound."""

    __slots__ = (
        "bytes_read",
        "bytes_written",
        "check_deadline",
        "documents_read",
        "documents_written",
        "limits",
        "ranges_read",
    )

    def __init__(
        self, limits: TransactionLimits, check_deadline: Callable[[], None] = _no_deadline
    ) -> None:
        self.limits = limits
        self.check_deadline = check_deadline
        self.documents_read = 0
        self.bytes_read = 0
        self.ranges_read = 0
        self.documents_written = 0
        self.bytes_written = 0

    def range_read(self, where: str) -> None:
        self.check_deadline()
        self.ranges_read += 1
        if self.ranges_read > self.limits.ranges_read:
            raise LimitExceeded(
                "Too many reads in a single function execution "
                f"(limit: {self.limits.ranges_read}). {_READ_HELP} The last one was on {where}."
            )

    def document_read(self, size_bytes: int, where: str) -> None:
        self.check_deadline()
        self.documents_read += 1
        self.bytes_read += size_bytes
        if self.documents_read > self.limits.documents_read:
            raise LimitExceeded(
                "Too many documents read in a single function execution "
                f"(limit: {self.limits.documents_read}). {_READ_HELP} "
                f"The scan that passed it is on {where}."
            )
        if self.bytes_read > self.limits.bytes_read:
            raise LimitExceeded(
                "Too many bytes read in a single function execution "
                f"(limit: {self.limits.bytes_read} bytes). {_READ_HELP} "
                f"The scan that passed it is on {where}."
            )

    def document_written(self, size_bytes: int, where: str) -> None:
        self.check_deadline()
        self.documents_written += 1
        self.bytes_written += size_bytes
        if self.documents_written > self.limits.documents_written:
            raise LimitExceeded(
                "Too many writes in a single function execution "
                f"(limit: {self.limits.documents_written}). The last one was to {where}; write in "
                "several mutations, for example from an action."
            )
        if self.bytes_written > self.limits.bytes_written:
            raise LimitExceeded(
                "Too many bytes written in a single function execution "
                f"(limit: {self.limits.bytes_written} bytes). The last write was to {where}; write "
                "in several mutations."
            )

    def nearly_exhausted(self) -> bool:
        """More than three quarters of a read limit is used (pagination then recommends a split)."""
        limits = self.limits
        return (
            self.documents_read * 4 > limits.documents_read * 3
            or self.bytes_read * 4 > limits.bytes_read * 3
        )
