"""Tables of the app that the client tests talk to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from reactor import MISSING, Id, Index, Int64, Table


class Message(Table, name="messages"):
    room: str
    body: str
    number: float
    by_room = Index("room", "number")


class Account(Table, name="accounts"):
    group: str
    owner: str
    balance: float
    by_group = Index("group", "owner")


class Half(Table, name="halves"):
    """A record of the crash test is two of these, written by one mutation."""

    client: str
    sequence: int
    side: Literal["left", "right"]
    by_client = Index("client", "sequence", "side")


class Kept(Table, name="kept"):
    name: str
    value: Any
    by_name = Index("name")


class Profile(Table, name="profiles"):
    name: str
    nickname: str | None = None
    color: str = "blue"
    shoe_size: float | MISSING = MISSING


class Place(BaseModel):
    latitude: float
    longitude: float
    floor_number: int | None = None


class Parcel(Table, name="parcels"):
    """A field of every type."""

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
    sender: Id[Account] | None = None
    by_kind = Index("kind", "weight_grams")
    by_latitude = Index("destination.latitude")
