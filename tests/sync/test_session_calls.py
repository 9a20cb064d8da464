"""Mutations and actions: order, and the order of responses and Transitions."""

from __future__ import annotations

import pytest

from reactor.data.values import Int64
from reactor.errors import InternalProblem, Overloaded
from reactor.identity import Identity
from reactor.sync.requests import Advance, RunAction, RunMutation
from reactor.sync.versions import encode_timestamp
from tests.sync.connection import SESSION_ID, Connection, add, failure, value

ANONYMOUS = Identity.ANONYMOUS


def test_a_mutation_is_requested_with_everything_it_needs() -> None:
    connection = Connection.subscribed()
    connection.mutate(7, args=[{"n": {"$integer": "AQAAAAAAAAA="}}])
    assert connection.take(RunMutation) == RunMutation(
        7, "m:m", {"n": Int64(1)}, ANONYMOUS, SESSION_ID
    )


def test_without_connect_there_is_no_session_to_remember_requests_of() -> None:
    connection = Connection()
    connection.mutate(0)
    assert connection.take(RunMutation).session_id is None


def test_the_response_comes_first_and_then_a_transition_that_covers_it() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.mutated(1, value("done", 20))
    connection.advance(20, (0, value("after", 20)))
    response, transition = connection.messages()
    assert response["type"] == "MutationResponse"
    assert (response["result"], response["ts"]) == ("done", encode_timestamp(20))
    assert transition["endVersion"]["ts"] == encode_timestamp(20)
    assert transition["modifications"][0]["value"] == "after"


def test_there_is_a_transition_even_if_nothing_changed() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.mutated(1, value(None, 10))
    connection.advance(10)
    assert connection.kinds() == ["MutationResponse", "Transition"]


def test_a_failed_mutation_is_followed_by_a_transition_too() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.mutated(1, failure(data=b'"x"'))
    (response,) = connection.messages()
    assert (response["success"], response["errorData"], response["ts"]) == (False, "x", None)
    connection.advance(10)
    assert connection.kinds() == ["Transition"]


def test_an_action_is_followed_by_a_transition_too() -> None:
    connection = Connection.subscribed(0)
    connection.act(1)
    connection.acted(1, value("r"))
    connection.advance(15)
    assert connection.kinds() == ["ActionResponse", "Transition"]


def test_mutations_run_one_after_the_other_in_order_of_arrival() -> None:
    connection = Connection.subscribed()
    for request_id in (5, 3, 4):
        connection.mutate(request_id)
    for ts, request_id in enumerate((5, 3, 4), 20):
        assert connection.waiting(RunMutation) == 1
        connection.mutated(request_id, value(None, ts))


def test_the_next_mutation_starts_after_one_that_failed() -> None:
    connection = Connection.subscribed()
    connection.mutate(0)
    connection.mutate(1)
    connection.mutated(0, failure())
    assert connection.take(RunMutation).request_id == 1


def test_actions_run_beside_each_other_and_answer_in_any_order() -> None:
    connection = Connection.subscribed()
    connection.mutate(0)
    connection.act(1)
    connection.act(2)
    assert connection.waiting(RunAction) == 2
    connection.acted(2, value("second"))
    connection.acted(1, value("first"))
    assert [m["requestId"] for m in connection.messages()] == [2, 1]


def test_a_response_waits_for_the_advance_that_started_before_the_commit() -> None:
    """The Advance under way may end below the commit: then its Transition must go first."""
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.mutated(1, value("done", 20))
    assert connection.messages() == []
    connection.advance(15, (0, value("before", 15)))
    transition, response = connection.messages()
    assert transition["endVersion"]["ts"] == encode_timestamp(15)
    assert response["type"] == "MutationResponse"
    connection.advance(20, (0, value("after", 20)))
    assert connection.transition()["endVersion"]["ts"] == encode_timestamp(20)


