"""Storing events (internal: only this app's HTTP route does it) and reading them."""

from typing import Annotated, Any, NotRequired, TypedDict, Unpack
from uuid import UUID

from pydantic import Field

from reactor import Id, MutationCtx, QueryCtx, internal_mutation, query

from .schema import Event, EventType, Time


class EventInput(TypedDict):
    """What a hook sends: an event, with or without an id of its own."""

    event_id: NotRequired[str]
    session_id: str
    project_name: str
    type: EventType
    timestamp: Time
    tool: NotRequired[str | None]
    tool_input: NotRequired[Any]
    tool_output: NotRequired[Any]
    prompt: NotRequired[str | None]
    response: NotRequired[str | None]
    cwd: NotRequired[str | None]
    redacted: NotRequired[bool | None]


@internal_mutation
def store(ctx: MutationCtx, **event: Unpack[EventInput]) -> Id[Event]:
    """Store one event and return its document id."""
    event.setdefault("event_id", str(UUID(int=ctx.random.getrandbits(128), version=4)))
    return ctx.db.insert(Event, event)


@query
def list_events(
    ctx: QueryCtx,
    project_name: str | None = None,
    session_id: str | None = None,
    limit: Annotated[int, Field(ge=1, le=1000)] = 100,
) -> list[Event]:
    """The newest events first, of one project, of one session, of both, or of all."""
    rows = ctx.db.query(Event)
    if session_id is not None:
        rows = rows.with_index("by_session").eq(session_id=session_id)
        if project_name is not None:
            # The narrower of the two indexes: a session hardly ever leaves its project. The app's
            # limits (app.py) let this walk past half a million events of other projects.
            rows = rows.filter(lambda event: event.project_name == project_name)
    elif project_name is not None:
        rows = rows.with_index("by_project").eq(project_name=project_name)
    return rows.order("desc").take(limit)
