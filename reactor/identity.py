"""Who is calling: nobody, a signed-in user, or an administrator.

An identity is hashable, because a query that looked at it is cached per identity.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class IdentityKind(Enum):
    ANONYMOUS = "anonymous"
    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """`attributes` is the JSON object of protocol section 7.4 in canonical form, None without a
    user."""

    kind: IdentityKind
    attributes: str | None = None

    ANONYMOUS: ClassVar[Identity]
    ADMIN: ClassVar[Identity]

    @classmethod
    def of_user(cls, attributes: dict[str, object], *, admin: bool = False) -> Identity:
        """A user with these attributes; `admin` marks an administrator acting as that user."""
        encoded = json.dumps(attributes, sort_keys=True)
        return cls(IdentityKind.ADMIN if admin else IdentityKind.USER, encoded)

    @property
    def is_admin(self) -> bool:
        return self.kind is IdentityKind.ADMIN

    def user(self) -> dict[str, object] | None:
        """What `ctx.auth.get_user_identity()` gives: a fresh dict, or None."""
        if self.attributes is None:
            return None
        attributes: dict[str, object] = json.loads(self.attributes)
        return attributes


Identity.ANONYMOUS = Identity(IdentityKind.ANONYMOUS)
Identity.ADMIN = Identity(IdentityKind.ADMIN)
