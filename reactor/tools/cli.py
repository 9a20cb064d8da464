"""The command `reactor`: options in, one call into a module of this package, errors out.

Whatever goes wrong in a foreseen way is one message on standard error: exit code 2 when the command
line is wrong, 1 when what it asked for failed. A traceback means a bug of ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from reactor.errors import InvalidRequest, Problem
from reactor.functions.loader import load_app
from reactor.tools.admin_key import admin_key_of
from reactor.tools.calls import data as print_data
from reactor.tools.calls import run as run_function
from reactor.tools.console import Printer
from reactor.tools.dev import dev as serve_and_reload
from reactor.tools.json_text import parse_arguments
from reactor.tools.scaffold import create_app
from reactor.tools.serve import ServeOptions
from reactor.tools.serve import serve as serve_apps
from reactor.tools.targets import find_target, find_targets

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop


def _examples(*commands: str) -> str:
    """The end of a help page, one command a line."""
    return "\n\n".join(["Examples:", *(f"`{command}`" for command in commands)])


cli = typer.Typer(
    name="reactor",
    help="A reactive data backend in Python. Write a table, a query and a mutation; any official "
    "Convex client connects and sees every result change.",
    epilog=_examples("reactor init hello", "reactor dev hello"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


PathArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="The folder of an app, served at the root, or a folder of apps, each under /APP.",
    ),
]
AppArgument = Annotated[Path, typer.Argument(metavar="PATH", help="The folder of an app.")]
HostOption = Annotated[str, typer.Option(help="The address to listen at.")]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="For clients; 0 takes a free port.")
]
SitePortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="For HTTP actions; 0 takes a free port.")
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="duckdb:///file (relative), duckdb:////file (absolute) or memory:; {app} stands for "
        "the app's name. Default: .reactor/data.duckdb in the app folder.",
    ),
]
RedactOption = Annotated[
    bool, typer.Option("--redact", help="Hide log lines and the cause of errors from clients.")
]
OwnPortOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="APP=PORT",
        help="Also serve this app at the root of a port of its own, for clients that drop the path "
        "of a URL (Python, Rust, Swift, Kotlin). May be repeated.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reactor {version('reactor')}")
        raise typer.Exit


@cli.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@cli.command(
    epilog=_examples(
        "reactor dev apps/events", "reactor dev apps --port 8000", "reactor dev apps/events --once"
    )
)
def dev(
    path: PathArgument = Path("."),
    host: HostOption = "127.0.0.1",
    port: PortOption = 3210,
    site_port: SitePortOption = 3211,
    store: StoreOption = None,
    own_port: OwnPortOption = None,
    redact: RedactOption = False,
    once: Annotated[
        bool, typer.Option("--once", help="Check schema and functions, then exit; serve nothing.")
    ] = False,
) -> None:
    """Serve, show what functions log, and reload what is saved.

    Connections, data and live queries survive a reload. While a file is broken, the previous
    version keeps serving. Prints `ready URL` once requests are answered.
    """
    targets = find_targets(path, store)
    printer = Printer()
    if once:
        for target in targets:
            printer.app(target, load_app(target.folder))
        return
    options = ServeOptions(host, port, site_port, _own_ports(own_port), redact)
    _run(serve_and_reload(targets, options, printer))


@cli.command(
    epilog=_examples(
        "reactor serve apps/events --redact",
        "reactor serve apps --store 'duckdb:///data/{app}.duckdb' --own-port events=3220",
    )
)
def serve(
    path: PathArgument = Path("."),
    host: HostOption = "127.0.0.1",
    port: PortOption = 3210,
    site_port: SitePortOption = 3211,
    store: StoreOption = None,
    own_port: OwnPortOption = None,
    redact: RedactOption = False,
) -> None:
    """Serve without watching files.

    Prints `ready URL` once requests are answered. SIGINT or SIGTERM stops cleanly; a second one
    forces.
    """
    options = ServeOptions(host, port, site_port, _own_ports(own_port), redact)
    _run(serve_apps(find_targets(path, store), options, Printer()))


@cli.command(
    epilog=_examples(
        """reactor run apps/events events:listEvents '{"limit": 5}'""",
        "reactor run apps/events events:listEvents --watch",
    )
)
def run(
    path: AppArgument,
    function: Annotated[
        str,
        typer.Argument(metavar="FUNCTION", help="Such as events:listEvents; internal ones too."),
    ],
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="The arguments, as a JSON object.")
    ] = "{}",
    store: StoreOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print each new result of a query, until stopped.")
    ] = False,
) -> None:
    """Call a function and print its result as JSON.

    Asks the server that holds the app's store, and opens the store itself when none runs. Log lines
    go to standard error.
    """
    args = parse_arguments(arguments)
    target = find_target(path, store)
    try:
        _run(run_function(target, function, args, Printer(), watch=watch))
    except KeyboardInterrupt:
        if not watch:  # for watching it is the way to end
            raise


@cli.command(
    epilog=_examples(
        "reactor data apps/events",
        "reactor data apps/events events --limit 20",
        "reactor data apps/events events --json",
    )
)
def data(
    path: AppArgument,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="Left out: list the tables.")
    ] = None,
    store: StoreOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many documents.")] = 100,
    order: Annotated[Order, typer.Option(help="By creation: newest or oldest first.")] = Order.DESC,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the tables of an app, or the documents of one table."""
    target = find_target(path, store)
    printer = Printer()
    _run(print_data(target, table, printer, limit=limit, order=order.value, as_lines=as_json))


@cli.command(epilog=_examples("reactor init hello", "reactor dev hello"))
def init(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The folder to create.")],
) -> None:
    """Create a new app that works at once."""
    printer = Printer()
    for file in create_app(folder):
        printer.result(f"created {file}")
    printer.result(f"\nStart it with: reactor dev {folder}")


@cli.command("admin-key", epilog=_examples("reactor admin-key apps/events"))
def admin_key(path: AppArgument = Path("."), store: StoreOption = None) -> None:
    """Print the admin key of an app, for admin clients and calls."""
    target = find_target(path, store)
    if target.admin_key_file is None:
        raise InvalidRequest(
            f"--store {target.store}: a store without a file has no lasting admin key. `reactor "
            "serve` and `reactor dev` print the key of their run."
        )
    Printer().result(admin_key_of(target))


def _own_ports(options: list[str] | None) -> dict[str, int]:
    ports = {}
    for option in options or ():
        name, _, port = option.rpartition("=")
        if not name or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise InvalidRequest(f"--own-port {option}: expected APP=PORT, such as events=3220.")
        ports[name] = int(port)
    return ports


def _run(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)


def main() -> None:
    """Run the command line and exit."""
    try:
        cli()
    except Problem as problem:
        Printer().error(problem)
        sys.exit(2 if isinstance(problem, InvalidRequest) else 1)
    except OSError as error:
        Printer().error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
