"""What clients may call: `tasks:listTasks`, `tasks:add` and `tasks:finish`."""

from typing import Annotated

from pydantic import Field

from reactor import Id, MutationCtx, QueryCtx, mutation, query

from .schema import Task


@query
def list_tasks(
    ctx: QueryCtx, owner: str, limit: Annotated[int, Field(ge=1, le=1000)] = 100
) -> list[Task]:
    """What `owner` has to do, newest first. Subscribers see every change."""
    tasks = ctx.db.query(Task).with_index("by_owner").eq(owner=owner, done=False)
    return tasks.order("desc").take(limit)


@mutation
def add(ctx: MutationCtx, owner: str, text: Annotated[str, Field(min_length=1)]) -> Id[Task]:
    """Put something on the list of `owner`."""
    print("new task for", owner)
    return ctx.db.insert(Task, {"owner": owner, "text": text})


@mutation
def finish(ctx: MutationCtx, task: Id[Task]) -> None:
    """Take a task off the list."""
    ctx.db.patch(task, {"done": True})
