"""A second app in the same folder, to show that apps do not share anything."""

from __future__ import annotations

from reactor import QueryCtx, query


@query
def greet(ctx: QueryCtx, name: str) -> str:
    return f"hello {name}"
