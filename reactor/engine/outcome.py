"""What running a function gave: an encoded value or a failure, and what it read.

Values are encoded once, here, and spliced into every message that carries them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from reactor.engine.reads import ReadSet
from reactor.types import Timestamp


@dataclass(frozen=True, slots=True)
class FunctionFailure:
    """Why a function failed, as its caller may see it.

    `message` is the whole text of protocol section 8.1, redacted already if so configured. `data`
    is the encoded `errorData` of an application error, None for any other failure.
    """

    message: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one call. Exactly one of `value` and `error` is set.

    `ts` is the snapshot of a query, the commit of a mutation; actions have 0. `digest` is equal for
    outcomes that a client cannot tell apart.
    """

    ts: Timestamp
    value: bytes | None = None
    error: FunctionFailure | None = None
    log_lines: tuple[str, ...] = ()
    journal: str | None = None
    digest: bytes = field(default=b"", compare=False)

    @classmethod
    def of(
        cls,
        ts: Timestamp,
        *,
        value: bytes | None = None,
        error: FunctionFailure | None = None,
        log_lines: tuple[str, ...] = (),
        journal: str | None = None,
    ) -> Outcome:
        assert (value is None) != (error is None)
        digest = blake2b(digest_size=16)
        for part in (
            value,
            None if error is None else _stable_text(error).encode(errors="replace"),
            None if error is None else error.data,
            "\n".join(log_lines).encode(errors="replace"),
        ):
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        return cls(ts, value, error, log_lines, journal, digest.digest())


def _stable_text(error: FunctionFailure) -> str:
    """The message without its first line, whose request id differs from run to run."""
    return error.message.partition("\n")[2]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An outcome of a query with what it depends on.

    `volatile`: the function looked at the clock or drew random numbers, so a later caller wants a
    fresh run. `seconds` is how long it took.
    """

    outcome: Outcome
    reads: ReadSet
    identity_observed: bool
    volatile: bool
    seconds: float
