"""How a connection ends, and with which words (protocol 1.12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reactor.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    Problem,
    Unauthenticated,
    Unavailable,
)
from reactor.sync.server_messages import encode_auth_error, encode_fatal_error

NORMAL: Final = 1000
TOO_BIG: Final = 1009
INTERNAL: Final = 1011
RESTART: Final = 1012
TRY_AGAIN: Final = 1013


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection after sending what is left. `detail` is for the server's log only."""

    code: int
    reason: str
    detail: str = ""


def farewell(
    problem: Problem | None, identity_version: int, *, verifying: bool = False
) -> tuple[str | None, Close]:
    """The last message, if there is one, and the close for what went wrong; None is a bug of ours.

    A bug of the client is fatal: official clients show the text and do not come back. Whatever may
    pass closes without a message, and they try again. `identity_version` is the last one sent.
    """
    match problem:
        case InvalidRequest() | Forbidden():
            code = TOO_BIG if problem.short_code == "MessageTooLarge" else NORMAL
            message = encode_fatal_error(f"{problem.short_code}: {problem.message}")
            return message, Close(code, problem.short_code, problem.message)
        case Unauthenticated():
            message = encode_auth_error(
                problem.message, identity_version, update_attempted=verifying
            )
            return message, Close(NORMAL, "AuthenticationFailed", problem.message)
        case Unavailable():
            return None, Close(TRY_AGAIN, problem.short_code, problem.message)
        case NotFound():
            return None, Close(NORMAL, problem.short_code, problem.message)
        case _:
            detail = "" if problem is None else problem.message
            return None, Close(INTERNAL, "InternalServerError", detail)
