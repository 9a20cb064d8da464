"""Subscriptions: version chain, what a Transition says, and when there is one."""

from __future__ import annotations

from reactor.engine.outcome import Outcome
from reactor.errors import InvalidRequest, Overloaded
from reactor.sync.requests import Advance, WatchQuery
from reactor.sync.versions import encode_timestamp
from tests.sync.connection import Connection, add, failure, remove, value


def test_connect_alone_is_not_answered() -> None:
    connection = Connection()
    connection.connect()
    assert connection.requests == []
    assert connection.messages() == []


def test_a_new_query_is_watched_and_answered() -> None:
    connection = Connection()
    connection.connect()
    connection.modify(add(3, "q:a", args=[{"x": 1}], journal="J"))
    assert connection.advance(10, (3, value("v", 10))).adds == (
        WatchQuery(3, "q:a", {"x": 1}, "J"),
    )
    transition = connection.transition()
    assert transition["endVersion"] == {"querySet": 1, "identity": 0, "ts": encode_timestamp(10)}
    (modification,) = transition["modifications"]
    assert modification["type"] == "QueryUpdated"
    assert modification["value"] == "v"


def test_binary_frames_holding_json_are_accepted() -> None:
    connection = Connection()
    connection.send_text(
        b'{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[]}'
    )
    assert connection.waiting(Advance) == 1


def test_connect_may_be_missing() -> None:
    connection = Connection()
    connection.modify(add(0))
    connection.advance(10, (0, value(1, 10)))
    assert connection.kinds() == ["Transition"]


def test_an_empty_modification_list_is_answered_by_an_empty_transition() -> None:
    connection = Connection.subscribed()
    assert connection.version["querySet"] == 1
    connection.modify()
    connection.advance(10)
    assert connection.transition()["modifications"] == []


def test_a_removed_query_is_answered_by_query_removed() -> None:
    connection = Connection.subscribed(4)
    connection.modify(remove(4))
    assert connection.advance(11).removes == (4,)
    assert connection.transition()["modifications"] == [{"type": "QueryRemoved", "queryId": 4}]


def test_an_id_added_and_removed_before_it_was_watched_is_answered_by_query_removed() -> None:
    connection = Connection.subscribed()
    connection.dirty()
    connection.modify(add(4))
    connection.modify(remove(4))
    connection.advance(11)
    connection.advance(11)
    assert connection.transition()["modifications"] == [{"type": "QueryRemoved", "queryId": 4}]


def test_an_id_added_and_removed_in_one_message_is_answered_by_query_removed() -> None:
    connection = Connection.subscribed()
    connection.modify(add(4), remove(4))
    assert connection.advance(11).adds == ()
    assert connection.transition()["modifications"] == [{"type": "QueryRemoved", "queryId": 4}]


def test_an_id_may_be_used_again_after_its_removal() -> None:
    connection = Connection.subscribed(4)
    connection.modify(remove(4), add(4, "q:b"))
    request = connection.advance(11, (4, value(0, 11)))
    assert (request.removes, request.adds) == ((4,), (WatchQuery(4, "q:b", {}, None),))
    kinds = [m["type"] for m in connection.transition()["modifications"]]
    assert kinds == ["QueryRemoved", "QueryUpdated"]


def test_removing_an_unknown_id_is_harmless() -> None:
    connection = Connection.subscribed()
    connection.modify(remove(99))
    connection.advance(11)
    assert connection.kinds() == ["Transition"]


def test_messages_that_arrive_during_an_advance_are_coalesced_into_the_next() -> None:
    connection = Connection()
    connection.modify(add(0))
    connection.modify(add(1))
    connection.modify(add(2), remove(1))
    assert connection.waiting(Advance) == 1
    connection.advance(10, (0, value("a", 10)))
    assert connection.transition()["endVersion"]["querySet"] == 1
    request = connection.advance(11, (2, value("c", 11)))
    assert [query.query_id for query in request.adds] == [2]
    transition = connection.transition()
    assert transition["endVersion"]["querySet"] == 3
    assert [m["type"] for m in transition["modifications"]] == ["QueryRemoved", "QueryUpdated"]


def test_a_changed_result_is_pushed() -> None:
    connection = Connection.subscribed(0, 1)
    connection.dirty()
    connection.advance(12, (1, value("new", 12)))
    (modification,) = connection.transition()["modifications"]
    assert (modification["queryId"], modification["value"]) == (1, "new")


def test_no_transition_when_nothing_changed() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.advance(12)
    assert connection.messages() == []
    assert connection.requests == []


def test_an_equal_result_is_not_sent_again() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.advance(12, (0, value(0, 12)))
    assert connection.messages() == []


