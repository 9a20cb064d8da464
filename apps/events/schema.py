"""What a coding agent does, one row for each thing that its hooks report."""

from typing import Annotated, Any, Literal

from pydantic import Field

from reactor import Index, Table

#: Milliseconds. An infinite time would stay the newest for ever.
Time = Annotated[float, Field(allow_inf_nan=False)]

EventType = Literal[
    "pre_tool_use",
    "post_tool_use",
    "session_start",
    "session_end",
    "user_prompt_submit",
    "stop",
    "notification",
]


class Event(Table, name="events"):
    """One event of one agent session."""

    event_id: str
    session_id: str
    project_name: str
    type: EventType
    timestamp: Time
    """Milliseconds since the Unix epoch, by the clock of the machine where it happened."""
    tool: str | None = None
    tool_input: Any = None
    tool_output: Any = None
    prompt: str | None = None
    response: str | None = None
    cwd: str | None = None
    redacted: bool | None = None
    """Set when the hook took secrets out of this event before it sent it."""

    by_project = Index("project_name", "timestamp")
    by_session = Index("session_id", "timestamp")
