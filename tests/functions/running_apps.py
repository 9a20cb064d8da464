"""Apps written as source text, as a user would write them, running in memory."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from reactor.application import Application
from reactor.data import wire
from reactor.data.values import Value
from reactor.engine.outcome import Outcome
from reactor.functions.loader import LoadedApp

Result = TypeVar("Result")

IMPORTS = "from typing import Any\nfrom reactor import *\nfrom reactor import Table, Index\n"


def module_app(source: str, name: str = "app") -> ModuleType:
    """A module as a notebook or a test would make it; its functions are `app:…`."""
    module = ModuleType(f"running_apps.{name}")
    text = IMPORTS + textwrap.dedent(source)
    # Generic pydantic models look up the module that they are made in.
    sys.modules[module.__name__] = module
    try:
        code = compile(text, f"{name}.py", "exec", dont_inherit=True)
        exec(code, module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


def write_app(folder: Path, files: dict[str, str]) -> Path:
    """An app folder with these files; each starts with the usual imports."""
    for name, source in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(IMPORTS + textwrap.dedent(source))
    return folder


@asynccontextmanager
async def running(
    app: str | ModuleType | Path | LoadedApp, **options: Any
) -> AsyncIterator[Application]:
    """A started application of source text, a module, a folder or a loaded app."""
    source = module_app(app) if isinstance(app, str) else app
    application = Application(source, **options)
    application.echo = False
    await application.start()
    try:
        yield application
        application.check()
    finally:
        await application.stop()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a test's coroutine; nothing here may take longer than a few seconds."""

    async def bounded() -> Result:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(bounded())


def value_of(outcome: Outcome) -> Value:
    """The decoded value; the failure's text is the assertion's message."""
    assert outcome.value is not None, outcome.error
    return wire.decode(outcome.value)


def text_of(outcome: Outcome) -> str:
    """The failure's text after its first line."""
    assert outcome.error is not None, outcome.value
    return outcome.error.message.partition("\n")[2]
