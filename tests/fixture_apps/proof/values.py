"""Values of every type, untyped and typed, and fields that are absent, null or a default."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, Unpack

from reactor import MISSING, Id, Int64, MutationCtx, QueryCtx, action, mutation, query

from .schema import Account, Kept, Parcel, Place, Profile


@mutation
def keep(ctx: MutationCtx, name: str, value: Any) -> Any:
    ctx.db.insert(Kept(name=name, value=value))
    return value


@query
def kept(ctx: QueryCtx, name: str) -> Any:
    found = ctx.db.query(Kept).with_index("by_name").eq(name=name).unique()
    return None if found is None else found.value


@query
def echo(ctx: QueryCtx, value: Any) -> Any:
    return value


@action
async def echo_from_action(ctx: Any, value: Any) -> Any:
    return value


class ParcelInput(TypedDict):
    label: str
    weight_grams: int
    serial: Int64
    ratio: float
    fragile: bool
    content: bytes
    nothing: None
    kind: Literal["letter", "box"]
    tags: list[str]
    prices: dict[str, float]
    destination: Place
    either: str | float
    sender: NotRequired[Id[Account] | None]


@mutation
def post(ctx: MutationCtx, **parcel: Unpack[ParcelInput]) -> Id[Parcel]:
    return ctx.db.insert(Parcel(**parcel))


@query
def parcel(ctx: QueryCtx, id: Id[Parcel]) -> Parcel | None:
    return ctx.db.get(id)


class ProfileInput(TypedDict, total=False):
    nickname: str | None
    color: str
    shoe_size: float


@mutation
def create_profile(ctx: MutationCtx, name: str, **rest: Unpack[ProfileInput]) -> Id[Profile]:
    return ctx.db.insert(Profile(name=name, **rest))


@mutation
def forget_nickname(ctx: MutationCtx, id: Id[Profile]) -> None:
    ctx.db.patch(id, nickname=MISSING)


@query
def profile(ctx: QueryCtx, id: Id[Profile]) -> Profile | None:
    return ctx.db.get(id)


class Seen(TypedDict):
    nickname: str | None
    color: str
    has_shoe_size: bool


@query
def profile_as_seen_in_python(ctx: QueryCtx, id: Id[Profile]) -> Seen:
    found = ctx.db.get(id)
    assert found is not None
    return {
        "nickname": found.nickname,
        "color": found.color,
        "has_shoe_size": found.shoe_size is not MISSING,
    }
