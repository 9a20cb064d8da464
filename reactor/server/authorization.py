"""Who sends an HTTP request: the `Authorization` header (protocol 7.5)."""

from __future__ import annotations

import binascii

import orjson
from starlette.requests import Request

from reactor.application import ReactorApi
from reactor.errors import Unauthenticated
from reactor.identity import Identity


async def identify(api: ReactorApi, request: Request) -> Identity:
    """The identity behind the header; anonymous without one. Raises Unauthenticated."""
    header = request.headers.get("authorization")
    if header is None:
        return Identity.ANONYMOUS
    scheme, _, credentials = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return await api.authenticate("User", credentials.strip(), None)
        case "convex":
            key, acting = _split_admin_key(credentials.strip())
            return await api.authenticate("Admin", key, acting)
    raise Unauthenticated("Header must begin with `bearer `", tag="InvalidAuthHeader")


async def require_admin(api: ReactorApi, request: Request) -> Identity:
    """Raises Unauthenticated for anybody but an administrator."""
    identity = await identify(api, request)
    if not identity.is_admin:
        raise Unauthenticated(
            "This needs the admin key of this instance: send `Authorization: Convex <admin key>`. "
            "`reactor admin-key PATH` prints the key.",
            tag="BadAdminKey",
        )
    return identity


def _split_admin_key(credentials: str) -> tuple[str, dict[str, object] | None]:
    """``name|secret`` or ``name|secret:<base64 of the attributes of a user to act as>``.

    The name may carry a prefix such as `prod:`, so only a colon behind the bar counts.
    """
    name, bar, rest = credentials.partition("|")
    secret, colon, encoded = rest.partition(":")
    if not colon:
        return credentials, None
    try:
        attributes = orjson.loads(binascii.a2b_base64(encoded, strict_mode=True))
    except ValueError:
        attributes = None
    if not isinstance(attributes, dict):
        raise Unauthenticated(
            "What follows the admin key's colon must be the base64 of a JSON object: the "
            "attributes of the user to act as",
            tag="InvalidAuthHeader",
        )
    return name + bar + secret, attributes
