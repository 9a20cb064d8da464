"""`reactor dev`: serve, and follow the files of the apps.

A saved file is loaded beside the running version. If that fails, the error is printed and the old
version keeps serving; otherwise the running application gets the new functions, schema and routes,
with its connections, its data and its live queries kept. Files are watched from before the first
load, so that no change is lost between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from watchfiles import Change as FileChange
from watchfiles import DefaultFilter, awatch

from reactor.functions.loader import LoadedApp, load_app
from reactor.tools.changes import changes_between
from reactor.tools.console import Printer
from reactor.tools.serve import RunningApp, ServeOptions, remove_notices, serving
from reactor.tools.stopping import stop_on_signals
from reactor.tools.targets import DATA_FOLDER, Target

#: An editor's several writes for one save become one reload.
QUIET_MS: Final = 60
GATHER_MS_MAX: Final = 400
WATCHED_SUFFIXES: Final = frozenset({".py", ".html", ".jinja", ".j2", ".css", ".js"})


class AppFiles(DefaultFilter):
    """The files that make up an app: its code and templates, not its data or caches."""

    def __init__(self) -> None:
        super().__init__(ignore_dirs=(*DefaultFilter.ignore_dirs, DATA_FOLDER))

    def __call__(self, change: FileChange, path: str) -> bool:
        return Path(path).suffix in WATCHED_SUFFIXES and super().__call__(change, path)


async def dev(targets: Sequence[Target], options: ServeOptions, printer: Printer) -> None:
    """Serve and reload until a signal arrives."""
    options = replace(options, stream_logs=True)
    async with AsyncExitStack() as stack:
        request = stack.enter_context(stop_on_signals(lambda: remove_notices(targets)))
        changed = watch(targets, request.event)
        first = asyncio.ensure_future(anext(changed, None))
        stack.callback(first.cancel)
        await asyncio.sleep(0)  # lets `first` register the folders with the system
        loaded = [await asyncio.to_thread(load_app, target.folder) for target in targets]
        running = await stack.enter_async_context(serving(targets, loaded, options, printer))
        reloaders = [Reloader(app, printer) for app in running]
        paths = await first
        while paths is not None:
            for reloader in reloaders:
                await reloader.saved(paths)
            paths = await anext(changed, None)
    printer.stopped()


async def watch(targets: Sequence[Target], stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """The files that changed, in groups, until `stop` is set."""
    folders = [target.folder for target in targets]
    async for changes in awatch(
        *folders,
        watch_filter=AppFiles(),
        debounce=GATHER_MS_MAX,
        step=QUIET_MS,
        stop_event=stop,
    ):
        yield {Path(path) for _, path in changes}


class Reloader:
    """Brings one running app up to date with its folder."""

    def __init__(self, app: RunningApp, printer: Printer) -> None:
        self._app = app
        self._printer = printer
        self._is_broken = False

    async def saved(self, paths: set[Path]) -> None:
        """Some files changed; load the app anew if they are its own."""
        folder = self._app.target.folder
        if not any(path.is_relative_to(folder) for path in paths):
            return
        reactor, name = self._app.reactor, self._app.target.name
        old = reactor.loaded
        try:
            new = await asyncio.to_thread(load_app, folder)
            if is_same(old, new):
                new.forget()
            else:
                await reactor.deploy(new)
        except Exception as error:  # whatever a reload runs into, the old version goes on
            self._is_broken = True
            self._printer.still_serving(name, error)
            return
        if self._is_broken or not is_same(old, new):
            self._printer.reloaded(name, changes_between(old, new))
        self._is_broken = False


def is_same(old: LoadedApp, new: LoadedApp) -> bool:
    """Whether both versions come from the same source."""
    return old.digest == new.digest