def test_a_response_goes_before_the_transition_of_an_advance_that_covers_it() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.mutated(1, value("done", 20))
    connection.advance(20, (0, value("after", 20)))
    assert connection.kinds() == ["MutationResponse", "Transition"]
    assert connection.waiting(Advance) == 0


def test_an_advance_with_nothing_to_tell_does_not_delay_the_response() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.mutated(1, value("done", 20))
    connection.advance(15)
    assert connection.kinds() == ["MutationResponse"]
    connection.advance(20)
    assert connection.kinds() == ["Transition"]


def test_a_failure_does_not_wait_for_the_advance_under_way() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.mutated(1, failure())
    assert connection.kinds() == ["MutationResponse"]


def test_a_transition_waits_while_a_mutation_that_it_may_cover_is_running() -> None:
    """Otherwise the client saw the effect before the response, and its optimistic one twice."""
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.advance(20, (0, value("after", 20)))
    assert connection.messages() == []
    assert connection.session.holding
    connection.mutated(1, value("done", 20))
    assert connection.kinds() == ["MutationResponse", "Transition"]
    assert not connection.session.holding


def test_a_transition_that_turns_out_not_to_cover_the_mutation_goes_before_its_response() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.advance(15, (0, value("other", 15)))
    connection.mutated(1, value("done", 20))
    assert connection.kinds() == ["Transition", "MutationResponse"]
    connection.advance(20)
    assert connection.kinds() == ["Transition"]


def test_a_transition_does_not_wait_for_a_mutation_that_takes_long() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.dirty()
    connection.advance(15, (0, value("other", 15)))
    connection.session.hold_expired()
    connection.step()
    assert connection.kinds() == ["Transition"]
    connection.mutated(1, value("done", 20))
    assert connection.kinds() == ["MutationResponse"]
    connection.advance(20)
    assert connection.kinds() == ["Transition"]


def test_responses_of_several_mutations_split_around_the_transition_by_their_timestamps() -> None:
    connection = Connection.subscribed(0)
    for request_id in (1, 2, 3):
        connection.mutate(request_id)
    connection.dirty()
    connection.mutated(1, value("a", 20))
    connection.mutated(2, value("b", 30))
    connection.advance(25, (0, value("between", 25)))
    messages = connection.messages()
    assert [m.get("requestId", m["type"]) for m in messages] == [1, "Transition", 2]
    connection.mutated(3, value("c", 40))
    connection.advance(40)
    connection.messages()
    assert connection.version["ts"] == encode_timestamp(40)


def test_a_response_that_is_covered_goes_out_while_the_transition_waits_for_the_next_one() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.mutate(2)
    connection.dirty()
    connection.mutated(1, value("a", 20))
    connection.advance(25, (0, value("x", 25)))
    assert connection.kinds() == ["MutationResponse"]
    connection.mutated(2, value("b", 25))
    assert connection.kinds() == ["MutationResponse", "Transition"]


def test_a_stream_of_mutations_does_not_starve_the_transitions() -> None:
    connection = Connection.subscribed(0)
    for request_id in range(100):
        connection.mutate(request_id)
    transitions = 0
    for request_id in range(100):
        connection.mutated(request_id, value(None, 20 + request_id))
        if connection.waiting(Advance):
            connection.advance(20 + request_id, (0, value(request_id, 20 + request_id)))
        transitions += connection.kinds().count("Transition")
    assert transitions >= 50


def test_an_advance_below_a_response_that_was_sent_is_repeated_with_its_results() -> None:
    """It would break the client's promise; a correct driver never does it."""
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.mutated(1, value("done", 20))
    connection.messages()
    connection.advance(15, (0, value("stale", 15)))
    assert connection.messages() == []
    connection.advance(21)
    (modification,) = connection.transition()["modifications"]
    assert modification["value"] == "stale"


def test_a_replayed_mutation_keeps_its_original_timestamp() -> None:
    connection = Connection.subscribed(0, ts=100)
    connection.mutate(1)
    connection.mutated(1, value("recorded", 40))
    connection.advance(100)
    response, transition = connection.messages()
    assert response["ts"] == encode_timestamp(40)
    assert transition["endVersion"]["ts"] == encode_timestamp(100)


