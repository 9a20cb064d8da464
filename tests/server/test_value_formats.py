from __future__ import annotations

import orjson
import pytest

from reactor.errors import InvalidRequest
from reactor.server.value_formats import ValueFormat, choose_format


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (None, ValueFormat.CLEAN),
        ("curl", ValueFormat.CLEAN),
        ("npm-1.48.0", ValueFormat.CLEAN),
        ("npm-1.4.1", ValueFormat.CLEAN),
        ("npm-1.4.0", ValueFormat.ENCODED),
        ("python-0.8.1", ValueFormat.CLEAN),
        ("python-0.4.9", ValueFormat.ENCODED_FRACTIONS),
    ],
)
def test_the_default_depends_on_the_client(client: str | None, expected: ValueFormat) -> None:
    assert choose_format(None, client) is expected


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    for name in ("xml", 5, ["json"]):
        with pytest.raises(InvalidRequest, match="convex_encoded_json, convex_json, json"):
            choose_format(name, None)


def test_clean_json_has_no_markers() -> None:
    encoded = (
        b'{"i":{"$integer":"BQAAAAAAAAA="},"f":{"$float":"AAAAAAAA8H8="},"b":{"$bytes":"AP8="}}'
    )
    assert ValueFormat.CLEAN.write(encoded) == {"i": "5", "f": "Infinity", "b": "AP8="}


def test_the_encoded_format_is_passed_on_as_it_is() -> None:
    assert orjson.dumps(ValueFormat.ENCODED.write(b'{"a": 1}')) == b'{"a": 1}'


def test_the_python_client_gets_every_number_with_its_fraction() -> None:
    chosen = choose_format("convex_encoded_json", "python-0.8.1")
    encoded = b'{"a":[7,2.5,true],"i":{"$integer":"BQAAAAAAAAA="}}'
    expected = b'{"a":[7.0,2.5,true],"i":{"$integer":"BQAAAAAAAAA="}}'
    assert orjson.dumps(chosen.write(encoded)) == expected
    assert choose_format("convex_encoded_json", "npm-1.48.0") is ValueFormat.ENCODED