def test_an_equal_result_with_another_journal_is_sent() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.advance(12, (0, value(0, 12, journal="J")))
    (modification,) = connection.transition()["modifications"]
    assert modification["journal"] == "J"


def test_results_are_ordered_by_query_id() -> None:
    connection = Connection()
    connection.modify(add(5), add(1), add(3))
    connection.advance(10, (5, value(1, 10)), (1, value(1, 10)), (3, value(1, 10)))
    ids = [m["queryId"] for m in connection.transition()["modifications"]]
    assert ids == [1, 3, 5]


def test_no_advance_starts_while_a_transition_is_not_taken() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.advance(11, (0, value(1, 11)))
    connection.dirty()
    connection.modify(add(1))
    assert connection.waiting(Advance) == 0
    connection.messages()
    assert connection.waiting(Advance) == 1


def test_intermediate_states_are_skipped_for_a_slow_client() -> None:
    connection = Connection.subscribed(0)
    for _ in range(100):
        connection.dirty()
    connection.advance(60, (0, value(50, 60)))
    for _ in range(100):
        connection.dirty()
    assert connection.waiting(Advance) == 0
    connection.messages()
    connection.advance(111, (0, value(100, 111)))
    assert connection.transition()["modifications"][0]["value"] == 100
    assert connection.waiting(Advance) == 0


def test_a_failing_query_is_query_failed_and_the_connection_goes_on() -> None:
    connection = Connection()
    connection.modify(add(0))
    connection.advance(10, (0, failure("boom")))
    (modification,) = connection.transition()["modifications"]
    assert modification["errorMessage"] == "boom"
    assert connection.session.closed is None


def test_arguments_that_do_not_decode_fail_that_query_alone() -> None:
    connection = Connection()
    connection.modify(add(0, args=[{"x": {"$integer": "AA=="}}]), add(1))
    assert [query.query_id for query in connection.advance(10, (1, value(1, 10))).adds] == [1]
    failed, updated = connection.transition()["modifications"]
    assert failed["type"] == "QueryFailed"
    assert "Invalid arguments for q.js:a: " in failed["errorMessage"]
    assert updated["type"] == "QueryUpdated"


def test_a_refused_query_is_told_once_and_can_be_removed() -> None:
    connection = Connection()
    connection.modify(add(0, componentPath="a/b"))
    connection.advance(10)
    (failed,) = connection.transition()["modifications"]
    assert "Component 'a/b' does not exist" in failed["errorMessage"]
    connection.dirty()
    connection.advance(11)
    assert connection.messages() == []
    connection.modify(remove(0))
    connection.advance(12)
    assert connection.transition()["modifications"] == [{"type": "QueryRemoved", "queryId": 0}]


def test_the_text_of_a_refused_query_is_redacted_where_texts_are() -> None:
    connection = Connection(redact=True)
    connection.modify(add(0, args=[]))
    connection.advance(10)
    (failed,) = connection.transition()["modifications"]
    assert failed["errorMessage"].endswith("] Server Error")


def test_a_result_of_a_query_that_was_removed_meanwhile_is_followed_by_its_removal() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.modify(remove(0))
    connection.advance(11, (0, value("late", 11)))
    assert connection.transition()["modifications"][0]["type"] == "QueryUpdated"
    connection.advance(11)
    assert connection.transition()["modifications"] == [{"type": "QueryRemoved", "queryId": 0}]


def test_trouble_while_recomputing_is_not_a_query_failed_but_closes_for_another_try() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.fail(Overloaded("too much"))
    assert connection.messages() == []
    assert connection.close == (1013, "TooManyConcurrentRequests")


def test_large_transitions_are_split_for_clients_that_can_take_it() -> None:
    connection = Connection(chunk_bytes=100)
    connection.modify(add(0))
    connection.advance(10, (0, value("é" * 200, 10)))
    chunks = connection.messages()
    assert {chunk["type"] for chunk in chunks} == {"TransitionChunk"}
    assert [chunk["partNumber"] for chunk in chunks] == list(range(chunks[0]["totalParts"]))


def test_large_transitions_stay_whole_for_everybody_else() -> None:
    connection = Connection()
    connection.modify(add(0))
    connection.advance(10, (0, value("é" * 6_000_000, 10)))
    assert connection.kinds() == ["Transition"]


def test_requests_after_the_end_do_nothing() -> None:
    connection = Connection.subscribed(0)
    connection.dirty()
    connection.fail(InvalidRequest("no"))
    connection.session.advance_done(11, [(0, Outcome.of(11, value=b"1"))])
    connection.mutate(1)
    connection.modify(add(7))
    assert connection.kinds() == ["FatalError"]
    assert connection.session.take_requests() == []
