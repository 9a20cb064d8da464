"""Loading apps: what is collected, how versions stay apart, and how broken apps are reported."""

import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reactor.data.wire_names import WireNames
from reactor.errors import LoadError
from reactor.functions.loader import LoadedApp, load_app
from reactor.functions.logs import LogSink, capture
from reactor.functions.registry import FunctionKind

SCHEMA = """
from reactor.data.tables import Index, Table

class Event(Table, name="events"):
    project_name: str
    timestamp: float
    by_project = Index("project_name", "timestamp")
"""

EVENTS = """
from reactor.functions.declarations import internal_mutation, mutation, query
from .schema import Event

@query
def list_events(ctx, project_name: str | None = None) -> list[Event]:
    return []

@internal_mutation
def store(ctx, timestamp: float) -> None: ...

def plain(): ...
"""

HTTP = """
from reactor.functions.declarations import http_action
from .events import store

@http_action("POST", "/event")
async def receive(ctx, request): ...
"""

DECORATORS = "from reactor.functions.declarations import action, http_action, mutation, query\n"


class Folder:
    """An app folder that tests write, load and change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **files: str) -> "Folder":
        for name, text in files.items():
            file = self.path / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return self

    def load(self) -> LoadedApp:
        return load_app(self.path)

    def error(self) -> str:
        before = dict(sys.modules)
        with pytest.raises(LoadError) as caught:
            self.load()
        left = {name for name in sys.modules.keys() - before.keys() if "reactor_app" in name}
        assert not left, "a failed load leaves no modules behind"
        return caught.value.message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path / "shop")


@pytest.fixture
def events(folder: Folder) -> Folder:
    return folder.write(schema=SCHEMA, events=EVENTS, http=HTTP)


def call(app: LoadedApp, path: str, *arguments: object) -> Any:
    spec = app.registry.find(path)
    assert spec is not None
    return spec.handler(None, *arguments)


# -- what is collected


def test_declared_functions_are_found_where_they_are_defined(events: Folder) -> None:
    paths = {(spec.path, spec.kind, spec.public) for spec in events.load().registry}
    assert paths == {
        ("events:listEvents", FunctionKind.QUERY, True),
        ("events:store", FunctionKind.MUTATION, False),
        ("http:receive", FunctionKind.HTTP_ACTION, False),
    }


def test_the_schema_has_the_tables_of_all_modules(events: Folder) -> None:
    app = events.load()
    assert set(app.schema.tables) == {"events"}
    assert set(app.schema.tables["events"].indexes) >= {"by_project"}


def test_http_actions_are_routed(events: Folder) -> None:
    app = events.load()
    assert app.router.match("POST", "/event") is app.registry.find("http:receive")


def test_the_app_has_the_name_and_path_of_its_folder(events: Folder) -> None:
    app = events.load()
    assert (app.name, app.folder) == ("shop", events.path)


def test_settings_come_from_app_py(events: Folder) -> None:
    app = events.write(
        app="from reactor.functions.app import App\n"
        "from reactor.functions.limits import Limits\n"
        'app = App(wire_names="as_written", limits=Limits(run_seconds=9))\n'
    ).load()
    listed = app.registry.find("events:listEvents")
    assert listed is not None
    assert app.settings.wire_names is WireNames.AS_WRITTEN
    assert (listed.path, listed.limits.run_seconds) == ("events:list_events", 9)


def test_settings_may_be_imported_by_modules_before_app(folder: Folder) -> None:
    app = folder.write(
        aaa="from .app import app\n",
        app='from reactor import App\napp = App(wire_names="as_written")\n',
    ).load()
    assert app.settings.wire_names is WireNames.AS_WRITTEN


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("app = 5\n", "but `app` is 5."),
        ("x = 1\n", "but there is none."),
        ("from reactor import App\nsettings = App()\napp = 5\n", "but `app` is 5."),
    ],
)
def test_app_py_without_settings_is_refused(events: Folder, source: str, said: str) -> None:
    message = events.write(app=source).error()
    assert message.startswith("shop/app.py: The module `app` is for the app's settings")
    assert said in message
    assert "Write `app = App(...)` there" in message


def test_wrong_limits_are_reported_at_the_decorator(folder: Folder) -> None:
    message = folder.write(a=DECORATORS + "\n@query(limits=5)\ndef f(ctx): ...\n").error()
    assert message.startswith("shop/a.py:3: LoadError: @query(limits=5): expected a Limits")
    assert "\n    @query(limits=5)" in message


def test_limits_of_a_function_override_the_apps(folder: Folder) -> None:
    app = folder.write(
        a=DECORATORS + "from reactor.functions.limits import Limits\n"
        "@query(limits=Limits(run_seconds=1), slow=True)\ndef f(ctx): ...\n"
    ).load()
    found = app.registry.find("a:f")
    assert found is not None
    assert (found.limits.run_seconds, found.limits.documents_read, found.slow) == (1, 32_000, True)


def test_modules_of_sub_folders_have_paths_with_slashes(folder: Folder) -> None:
    app = folder.write(
        _shared="N = 5\n",
        admin__users=DECORATORS + "from .._shared import N\n@query\ndef default(ctx): return N\n",
    ).load()
    assert call(app, "admin/users") == 5


def test_an_init_file_is_run_like_in_any_package(folder: Folder) -> None:
    folder.write(a=DECORATORS + "from . import N\n@query\ndef f(ctx): return N\n")
    (folder.path / "__init__.py").write_text("N = 7\n")
    assert call(folder.load(), "a:f") == 7


def test_a_module_object_is_an_app() -> None:
    module = ModuleType("tests.demo")
    exec(DECORATORS + "@query\ndef list_all(ctx): ...\n", module.__dict__)
    app = load_app(module)
    assert [spec.path for spec in app.registry] == ["demo:listAll"]
    assert (app.name, app.folder) == ("demo", None)


def test_a_module_object_may_borrow_functions_of_others(events: Folder) -> None:
    borrowed = events.load().registry.find("events:store")
    assert borrowed is not None
    module = ModuleType("notebook")
    module.__dict__["store"] = borrowed.handler
    assert [spec.path for spec in load_app(module).registry] == ["notebook:store"]


# -- versions stay apart


def test_two_loads_share_nothing(events: Folder) -> None:
    first, second = events.load(), events.load()
    assert first.schema.tables["events"].model is not second.schema.tables["events"].model


def test_an_old_version_keeps_running_beside_a_new_one(folder: Folder) -> None:
    code = DECORATORS + "from . import _words\n@query\ndef f(ctx):\n"
    code += "    from ._words import WORD\n    return WORD\n"
    old = folder.write(a=code, _words="WORD = 'old'\n").load()
    new = folder.write(_words="WORD = 'new'\n").load()
    assert (call(old, "a:f"), call(new, "a:f")) == ("old", "new")


def test_a_change_within_the_same_second_is_seen(folder: Folder) -> None:
    for number in range(5):
        folder.write(a=DECORATORS + f"@query\ndef f(ctx): return {number}\n")
        assert call(folder.load(), "a:f") == number


def test_no_bytecode_is_written_into_the_folder(events: Folder) -> None:
    events.load()
    assert sorted(file.name for file in events.path.iterdir()) == [
        "events.py",
        "http.py",
        "schema.py",
    ]


def test_a_forgotten_version_leaves_no_modules(events: Folder) -> None:
    before = set(sys.modules)
    app = events.load()
    assert set(sys.modules) - before
    app.forget()
    assert not {name for name in set(sys.modules) - before if "reactor_app" in name}


# -- digests


def digests_after(folder: Folder, **changed: str) -> set[str]:
    """The functions whose digest changes when files are written anew."""
    before = {spec.path: spec.digest for spec in folder.load().registry}
    after = {spec.path: spec.digest for spec in folder.write(**changed).load().registry}
    return {path for path in before if before[path] != after.get(path)}


def test_a_reload_without_changes_keeps_all_digests(events: Folder) -> None:
    assert digests_after(events) == set()


def test_a_change_of_a_module_changes_it_and_its_importers(events: Folder) -> None:
    assert digests_after(events, http=HTTP + "# x\n") == {"http:receive"}
    assert digests_after(events, events=EVENTS + "# x\n") == {
        "http:receive",
        "events:store",
        "events:listEvents",
    }


def test_a_change_of_an_unrelated_module_changes_nothing(events: Folder) -> None:
    assert digests_after(events, other="X = 1\n") == set()


def test_other_wire_names_change_all_digests(events: Folder) -> None:
    changed = digests_after(
        events, app='from reactor.functions.app import App\napp = App(wire_names="as_written")\n'
    )
    assert changed == {"http:receive", "events:store", "events:listEvents"}


def test_the_apps_digest_covers_every_module(events: Folder) -> None:
    before = events.load()
    after = events.write(other="X = 1\n").load()
    assert before.digest != after.digest
    assert set(after.module_digests) == {"events", "http", "schema", "other"}


# -- print and logging


def test_print_and_logging_in_app_modules_reach_the_sink(folder: Folder) -> None:
    app = folder.write(
        a=DECORATORS + "import logging\nlog = logging.getLogger(__name__)\n"
        "@query\ndef f(ctx):\n    print('hi', 1)\n    log.info('info %s', 2)\n"
    ).load()
    with capture(LogSink()) as sink:
        call(app, "a:f")
    assert sink.lines == ("[LOG] 'hi' 1", "[INFO] 'info 2'")
    assert logging.root.level == logging.WARNING


def test_a_module_object_gets_the_print_too(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleType("demo")
    exec(DECORATORS + "@query\ndef f(ctx): print('hi')\n", module.__dict__)
    app = load_app(module)
    with capture(LogSink()) as sink:
        call(app, "demo:f")
    assert sink.lines == ("[LOG] 'hi'",)
    assert capsys.readouterr().out == "hi\n"


# -- broken apps


def test_a_syntax_error_is_reported_with_file_line_and_text(events: Folder) -> None:
    events.write(events="x = 1\ndef broken(:\n")
    assert events.error() == (
        "shop/events.py:2: SyntaxError: invalid syntax\n"
        "    def broken(:\n"
        "Correct the line and load the app again."
    )


def test_an_exception_at_import_is_reported_where_it_was_raised(events: Folder) -> None:
    events.write(
        _deep="\ndef boom():\n    return 1 / 0\n", events="from ._deep import boom\nboom()\n"
    )
    assert events.error().startswith(
        "shop/_deep.py:3: ZeroDivisionError: division by zero\n    return 1 / 0\n"
    )


def test_a_missing_package_says_what_to_install(folder: Folder) -> None:
    folder.write(a="import surely_not_installed.things\n")
    assert folder.error() == (
        "shop/a.py:1: ModuleNotFoundError: No module named 'surely_not_installed'\n"
        "    import surely_not_installed.things\n"
        "Install what provides `surely_not_installed` into the Python environment that runs "
        "reactor, or correct the name."
    )


def test_an_absolute_import_of_a_sibling_says_how_to_write_it(events: Folder) -> None:
    events.write(events="from events_schema import Event\n", events_schema=SCHEMA)
    assert events.error().endswith("write `from .events_schema import ...`.")


def test_a_missing_name_is_reported_without_the_private_package_name(events: Folder) -> None:
    events.write(http="from .schema import Evnt\n")
    message = events.error()
    assert message.startswith(
        "shop/http.py:1: ImportError: cannot import name 'Evnt' from '.schema'"
    )
    assert "reactor_app" not in message


def test_a_script_that_exits_is_reported(folder: Folder) -> None:
    folder.write(a="import sys\nsys.exit(2)\n")
    message = folder.error()
    assert message.startswith("shop/a.py:2: SystemExit: 2\n    sys.exit(2)\n")
    assert 'if __name__ == "__main__":' in message


def test_an_async_query_is_refused_with_the_reason_and_the_way_out(folder: Folder) -> None:
    folder.write(a=DECORATORS + "\n@query\nasync def list_all(ctx):\n    return []\n")
    message = folder.error()
    assert message.startswith(
        "shop/a.py:4: @query `list_all` is an `async def`, but a query runs as one transaction, "
        "and a transaction cannot suspend"
    )
    assert "    async def list_all(ctx):\n" in message
    assert "declare an @action" in message


@pytest.mark.parametrize("decorator", ["action", 'http_action("GET", "/")'])
def test_a_plain_action_is_refused(folder: Folder, decorator: str) -> None:
    folder.write(a=DECORATORS + f"@{decorator}\ndef act(ctx, request): ...\n")
    assert "Write it as `async def`." in folder.error()


@pytest.mark.parametrize(("decorator", "colour"), [("query", ""), ("action", "async ")])
def test_generators_are_refused(folder: Folder, decorator: str, colour: str) -> None:
    folder.write(a=DECORATORS + f"@{decorator}\n{colour}def f(ctx):\n    yield 1\n")
    message = folder.error()
    assert message.startswith(f"shop/a.py:3: @{decorator} `f` is a generator")
    assert "collect it in a list and return that" in message


def test_names_that_collide_for_clients_are_both_named(folder: Folder) -> None:
    folder.write(a=DECORATORS + "@query\ndef list_all(ctx): ...\n@query\ndef listAll(ctx): ...\n")
    message = folder.error()
    assert "`list_all`" in message and "`listAll`" in message and "`a:listAll`" in message


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("", "has no parameter for the context"),
        ("ctx, *rest", "`*rest`"),
        ("ctx, **rest", "`**rest`"),
        ("ctx, a, /", "`a`"),
        ("ctx, when: complex", "complex"),
        ("ctx, when: 'Nope'", "Nope"),
        ("ctx, a_b=1, aB=2", "`aB`"),
    ],
)
def test_signatures_that_cannot_be_called_are_refused(
    folder: Folder, parameters: str, reason: str
) -> None:
    folder.write(a=DECORATORS + f"@query\ndef f({parameters}): ...\n")
    message = folder.error()
    assert message.startswith("shop/a.py:3: ")
    assert reason in message


@pytest.mark.parametrize("module", ["schema", "app", "http", "crons"])
def test_declaration_modules_have_no_callable_functions(folder: Folder, module: str) -> None:
    folder.write(**{module: DECORATORS + "@query\ndef f(ctx): ...\n"})
    message = folder.error()
    assert message.startswith(f"shop/{module}.py:3: `f` is declared in the module `{module}`")


def test_settings_outside_app_py_are_refused(folder: Folder) -> None:
    folder.write(a="from reactor.functions.app import App\napp = App()\n")
    assert "Move the declaration into a file app.py" in folder.error()


def test_settings_declared_twice_are_refused(folder: Folder) -> None:
    folder.write(app="from reactor.functions.app import App\na = App()\nb = App()\n")
    assert "declared more than once" in folder.error()


def test_a_wrong_table_is_reported(events: Folder) -> None:
    events.write(schema=SCHEMA.replace('"timestamp")', '"timestmp")'))
    assert events.error().startswith(
        "shop/schema.py:4: SchemaError: class Event: index by_project names 'timestmp'"
    )


def test_an_unsupported_field_is_reported(events: Folder) -> None:
    events.write(schema="import datetime\n" + SCHEMA.replace("float", "datetime.datetime"))
    assert events.error().startswith("shop/schema.py:")


def test_forward_references_to_tables_are_resolved(events: Folder) -> None:
    code = DECORATORS + "from reactor.data.tables import Id\n@query\n"
    app = events.write(other=code + "def f(ctx, event_id: Id['Event']): ...\n").load()
    found = app.registry.find("other:f")
    assert found is not None
    assert found.signature.validator.describe() == 'v.object({eventId: v.id("events")})'


def test_a_second_copy_of_the_apps_own_code_is_refused(
    events: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(events.path.parent)
    events.write(events=EVENTS.replace("from .schema", "from shop.schema"))
    assert events.error().endswith("Import it relatively: `from .schema import Event`.")


def test_an_empty_folder_is_no_app(folder: Folder) -> None:
    folder.path.mkdir()
    with pytest.raises(LoadError, match="has no Python modules"):
        folder.load()


def test_a_module_without_declarations_is_no_app() -> None:
    with pytest.raises(LoadError, match="Module `empty` declares nothing"):
        load_app(ModuleType("empty"))


def test_a_text_path_is_accepted(events: Folder) -> None:
    assert load_app(str(events.path)).name == "shop"
