"""Ids and creation times of the documents that one transaction inserts.

Internal ids are 14 random bytes and a 2-byte day number (protocol section 4); the day keeps ids of
a time near each other and means nothing else. Creation times are float milliseconds, strictly
increasing within a transaction: each is the next representable double above the previous one.

A transaction that is re-run after a conflict draws from the same seed, so it makes the same ids.
"""

from __future__ import annotations

import math

from reactor.data.ids import InternalId
from reactor.runtime import Random, seeded

_DAY_MS = 86_400_000


class RowIdentities:
    """Source of ids and creation times for one transaction."""

    def __init__(self, seed: bytes, now_ms: float) -> None:
        self._seed = seed
        self._random: Random | None = None
        self._day = int(now_ms // _DAY_MS).to_bytes(8, "big")[-2:]
        self._next_creation_time = now_ms

    def next_id(self) -> InternalId:
        if self._random is None:
            self._random = seeded(self._seed)
        return InternalId(self._random.randbytes(14) + self._day)

    def next_creation_time(self) -> float:
        """Milliseconds since the Unix epoch."""
        creation_time = self._next_creation_time
        self._next_creation_time = math.nextafter(creation_time, math.inf)
        return creation_time