@pytest.mark.parametrize("kind", ["Mutation", "Action"])
def test_a_call_with_bad_arguments_fails_without_running_and_owes_a_transition(kind: str) -> None:
    connection = Connection.subscribed()
    connection.send(kind, requestId=1, udfPath="m:send", args=["x"])
    assert (connection.waiting(RunMutation), connection.waiting(RunAction)) == (0, 0)
    (response,) = connection.messages()
    assert response["type"] == f"{kind}Response"
    assert response["success"] is False
    assert "Invalid arguments for m.js:send" in response["result"]
    connection.advance(11)
    assert connection.kinds() == ["Transition"]


def test_a_call_into_a_component_fails() -> None:
    connection = Connection.subscribed()
    connection.mutate(1, componentPath="lib")
    (response,) = connection.messages()
    assert "Component 'lib' does not exist" in response["result"]


def test_the_root_component_may_be_named() -> None:
    connection = Connection.subscribed()
    connection.mutate(1, componentPath="")
    assert connection.waiting(RunMutation) == 1


def test_too_many_mutations_close_with_a_reason_that_makes_clients_wait() -> None:
    connection = Connection.subscribed()
    for request_id in range(1001):
        connection.mutate(request_id)
    assert connection.session.closed is None
    connection.mutate(1001)
    assert connection.close == (1013, "TooManyConcurrentMutations")
    assert connection.messages() == []


def test_too_many_actions_close_likewise() -> None:
    connection = Connection.subscribed()
    for request_id in range(1001):
        connection.act(request_id)
    assert connection.close == (1013, "TooManyConcurrentActions")


def test_large_arguments_of_outstanding_calls_congest_the_connection() -> None:
    connection = Connection(outstanding_bytes=1_000)
    connection.mutate(1, args=[{"x": "x" * 600}])
    assert not connection.session.congested
    connection.act(2, args=[{"x": "x" * 600}])
    assert connection.session.congested
    connection.mutated(1, value(None, 1))
    assert not connection.session.congested


def test_responses_that_are_not_taken_end_the_connection() -> None:
    connection = Connection(unsent_messages=10)
    for request_id in range(11):
        connection.mutate(request_id, args=[])
    assert connection.close == (1013, "SlowClient")
    assert connection.messages() == []


def test_responses_that_are_not_taken_are_bounded_in_bytes_too() -> None:
    connection = Connection(unsent_bytes=1_000)
    connection.act(1)
    connection.acted(1, value("x" * 1_000))
    assert connection.close == (1013, "SlowClient")


def test_overload_closes_so_that_the_client_tries_again() -> None:
    connection = Connection.subscribed()
    connection.mutate(1)
    connection.fail(Overloaded("too much"))
    assert connection.close == (1013, "TooManyConcurrentRequests")


@pytest.mark.parametrize("problem", [None, InternalProblem("a secret detail")])
def test_internal_trouble_closes_without_details(problem: InternalProblem | None) -> None:
    connection = Connection.subscribed()
    connection.mutate(1)
    connection.fail(problem)
    assert connection.close == (1011, "InternalServerError")
    assert connection.messages() == []


def test_a_mutation_that_ends_after_the_connection_is_not_answered() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.session.shut_down(1012, "ServerRestart")
    connection.session.mutation_done(1, value(None, 20))
    connection.session.action_done(2, value(None))
    connection.step()
    assert connection.messages() == []


def test_mutations_may_be_sent_with_the_first_query_set() -> None:
    connection = Connection()
    connection.connect(connectionCount=1)
    connection.modify(add(0))
    connection.mutate(4)
    connection.mutated(4, value("old", 5))
    connection.advance(10, (0, value("v", 10)))
    assert connection.kinds() == ["MutationResponse", "Transition"]
