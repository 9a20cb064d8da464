"""The npm `ConvexReactClient` and its hooks, unmodified, under React against a real server."""

from __future__ import annotations

import pytest

from tests.processes import NodeScript, Server, run_node

pytestmark = pytest.mark.node


def without_repeats(values: list[object]) -> list[object]:
    """React renders when it likes; what counts is the sequence of different values."""
    return [value for index, value in enumerate(values) if index == 0 or value != values[index - 1]]


def test_use_query_use_mutation_and_use_action_show_every_change(server: Server, room: str) -> None:
    seen = run_node("react", server.url, "hooks", room=room)
    renders = without_repeats(seen["renders"]["renders"])
    assert renders[:3] == [None, [], ["own"]]
    assert renders[-1] == ["own", "third", "other"]
    assert seen["renders"]["count"] == 3
    assert seen["renders"]["skipped"]


def test_a_component_that_changes_its_arguments_never_shows_the_other_query(
    server: Server, room: str
) -> None:
    assert run_node("react", server.url, "switching", room=room)["switched"]["mixed"] is False


def test_a_failing_query_reaches_the_error_boundary_with_its_data(
    server: Server, room: str
) -> None:
    seen = run_node("react", server.url, "errors", room=room)
    assert seen["with data"]["name"] == "ConvexError"
    assert seen["with data"]["data"] == {"code": 7}
    assert "Path: .room\nValue: 5.0" in seen["bad arguments"]["message"]


def test_an_optimistic_update_is_rendered_and_replaced_without_a_flicker(
    server: Server, room: str
) -> None:
    renders = run_node("react", server.url, "optimistic", room=room)["renders"]["renders"]
    assert without_repeats(renders) == [None, [], ["one …"], ["one"]]


def test_two_queries_of_one_component_are_never_at_different_timestamps(
    server: Server, room: str
) -> None:
    seen = run_node("react", server.url, "pairs", room=room, rounds=40)["pairs"]["seen"]
    assert len(seen) > 5
    assert {left + right for left, right in seen} == {2000}


@pytest.fixture(scope="module")
def pages(server: Server) -> dict[str, object]:
    return run_node("react", server.url, "pagination", room="react pagination")["pages"]


def test_pages_never_overlap_and_never_leave_gaps_while_rows_come_and_go(
    pages: dict[str, object],
) -> None:
    assert pages["torn"] == []


def test_a_page_that_grew_is_split_by_the_client(pages: dict[str, object]) -> None:
    assert pages["splits"] >= 2


def test_the_list_ends_with_every_row(pages: dict[str, object]) -> None:
    assert pages["last"] == pages["all"]
    assert "Exhausted" in pages["statuses"]


def test_a_list_that_was_empty_grows(server: Server, room: str) -> None:
    pages = run_node("react", server.url, "growing", room=room)["pages"]
    assert (pages["torn"], pages["last"]) == ([], pages["all"])


def test_pages_keep_their_boundaries_over_a_restart_of_the_server(
    durable_server: Server, room: str
) -> None:
    with NodeScript("react", durable_server.url, "restart", room=room) as script:
        script.expect("ready")
        durable_server.kill()
        durable_server.start()
        script.send("restarted")
        script.finish()
        (pages,) = script.seen("pages")
    assert pages["torn"] == []
