from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reactor.engine.outcome import FunctionFailure, Outcome
from reactor.sync import server_messages as encode
from reactor.sync.versions import ZERO, Version
from tests.sync.connection import failure, value


def test_a_successful_mutation_has_result_timestamp_and_log_lines() -> None:
    outcome = value({"a": 1}, 1, log_lines=("[LOG] 'hi'",))
    assert json.loads(encode.encode_mutation_response(3, outcome)) == {
        "type": "MutationResponse",
        "requestId": 3,
        "success": True,
        "result": {"a": 1},
        "ts": "AQAAAAAAAAA=",
        "logLines": ["[LOG] 'hi'"],
    }


def test_a_failed_mutation_has_the_text_as_result_and_a_null_timestamp() -> None:
    assert json.loads(encode.encode_mutation_response(3, failure("boom"))) == {
        "type": "MutationResponse",
        "requestId": 3,
        "success": False,
        "result": "boom",
        "ts": None,
        "logLines": [],
    }


def test_error_data_is_present_only_for_application_errors_and_may_be_null() -> None:
    assert "errorData" not in json.loads(encode.encode_action_response(1, failure()))
    response = json.loads(encode.encode_action_response(1, failure(data=b"null")))
    assert response["errorData"] is None


def test_an_action_response_has_no_timestamp() -> None:
    assert json.loads(encode.encode_action_response(1, value(None))) == {
        "type": "ActionResponse",
        "requestId": 1,
        "success": True,
        "result": None,
        "logLines": [],
    }


def test_a_transition_holds_results_failures_and_removals() -> None:
    failed = Outcome.of(0, error=FunctionFailure("boom", b'"data"'), log_lines=("[LOG] 1",))
    transition = encode.encode_transition(
        ZERO,
        Version(1, 0, 1),
        [
            encode.query_removed(2),
            encode.query_result(0, value([1], journal="J")),
            encode.query_result(1, failed),
        ],
    )
    assert json.loads(transition) == {
        "type": "Transition",
        "startVersion": {"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="},
        "endVersion": {"querySet": 1, "identity": 0, "ts": "AQAAAAAAAAA="},
        "modifications": [
            {"type": "QueryRemoved", "queryId": 2},
            {
                "type": "QueryUpdated",
                "queryId": 0,
                "value": [1],
                "logLines": [],
                "journal": "J",
            },
            {
                "type": "QueryFailed",
                "queryId": 1,
                "errorMessage": "boom",
                "errorData": "data",
                "logLines": ["[LOG] 1"],
                "journal": None,
            },
        ],
    }


def test_values_are_spliced_byte_by_byte() -> None:
    outcome = Outcome.of(1, value=b'{"b":1,  "a":2.50}')
    assert '{"b":1,  "a":2.50}' in encode.encode_action_response(0, outcome)


def test_lone_surrogates_in_texts_do_not_lose_the_message() -> None:
    outcome = value(1, log_lines=("[LOG] '\ud800'",))
    assert json.loads(encode.encode_action_response(0, outcome))["logLines"] == ["[LOG] '?'"]


def test_errors_and_pings() -> None:
    assert json.loads(encode.encode_fatal_error("x")) == {"type": "FatalError", "error": "x"}
    assert json.loads(encode.encode_auth_error("x", 2, update_attempted=True)) == {
        "type": "AuthError",
        "error": "x",
        "baseVersion": 2,
        "authUpdateAttempted": True,
    }
    assert json.loads(encode.PING) == {"type": "Ping"}


@given(st.text(min_size=1, max_size=200), st.integers(4, 50))
def test_the_chunks_of_a_transition_make_it_up_again(text: str, part_bytes: int) -> None:
    data = json.dumps(text, ensure_ascii=False).encode(errors="replace")
    chunks = [json.loads(chunk) for chunk in encode.split_transition(data, part_bytes, "7")]
    assert "".join(chunk["chunk"] for chunk in chunks).encode() == data
    assert [chunk["partNumber"] for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk["type"] == "TransitionChunk"
        assert chunk["totalParts"] == len(chunks)
        assert chunk["transitionId"] == "7"
        assert len(chunk["chunk"].encode()) <= part_bytes
