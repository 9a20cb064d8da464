from __future__ import annotations

from hashlib import sha256

import pytest

from reactor.data.values import Int64
from reactor.sync.requests import RefusedCall, decode_arguments


def test_the_argument_object_is_decoded() -> None:
    args: list[object] = [{"x": {"$integer": "AQAAAAAAAAA="}}]
    decoded = decode_arguments("m:send", args, "")
    assert decoded == {"x": Int64(1)}


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ([], "`args` must be an array of one object"),
        ([{}, {}], "`args` must be an array of one object"),
        ([[1]], "`args` must be an array of one object"),
        ([{"$integer": "AQAAAAAAAAA="}], "they must be an object"),
        ([{"x": {"$integer": "AQ=="}}], "Received 1 bytes, expected 8 for $integer"),
    ],
)
def test_arguments_that_are_none_are_refused_with_the_function(
    args: list[object], reason: str
) -> None:
    refused = decode_arguments("dir/m:send", args, "")
    assert isinstance(refused, str)
    assert refused.startswith("Invalid arguments for dir/m.js:send: ")
    assert reason in refused


def test_a_path_without_a_function_means_the_default_export() -> None:
    assert str(decode_arguments("dir/m.js", [], "")).startswith(
        "Invalid arguments for dir/m.js:default"
    )


def test_nesting_without_end_is_refused() -> None:
    nested: object = 1
    for _ in range(500):
        nested = [nested]
    assert "nested" in str(decode_arguments("m:send", [{"x": nested}], ""))


def test_components_do_not_exist() -> None:
    assert "Component 'a/b' does not exist" in str(decode_arguments("m:send", [{}], "a/b"))


def test_a_refused_call_has_the_shape_of_a_failed_one() -> None:
    refused = RefusedCall.because("No.", "session|1", redact=False)
    request_id = sha256(b"session|1").hexdigest()[:16]
    assert refused.error.message == f"[Request ID: {request_id}] Server Error\nNo.\n"
    assert refused.error.data is None


def test_a_redacted_refusal_says_only_that_there_was_an_error() -> None:
    refused = RefusedCall.because("No.", "session|1", redact=True)
    assert refused.error.message.endswith("] Server Error")
