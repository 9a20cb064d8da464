"""The settings of an app."""

import pytest

from reactor.data.wire_names import WireNames
from reactor.errors import LoadError
from reactor.functions.app import App
from reactor.functions.limits import Limits


def test_defaults_need_no_declaration() -> None:
    app = App()
    assert (app.wire_names, app.limits, app.auth) == (WireNames.CAMEL_CASE, Limits(), ())


def test_wire_names_can_be_as_written() -> None:
    assert App(wire_names="as_written").wire_names is WireNames.AS_WRITTEN


def test_limits_are_kept() -> None:
    assert App(limits=Limits(run_seconds=9)).limits.run_seconds == 9


def test_unknown_wire_names_are_refused() -> None:
    with pytest.raises(LoadError, match="expected one of 'camelCase', 'as_written'"):
        App(wire_names="kebab-case")  # type: ignore[arg-type]


def test_limits_of_another_type_are_refused() -> None:
    with pytest.raises(LoadError, match="expected a Limits, for example"):
        App(limits={"run_seconds": 9})  # type: ignore[arg-type]
