"""The npm `ConvexClient` and `BaseConvexClient`, unmodified, against a real server."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.clients.value_cases import VALUE_CASES
from tests.processes import NodeScript, Server, run_node

pytestmark = pytest.mark.node

Observations = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def functions(server: Server) -> Observations:
    return run_node("sync", server.url, "functions", room="npm sync functions")


@pytest.fixture(scope="module")
def failures(server: Server) -> Observations:
    return run_node("sync", server.url, "failures", room="npm sync failures")


@pytest.fixture(scope="module")
def fields(server: Server) -> Observations:
    return run_node("sync", server.url, "fields", room="npm sync fields")


@pytest.fixture(scope="module")
def typed(server: Server) -> Observations:
    return run_node("sync", server.url, "typed", room="npm sync typed")


def test_a_one_shot_query_returns_the_present_value(functions: Observations) -> None:
    assert functions["query"]["count"] == 0


def test_a_mutation_is_visible_to_its_client_when_it_resolves(functions: Observations) -> None:
    assert functions["visible when the mutation resolved"]["bodies"] == ["own"]


def test_a_subscription_is_pushed_every_change_once(functions: Observations) -> None:
    values = functions["values"]["values"]
    assert values[0] == []
    assert values[-1] == ["own", "third", "other"]
    assert all(earlier != later for earlier, later in pairwise(values))


def test_an_action_over_the_socket_returns_its_result(functions: Observations) -> None:
    assert functions["values"]["count"] == 3


def test_the_id_from_a_mutation_gets_the_document(functions: Observations) -> None:
    document = functions["document"]["document"]
    assert (document["_id"], document["body"]) == (functions["values"]["id"], "own")


def test_a_cancelled_subscription_is_told_nothing_more(server: Server, room: str) -> None:
    seen = run_node("sync", server.url, "unsubscribe", room=room)
    assert seen["values"]["stopped"] == 1
    assert seen["values"]["other"] == 1
    assert seen["values"]["kept"] == [[], ["after"]]
    assert seen["again"]["value"] == 1


def test_a_write_that_changes_nothing_for_a_query_is_not_pushed(server: Server, room: str) -> None:
    assert run_node("sync", server.url, "quietness", room=room)["pushes"]["count"] == 1


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("unknown function", "messages:nope"),
        ("unknown mutation", "messages:nope"),
        ("unknown action", "nowhere:nope"),
        ("internal function", "messages:hidden"),
    ],
)
def test_an_unknown_function_is_a_failed_call(failures: Observations, call: str, path: str) -> None:
    assert f"Could not find public function for '{path}'." in failures[call]["message"]
    assert not failures[call]["hasData"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("bad arguments", "Path: .room\nValue: 5.0\nValidator: v.string()"),
        ("bad arguments of a mutation", "Path: .body\nValue: 1.0\nValidator: v.string()"),
    ],
)
def test_bad_arguments_are_shown_with_their_path(
    failures: Observations, call: str, expected: str
) -> None:
    assert expected in failures[call]["message"]


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_exception_fails_the_call(failures: Observations, kind: str) -> None:
    message = failures[f"{kind} fails"]["message"]
    assert "Uncaught ValueError: the-secret-in-the-message" in message
    assert not failures[f"{kind} fails"]["hasData"]


@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
def test_an_application_error_arrives_with_its_data(failures: Observations, kind: str) -> None:
    failure = failures[f"{kind} refuses"]
    assert failure["name"] == "ConvexError"
    expected = {"code": 7, "nested": ["x"], "big": {"$integer": "BQAAAAAAAAA="}}
    assert failure["data"] == expected


def test_a_failing_subscription_reports_its_error(failures: Observations) -> None:
    assert failures["subscription fails"]["data"] == "why"


def test_the_connection_outlives_failed_calls(failures: Observations) -> None:
    assert failures["still alive"]["count"] == 0


def test_a_failed_subscription_recovers_when_the_data_changes(server: Server, room: str) -> None:
    seen = run_node("sync", server.url, "recovery", room=room)
    assert seen["at first"]["data"] == {"code": "NO_ACCOUNT", "owner": "left"}
    assert seen["then"]["value"] == 10


def test_what_a_function_prints_and_logs_reaches_the_console(server: Server, room: str) -> None:
    lines = run_node("sync", server.url, "logs", room=room)["lines"]["lines"]
    printed = " ".join(lines)
    assert "hello from the query" in printed
    assert "careful" in printed
    assert "Could not parse" not in printed


def test_values_of_every_type_return_as_they_were_sent(server: Server, room: str) -> None:
    with NodeScript("sync", server.url, "values", room=room, cases=VALUE_CASES) as script:
        script.finish()
        seen = {each["name"]: each["seen"] for each in script.seen("value")}
    assert seen == {name: [value] * 4 for name, value in VALUE_CASES}


def without_system_fields(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.startswith("_")}


@pytest.mark.parametrize("case", ["never set", "undefined"])
def test_a_field_with_default_none_that_was_never_set_is_absent(
    fields: Observations, case: str
) -> None:
    assert without_system_fields(fields[case]["document"]) == {"name": "n", "color": "blue"}
    assert fields[case]["python"] == {"nickname": None, "color": "blue", "hasShoeSize": False}


def test_an_explicit_null_is_stored_as_null(fields: Observations) -> None:
    document = without_system_fields(fields["null"]["document"])
    assert document == {"name": "n", "color": "blue", "nickname": None, "shoeSize": 44}
    assert fields["null"]["python"]["nickname"] is None


def test_patching_with_missing_removes_the_field(fields: Observations) -> None:
    assert "nickname" not in fields["null removed"]["document"]


def test_fields_that_are_set_are_stored(fields: Observations) -> None:
    document = without_system_fields(fields["set"]["document"])
    assert document == {"name": "n", "nickname": "nick", "color": "red"}


def test_null_is_refused_where_a_field_may_only_be_absent(fields: Observations) -> None:
    message = fields["null where only absent is allowed"]["message"]
    assert "Path: .shoeSize\nValue: null\n" in message


def test_a_document_with_a_field_of_every_type_is_read_as_it_was_written(
    typed: Observations,
) -> None:
    assert without_system_fields(typed["parcel"]["stored"]) == typed["parcel"]["sent"]


@pytest.mark.parametrize(
    ("mistake", "path"),
    [
        ("float for an int64", ".serial"),
        ("int64 for a float", ".ratio"),
        ("fraction for an int", ".weightGrams"),
        ("unknown literal", ".kind"),
        ("nested mistake", ".destination.longitude"),
        ("id of another table", ".sender"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_with_its_path(
    typed: Observations, mistake: str, path: str
) -> None:
    assert f"Path: {path}" in typed[mistake]["message"]


def test_two_queries_of_one_client_are_never_at_different_timestamps(
    server: Server, room: str
) -> None:
    pairs = run_node("sync", server.url, "pairs", room=room, rounds=60)["pairs"]
    assert len(pairs["seen"]) > 10
    assert {left + right for left, right in pairs["seen"]} == {2000}
    assert {left + right for left, right in pairs["callbackPairs"]} == {2000}


@pytest.fixture(scope="module")
def optimistic(server: Server) -> Observations:
    return run_node("sync", server.url, "optimistic", room="npm sync optimistic")


def test_an_optimistic_update_shows_at_once_and_gives_way_to_the_result_without_a_flicker(
    optimistic: Observations,
) -> None:
    assert optimistic["applied"]["values"] == [[], ["one …"], ["one"]]


def test_an_optimistic_update_is_dropped_when_the_mutation_fails(
    optimistic: Observations,
) -> None:
    assert optimistic["refused"]["values"] == [["one", "no …"], ["one"]]
    assert optimistic["refused"]["failure"]["data"]["code"] == "REFUSED"
