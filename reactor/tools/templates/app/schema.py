"""The tables of this app. Saving a change here reloads the running server."""

from reactor import Index, Table


class Task(Table, name="tasks"):
    """Something to do on somebody's list."""

    owner: str
    text: str
    done: bool = False

    by_owner = Index("owner", "done")
