"""The table of the benchmark."""

from __future__ import annotations

from reactor import Table


class Account(Table, name="accounts"):
    number: int
    balance: float
