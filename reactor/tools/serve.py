"""`reactor serve`: the apps of a path behind their ports, from start to clean stop.

The order matters. Ports are bound first, so that a taken one costs nothing. Then the apps are
loaded and their stores opened, then the ports answer, then the notices are written, and only then
comes the line `ready`. Stopping takes the same way back; acknowledged data is durable throughout.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

from reactor.errors import InvalidRequest
from reactor.functions.loader import LoadedApp, load_app
from reactor.functions.runner import FunctionLog
from reactor.reactor import Reactor
from reactor.runtime import SystemClock
from reactor.tools.admin_key import admin_key_of
from reactor.tools.console import Printer
from reactor.tools.listener import Listener
from reactor.tools.mounts import AsgiApp, Mounts
from reactor.tools.notice import remove_notice, write_notice
from reactor.tools.ports import listen
from reactor.tools.stopping import stop_on_signals
from reactor.tools.targets import MEMORY_STORE, Target

#: Documents in memory are many and free of cycles, so walking them again and again finds nothing.
#: Python's default (700, 10, 10) spent a third of a loaded server's time on that.
_COLLECTOR_THRESHOLDS = (50_000, 20, 100)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line says about serving; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 3210
    site_port: int = 3211
    own_ports: Mapping[str, int] = field(default_factory=dict)
    redact: bool = False
    stream_logs: bool = False


@dataclass(frozen=True, slots=True)
class RunningApp:
    """A target with the application object that serves it."""

    target: Target
    reactor: Reactor


@dataclass(frozen=True, slots=True)
class _Ports:
    main: socket.socket
    site: socket.socket
    own: Mapping[str, socket.socket]


async def serve(targets: Sequence[Target], options: ServeOptions, printer: Printer) -> None:
    """Serve until a signal arrives."""
    loaded = [await asyncio.to_thread(load_app, target.folder) for target in targets]
    async with AsyncExitStack() as stack:
        request = stack.enter_context(stop_on_signals(lambda: remove_notices(targets)))
        await stack.enter_async_context(serving(targets, loaded, options, printer))
        await request.wait()
    printer.stopped()


@contextlib.asynccontextmanager
async def serving(
    targets: Sequence[Target],
    loaded: Sequence[LoadedApp],
    options: ServeOptions,
    printer: Printer,
) -> AsyncIterator[list[RunningApp]]:
    """The apps, answering; what is printed ends with the line `ready`."""
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    async with AsyncExitStack() as stack:
        ports = _bind(targets, options, stack)
        running = []
        for target, version in zip(targets, loaded, strict=True):
            reactor = await stack.enter_async_context(
                open_app(target, version, printer, redact=options.redact)
            )
            follow_logs(reactor, target, printer, stream=options.stream_logs)
            running.append(RunningApp(target, reactor))
        main = Listener(_main_app(running), ports.main)
        site = Listener(_site_app(running), ports.site)
        own = {
            app.target.name: Listener(app.reactor.asgi, ports.own[app.target.name])
            for app in running
            if app.target.name in ports.own
        }
        listeners = [main, site, *own.values()]
        stack.push_async_callback(_stop, listeners)
        for listener in listeners:
            await listener.start()
        stack.callback(remove_notices, targets)
        for target in targets:
            if target.notice_file is not None:
                write_notice(target.notice_file, main.url + target.prefix)
        for app in running:
            printer.app(app.target, app.reactor.loaded)
        printer.addresses(_address_rows(running, main, site, own))
        printer.ready(main.url)
        yield running


@contextlib.asynccontextmanager
async def open_app(
    target: Target, loaded: LoadedApp, printer: Printer, *, redact: bool = False
) -> AsyncIterator[Reactor]:
    """The application object of `target` with its store open."""
    reactor = Reactor(
        loaded,
        store=target.store,
        redact=redact,
        name=target.name,
        admin_key=admin_key_of(target),
    )
    with printer.progress(f"opening {target.store}") as on_progress:
        await reactor.start(on_progress)
    try:
        yield reactor
    finally:
        await reactor.stop()


def follow_logs(reactor: Reactor, target: Target, printer: Printer, *, stream: bool) -> None:
    """Print what functions log (`stream`), or only the failures that nobody meant."""
    clock = SystemClock()
    show = printer.function_log if stream else printer.function_bug

    def on_log(entry: FunctionLog) -> None:
        if entry.error is None and not (stream and entry.log_lines):
            return
        now = datetime.fromtimestamp(clock.now_ns() / 1e9)
        show(f"{now:%H:%M:%S}", entry, target.folder)

    reactor.on_log = on_log
    reactor.echo = not stream  # a streamed line is not printed a second time


def remove_notices(targets: Sequence[Target]) -> None:
    """Take back what this process wrote beside its stores."""
    for target in targets:
        if target.notice_file is not None:
            remove_notice(target.notice_file)


def _bind(targets: Sequence[Target], options: ServeOptions, stack: AsyncExitStack) -> _Ports:
    names = [target.name for target in targets]
    for name in options.own_ports:
        if name not in names:
            raise InvalidRequest(
                f"--own-port {name}=…: there is no app {name!r} here, only {', '.join(names)}."
            )

    def bound(port: int, option: str) -> socket.socket:
        return stack.enter_context(contextlib.closing(listen(options.host, port, option)))

    return _Ports(
        main=bound(options.port, "--port"),
        site=bound(options.site_port, "--site-port"),
        own={name: bound(port, "--own-port") for name, port in options.own_ports.items()},
    )


async def _stop(listeners: Sequence[Listener]) -> None:
    await asyncio.gather(*(listener.stop() for listener in listeners))


def _main_app(running: Sequence[RunningApp]) -> AsgiApp:
    if not running[0].target.prefix:
        return running[0].reactor.asgi
    return Mounts({app.target.name: app.reactor.asgi for app in running})


def _site_app(running: Sequence[RunningApp]) -> AsgiApp:
    if not running[0].target.prefix:
        return running[0].reactor.site_asgi
    return Mounts({app.target.name: app.reactor.site_asgi for app in running})


def _address_rows(
    running: Sequence[RunningApp], main: Listener, site: Listener, own: Mapping[str, Listener]
) -> list[tuple[str, str]]:
    rows = []
    for app in running:
        prefix = app.target.prefix
        label = f"{app.target.name} " if prefix else ""
        rows.append((f"{label}for clients", main.url + prefix))
        if app.target.name in own:
            rows.append((f"{label}on its own port", own[app.target.name].url))
        rows.append((f"{label}HTTP actions", site.url + prefix))
        if app.target.store == MEMORY_STORE:
            rows.append((f"{label}admin key of this run", app.reactor.admin_key))
    return rows
