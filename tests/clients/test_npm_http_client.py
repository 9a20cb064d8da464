"""The npm `ConvexHttpClient`, unmodified, against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.value_cases import VALUE_CASES
from tests.processes import NodeScript, Server, run_node

pytestmark = pytest.mark.node

Observations = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def functions(server: Server) -> Observations:
    return run_node("http", server.url, "functions", room="npm http functions")


@pytest.fixture(scope="module")
def failures(server: Server) -> Observations:
    return run_node("http", server.url, "failures", room="npm http failures")


def test_a_mutation_returns_the_id_that_a_query_then_shows(functions: Observations) -> None:
    (document,) = functions["query"]["documents"]
    assert document["_id"] == functions["mutation"]["id"]
    assert len(document["_id"]) == 32
    assert document["_creationTime"] > 1.6e12
    assert {name: document[name] for name in ("room", "body", "number")} == {
        "room": "npm http functions",
        "body": "first",
        "number": 1,
    }


def test_functions_are_found_by_their_string_path(functions: Observations) -> None:
    assert functions["by string path"]["count"] == 1


def test_an_action_runs_mutations_and_queries(functions: Observations) -> None:
    assert functions["action"]["count"] == 3


def test_consistent_queries_keep_the_timestamp_of_the_first(functions: Observations) -> None:
    assert functions["consistent"] == {"event": "consistent", "consistent": [3, 3, 3], "now": 6}


@pytest.mark.parametrize("call", ["unknown function", "internal function"])
def test_a_function_that_is_not_public_is_reported_as_missing(
    failures: Observations, call: str
) -> None:
    name = {"unknown function": "nope", "internal function": "hidden"}[call]
    message = failures[call]["message"]
    assert f"Could not find public function for 'messages:{name}'." in message
    assert not failures[call]["hasData"]


def test_a_mutation_called_as_a_query_is_refused_with_both_types(failures: Observations) -> None:
    expected = "Trying to execute messages.js:send as Query, but it is defined as Mutation."
    assert expected in failures["wrong type"]["message"]


def test_a_malformed_path_is_a_bad_request(failures: Observations) -> None:
    assert "BadConvexFunctionIdentifier" in failures["malformed path"]["message"]


def test_a_missing_argument_is_named(failures: Observations) -> None:
    message = failures["missing argument"]["message"]
    assert "ArgumentValidationError: Object is missing the required field `room`." in message


def test_an_extra_argument_is_named(failures: Observations) -> None:
    message = failures["extra argument"]["message"]
    assert "Object contains extra field `extra` that is not in the validator." in message


def test_an_argument_of_the_wrong_type_is_shown_with_its_path(failures: Observations) -> None:
    message = failures["argument of the wrong type"]["message"]
    expected = "Value does not match validator.\nPath: .room\nValue: 5.0\nValidator: v.string()"
    assert f"ArgumentValidationError: {expected}" in message


def test_an_argument_out_of_bounds_is_shown_with_its_path(failures: Observations) -> None:
    message = failures["argument out of bounds"]["message"]
    assert "Path: .amount\nValue: 11.0\nValidator: v.float64()" in message


def test_a_wrong_return_value_is_an_error(failures: Observations) -> None:
    assert "ReturnsValidationError: " in failures["wrong return value"]["message"]


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_exception_is_reported_with_its_name_in_development(
    failures: Observations, kind: str
) -> None:
    failure = failures[f"{kind} fails"]
    assert failure["message"].startswith("[Request ID: ")
    assert "Uncaught ValueError: the-secret-in-the-message" in failure["message"]
    assert (failure["name"], failure["hasData"]) == ("Error", False)


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_application_error_arrives_with_its_data(failures: Observations, kind: str) -> None:
    failure = failures[f"{kind} refuses"]
    assert failure["name"] == "ConvexError"
    assert failure["data"] == {
        "code": 7,
        "nested": ["x", {"deep": None}],
        "big": {"$integer": "AQAAAAAAIAA="},
    }


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_application_error_may_carry_null(failures: Observations, kind: str) -> None:
    failure = failures[f"{kind} refuses with null"]
    assert (failure["name"], failure["hasData"], failure["data"]) == ("ConvexError", True, None)


def test_a_failed_mutation_leaves_nothing_behind(failures: Observations) -> None:
    assert failures["rolled back"]["data"] == {"code": "REFUSED", "room": "npm http failures"}
    assert failures["left over"]["count"] == 0


def test_an_application_error_passes_through_an_action(failures: Observations) -> None:
    assert failures["action that met a failure"]["data"]["code"] == "REFUSED"


def test_internal_functions_are_callable_from_the_app_itself(failures: Observations) -> None:
    assert failures["hidden by action"]["value"] == "only for this app's own code"


def test_values_of_every_type_return_as_they_were_sent(server: Server, room: str) -> None:
    with NodeScript("http", server.url, "values", room=room, cases=VALUE_CASES) as script:
        script.finish()
        seen = {each["name"]: each["seen"] for each in script.seen("value")}
    assert seen == {name: [value] * 4 for name, value in VALUE_CASES}
