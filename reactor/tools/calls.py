"""`reactor run` and `reactor data`: one call, printed."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import AsyncIterator
from typing import cast

from reactor.data.values import Value
from reactor.errors import FunctionError, Problem
from reactor.functions.loader import load_app
from reactor.tools.admin_key import existing_admin_key
from reactor.tools.answers import Answer, Arguments, Connection
from reactor.tools.console import Printer
from reactor.tools.json_text import as_grid, as_json
from reactor.tools.local import LocalApp
from reactor.tools.notice import noticed_url
from reactor.tools.remote import NobodyAnswers, RemoteApp
from reactor.tools.targets import Target

_TABLES_QUERY = "_system/cli/tables"
_DOCUMENTS_QUERY = "_system/cli/tableData"
_TABLES_MAX = 10_000


@contextlib.asynccontextmanager
async def connect(target: Target, printer: Printer) -> AsyncIterator[Connection]:
    """The server that holds the store of `target`, or the store itself in this process."""
    connection: Connection = await _find_server(target) or await LocalApp.open(target, printer)
    try:
        yield connection
    finally:
        await connection.close()


async def _find_server(target: Target) -> RemoteApp | None:
    url = noticed_url(target.notice_file)
    key = existing_admin_key(target)
    if url is None or key is None:
        return None
    server = RemoteApp(url, key)
    try:
        await server.check()
    except NobodyAnswers:
        await server.close()
        return None
    return server


async def run(
    target: Target, path: str, args: Arguments, printer: Printer, *, watch: bool = False
) -> None:
    """Call a function and print its result; with `watch`, each further result of a query too."""
    async with connect(target, printer) as app:
        if not watch:
            _show(target, path, await app.call(path, args), printer)
            return
        if isinstance(app, LocalApp):
            printer.note(
                "No server runs for this store, so nothing can change it while it is watched here. "
                "Start `reactor dev` first to see the changes of others."
            )
        is_first = True
        async for answer in app.watch(path, args):
            try:
                _show(target, path, answer, printer)
            except Problem as problem:
                if is_first:
                    raise
                printer.error(problem)
            is_first = False


async def data(
    target: Target, table: str | None, printer: Printer, *, limit: int, order: str, as_lines: bool
) -> None:
    """Print the tables of an app, or the newest (oldest) documents of one."""
    async with connect(target, printer) as app:
        tables = await _tables(app)
        if table is None:
            width = max(map(len, tables), default=0)
            for name, count in tables.items():
                printer.result(f"{name:{width}}  {count}")
            if not tables:
                printer.note(f"{target.name} has no tables.")
            return
        if table not in tables:
            raise FunctionError(
                f"{target.name} has no table {table!r}. Its tables: {', '.join(tables) or 'none'}."
            )
        options: dict[str, Value] = {"cursor": None, "numItems": limit + 1}
        query: Arguments = {"table": table, "order": order, "paginationOpts": options}
        documents = _page(await app.call(_DOCUMENTS_QUERY, query))
    shown = documents[:limit]
    if as_lines:
        for document in shown:
            printer.result(as_json(document, indent=None))
    elif shown:
        printer.grid(as_grid(shown))
    else:
        printer.note(f"The table {table} is empty.")
    if len(documents) > limit:
        printer.note(f"The first {limit} documents; there are more (--limit).")


async def _tables(app: Connection) -> dict[str, int]:
    """The tables with the number of their documents."""
    options: dict[str, Value] = {"cursor": None, "numItems": _TABLES_MAX}
    rows = _page(await app.call(_TABLES_QUERY, {"paginationOpts": options}))
    return {str(row["name"]): int(cast(float, row.get("documents", 0))) for row in rows}


def _page(answer: Answer) -> list[dict[str, Value]]:
    if answer.error is not None:
        raise FunctionError(answer.error)
    page = answer.value.get("page") if isinstance(answer.value, dict) else None
    return [row for row in page if isinstance(row, dict)] if isinstance(page, list) else []


def _show(target: Target, path: str, answer: Answer, printer: Printer) -> None:
    printer.log_lines(answer.log_lines)
    if answer.error is None:
        printer.result(as_json(answer.value))
        return
    hint = _suggestion(target, path) if "Could not find" in answer.error else ""
    raise FunctionError(_without_heading(answer.error) + hint)


def _without_heading(error: str) -> str:
    """The text of a failure without its line about the request, unless that is all there is."""
    heading, _, rest = error.strip().partition("\n")
    return rest if rest and heading.startswith("[Request ID: ") else error.strip()


def _suggestion(target: Target, path: str) -> str:
    """What the caller may have meant, from the app as its files are now."""
    try:
        paths = [spec.path for spec in load_app(target.folder).registry if spec.route is None]
    except Problem:
        return ""
    near = difflib.get_close_matches(path, paths, n=3, cutoff=0.5)
    if near:
        return f"\nDid you mean {' or '.join(near)}?"
    return f"\nFunctions of {target.name}: {', '.join(sorted(paths)[:20])}" if paths else ""
