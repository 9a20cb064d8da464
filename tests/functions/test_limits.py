"""Limits: defaults, overrides, refusals."""

import pytest
from pydantic import ValidationError

from reactor.functions.limits import Limits


def test_defaults_are_the_protocols() -> None:
    limits = Limits()
    assert (limits.documents_read, limits.ranges_read) == (32_000, 4_096)
    assert limits.arguments_bytes == limits.result_bytes == 16 << 20


def test_only_explicit_fields_override() -> None:
    app = Limits(run_seconds=2, documents_read=10)
    assert app.merged(Limits(run_seconds=30)) == Limits(run_seconds=30, documents_read=10)


def test_an_explicit_default_overrides_too() -> None:
    assert Limits(run_seconds=2).merged(Limits(run_seconds=5)).run_seconds == 5


def test_merging_nothing_gives_the_same_limits() -> None:
    limits = Limits(nesting=8)
    assert limits.merged(None) is limits
    assert limits.merged(Limits()) is limits


@pytest.mark.parametrize(
    "wrong", [{"run_seconds": 0}, {"documents_read": -1}, {"nesting": 65}, {"runSeconds": 5}]
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(wrong)


def test_every_setting_explains_itself() -> None:
    assert all(field.description for field in Limits.model_fields.values())
