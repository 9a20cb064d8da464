"""The floors of `reactor/` hold: who may import whom, and which door leads to what lies outside.

All rules are read off the syntax trees, so a broken rule is found without running anything, and an
import inside a function or under TYPE_CHECKING counts like any other. The tables below are the
rules; growing one of them is a design decision, visible as such in a diff.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

PACKAGE = "reactor"
REPOSITORY = Path(__file__).resolve().parent.parent
#: Folders of files that are copied into new apps: text to the package, not modules of it.
TEMPLATE_FOLDER = "templates"

BASE = ("types", "errors", "runtime")
BELOW_LIVE = (*BASE, "data", "identity", "store.base", "engine")
#: What the signatures of `ReactorApi` name, so that who sees the one door can speak of it.
WORDS_OF_THE_DOOR = (*BASE, "data", "identity", "engine.outcome", "live.live_client")

#: Floor: what its modules may import, beside their own floor. The longest name that fits decides.
FLOORS: dict[str, tuple[str, ...]] = {
    "types": (),
    "errors": ("types",),
    "runtime": ("types",),
    "data": BASE,
    "identity": (*BASE, "data"),
    "store.base": (*BASE, "data"),
    "store": (*BASE, "data", "store.base"),
    "engine": (*BASE, "data", "store.base"),
    "live": BELOW_LIVE,
    "services": BELOW_LIVE,
    "functions": (*BELOW_LIVE, "live", "services"),
    # The composition root: the only one that names a store adapter.
    "application": (*BELOW_LIVE, "store", "live", "services", "functions"),
    "sync": (*BASE, "data", "identity"),
    "client": (*BASE, "data", "sync"),
    "server": (*WORDS_OF_THE_DOOR, "application", "sync"),
    "reactor": (*WORDS_OF_THE_DOOR, "application", "server"),
    "blocking": (*WORDS_OF_THE_DOOR, "store.base", "functions", "application", "reactor"),
    "tools": (
        *WORDS_OF_THE_DOOR,
        *("functions", "application", "reactor", "blocking", "server", "sync", "client"),
    ),
    "testing": (
        *(*BELOW_LIVE, "store", "live", "services", "functions", "application", "sync"),
        *("client", "server", "reactor", "blocking"),
    ),
    # The façade of the package: `from reactor import table, query, ...`.
    "": ("data", "errors", "functions", "reactor", "blocking", "testing"),
}

DECLARATIONS = (
    *("__init__.py", "data/annotations.py", "data/container_validators.py"),
    *("data/annotation_forms.py", "data/annotation_refusals.py"),
    *("data/document_loader.py", "data/model_validators.py", "data/schema.py"),
    *("data/table_schema.py", "data/tables.py", "functions/arguments.py", "functions/limits.py"),
    *("functions/pagination.py", "functions/parameters.py", "functions/query_range.py"),
    "settings.py",
)

#: Package from outside: where it may be imported. An entry is a file, a folder with its "/", or the
#: beginning of file names.
ADDRESSES: dict[str, tuple[str, ...]] = {
    "duckdb": ("store/duckdb",),
    "httpx": ("client/", "tools/", "services/auth.py"),
    "jinja2": ("server/",),
    "jwt": ("services/auth.py",),
    "orjson": ("data/wire.py", "sync/messages.py", "sync/server_messages.py", "server/"),
    "psycopg": ("store/postgres",),
    "pydantic": DECLARATIONS,
    "pydantic_core": DECLARATIONS,
    "rich": ("tools/",),
    "sortedcontainers": ("engine/versions.py",),
    "sqlite3": ("store/duckdb.py", "store/journal.py"),
    # Its requests and responses are those of HTTP actions; `asgi` of an application is its class.
    "starlette": (
        *("server/", "functions/http_router.py", "functions/action_runner.py"),
        *("application.py", "reactor.py"),
    ),
    "typer": ("tools/",),
    "typing_extensions": DECLARATIONS,
    "uvicorn": ("tools/",),
    "uvloop": ("tools/",),
    "watchfiles": ("tools/dev.py",),
    "websockets": ("client/", "tools/remote.py"),
}

NONDETERMINISM_DOOR = "runtime.py"
#: All of these modules is nondeterministic, except naming these classes (a type, or a call of one
#: that is given all it depends on).
NONDETERMINISTIC_MODULES = {"time": (), "secrets": (), "random": (), "uuid": ("uuid.UUID",)}
NAMED_AS_TYPES = ("random.Random",)
NONDETERMINISTIC_CALLS = (
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
    *("datetime.date.today", "os.urandom", "os.getrandom"),
)


@dataclass(frozen=True)
class Import:
    """One module that a line imports, by its absolute name."""

    target: str
    line: int
    inside_function: bool


@dataclass(frozen=True)
class Module:
    """One file below the package folder."""

    path: str
    source: str

    @cached_property
    def name(self) -> str:
        """Dotted and relative to the package: "data.keys", "" for the package itself."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    def at(self, line: int, text: str) -> str:
        return f"{PACKAGE}/{self.path}:{line}: {text}"

    def imports(self) -> Iterator[Import]:
        """What is imported anywhere in the file; `from a import b` counts as a.b."""
        local = {
            inner
            for function in ast.walk(self.tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(function)
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno, node in local)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    yield Import(f"{origin}.{alias.name}", node.lineno, node in local)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        folders = [PACKAGE, *self.path.split("/")[:-1]]
        kept = folders[: len(folders) - node.level + 1]
        return ".".join([*kept, *filter(None, [node.module])])


Source = dict[str, Module]


def package_of(files: dict[str, str]) -> Source:
    """Modules by name, from paths relative to the package folder and their text."""
    modules = (Module(path, source) for path, source in files.items())
    return {module.name: module for module in modules}


def own_imports(modules: Source, module: Module) -> Iterator[tuple[Import, str]]:
    """The imports of the package's own modules, with the imported module's name in the package."""
    for found in module.imports():
        root, _, inner = found.target.partition(".")
        if root != PACKAGE:
            continue
        # The last part may be a name inside a module rather than a module.
        yield found, inner if inner in modules else inner.rpartition(".")[0]


def is_below(name: str, floor: str) -> bool:
    return name == floor or (bool(floor) and name.startswith(f"{floor}."))


def floor_of(name: str) -> str | None:
    return max((floor for floor in FLOORS if is_below(name, floor)), key=len, default=None)


def wrong_directions(modules: Source) -> Iterator[str]:
    for module in modules.values():
        floor = floor_of(module.name)
        if floor is None:
            yield module.at(1, f"`{module.name}` is on no floor; give it one in FLOORS")
            continue
        for found, target in own_imports(modules, module):
            if not any(is_below(target, allowed) for allowed in (floor, *FLOORS[floor])):
                allowed = ", ".join(FLOORS[floor]) or "nothing of the package"
                yield module.at(
                    found.line,
                    f"`{floor or PACKAGE}` must not import {PACKAGE}.{target}. It may import: "
                    f"{allowed}. Move what is needed down, or take it as an argument",
                )


def local_self_imports(modules: Source) -> Iterator[str]:
    for module in modules.values():
        for found, target in own_imports(modules, module):
            if found.inside_function:
                yield module.at(
                    found.line,
                    f"imports {PACKAGE}.{target} inside a function; import it at the top, and if "
                    "that makes a cycle, cut the cycle",
                )


def cycles(modules: Source) -> Iterator[str]:
    """A message for each knot of modules that can all reach each other."""
    edges: dict[str, dict[str, int]] = {
        name: {
            target: found.line
            for found, target in own_imports(modules, module)
            if not found.inside_function and target in modules and target != name
        }
        for name, module in modules.items()
    }
    reported: set[str] = set()
    for start in sorted(edges):
        path = None if start in reported else path_back(edges, start)
        if path is None:
            continue
        reported.update(path)
        steps = " -> ".join(f"{PACKAGE}.{name}" for name in (*path, start))
        yield modules[start].at(edges[start][(*path, start)[1]], f"import cycle: {steps}")


def path_back(edges: dict[str, dict[str, int]], start: str) -> list[str] | None:
    """A shortest way from `start` to itself, without the last step."""
    paths = [[start]]
    seen = {start}
    for path in paths:
        for target in edges[path[-1]]:
            if target == start:
                return path
            if target not in seen:
                seen.add(target)
                paths.append([*path, target])
    return None


def strangers(modules: Source) -> Iterator[str]:
    """Packages from outside that are imported elsewhere than at their address."""
    for module in modules.values():
        for found in module.imports():
            package = found.target.partition(".")[0]
            if package == PACKAGE:
                continue
            if package not in ADDRESSES and package in sys.stdlib_module_names:
                continue
            addresses = ADDRESSES.get(package)
            if addresses is None:
                yield module.at(found.line, f"`{package}` has no address; give it one in ADDRESSES")
            elif not any(stands_at(module.path, address) for address in addresses):
                yield module.at(
                    found.line,
                    f"`{package}` is imported only in {', '.join(addresses)}; call what those "
                    "modules offer",
                )


def stands_at(path: str, address: str) -> bool:
    return path == address if address.endswith(".py") else path.startswith(address)


def nondeterminism(modules: Source) -> Iterator[str]:
    for module in modules.values():
        if module.path == NONDETERMINISM_DOOR:
            continue
        for line, used in nondeterministic_uses(module):
            yield module.at(
                line,
                f"uses {used}; take a Clock or an Entropy of {PACKAGE}/{NONDETERMINISM_DOOR} "
                "instead, so that a test can replay the run",
            )


def nondeterministic_uses(module: Module) -> Iterator[tuple[int, str]]:
    names: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    inner = {node.value for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    called = {node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Name | ast.Attribute) or node in inner:
            continue
        used = dotted(node, names)
        if used is not None and is_nondeterministic(used, node in called):
            yield node.lineno, used


def dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    """The absolute name of what an imported name and its attributes refer to."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def is_nondeterministic(used: str, called: bool) -> bool:
    if used in NONDETERMINISTIC_CALLS:
        return True
    harmless = NONDETERMINISTIC_MODULES.get(used.partition(".")[0])
    if harmless is None:
        return False
    return used not in harmless and (called or used not in NAMED_AS_TYPES)


Rule = Callable[[Source], Iterator[str]]
RULES: list[Rule] = [wrong_directions, local_self_imports, cycles, strangers, nondeterminism]


@pytest.fixture(scope="module")
def modules() -> Source:
    folder = REPOSITORY / PACKAGE
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*.py"))}
    return package_of(
        {
            relative.as_posix(): path.read_text(encoding="utf-8")
            for relative, path in paths.items()
            if TEMPLATE_FOLDER not in relative.parts
        }
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_has_no(rule: Rule, modules: Source) -> None:
    assert len(modules) > 1
    broken = sorted(rule(modules))
    if broken:
        pytest.fail("\n".join([f"{rule.__name__}: {len(broken)}", *broken]), pytrace=False)


PLANTED: list[tuple[Rule, dict[str, str], str]] = [
    (
        wrong_directions,
        {"data/keys.py": "from reactor.engine import reads", "engine/reads.py": ""},
        "reactor/data/keys.py:1: `data` must not import reactor.engine.reads.",
    ),
    (
        wrong_directions,
        {"engine/reads.py": "\nfrom ..store.duckdb import log", "store/duckdb.py": ""},
        "reactor/engine/reads.py:2: `engine` must not import reactor.store.duckdb.",
    ),
    (
        wrong_directions,
        {"server/asgi.py": "import reactor.engine.reads", "engine/reads.py": ""},
        "reactor/server/asgi.py:1: `server` must not import reactor.engine.reads.",
    ),
    (
        wrong_directions,
        {"data/keys.py": "from reactor import query", "__init__.py": ""},
        "reactor/data/keys.py:1: `data` must not import reactor.",
    ),
    (wrong_directions, {"attic/box.py": ""}, "reactor/attic/box.py:1: `attic.box` is on no floor"),
    (
        local_self_imports,
        {"data/a.py": "def f():\n    from reactor.data.b import x", "data/b.py": ""},
        "reactor/data/a.py:2: imports reactor.data.b inside a function",
    ),
    (
        cycles,
        {
            "data/a.py": "import os\nfrom reactor.data.b import x",
            "data/b.py": "from reactor.data import c",
            "data/c.py": "import reactor.data.a",
        },
        "reactor/data/a.py:2: import cycle: "
        "reactor.data.a -> reactor.data.b -> reactor.data.c -> reactor.data.a",
    ),
    (
        strangers,
        {"engine/reads.py": "from duckdb import connect"},
        "reactor/engine/reads.py:1: `duckdb` is imported only in store/duckdb;",
    ),
    (strangers, {"data/a.py": "import numpy"}, "reactor/data/a.py:1: `numpy` has no address"),
    (nondeterminism, {"data/a.py": "import time as t\nt.sleep(1)"}, "data/a.py:2: uses time.sleep"),
    (nondeterminism, {"data/a.py": "from time import time\ntime()"}, "a.py:2: uses time.time;"),
    (
        nondeterminism,
        {"data/a.py": "from random import Random\nRandom()"},
        "a.py:2: uses random.Random;",
    ),
    (nondeterminism, {"data/a.py": "import uuid\nuuid.uuid4()"}, "a.py:2: uses uuid.uuid4;"),
    (
        nondeterminism,
        {"data/a.py": "from datetime import datetime as d\nx = d.now"},
        "a.py:2: uses datetime.datetime.now;",
    ),
]


@pytest.mark.parametrize(("rule", "files", "message"), PLANTED)
def test_a_planted_fault_is_found_and_named(
    rule: Rule, files: dict[str, str], message: str
) -> None:
    (broken,) = rule(package_of(files))
    assert message in broken


INNOCENT: list[tuple[Rule, dict[str, str]]] = [
    (
        wrong_directions,
        {"engine/a.py": "from reactor.store.base import Store", "store/base.py": ""},
    ),
    (wrong_directions, {"store/duckdb.py": "from reactor.store import base", "store/base.py": ""}),
    (cycles, {"data/__init__.py": "", "data/a.py": "from reactor.data import b", "data/b.py": ""}),
    (strangers, {"store/duckdb_log.py": "import duckdb", "data/a.py": "import json"}),
    (nondeterminism, {"runtime.py": "import time\ntime.time()"}),
    (nondeterminism, {"data/a.py": "from random import Random\ndef f(r: Random): r.random()"}),
    (nondeterminism, {"data/a.py": "import datetime, uuid\nx = (datetime.date, uuid.UUID)"}),
]


@pytest.mark.parametrize(("rule", "files"), INNOCENT)
def test_what_is_allowed_is_not_reported(rule: Rule, files: dict[str, str]) -> None:
    assert list(rule(package_of(files))) == []
