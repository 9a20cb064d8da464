"""A restart of the server under an official client: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.processes import NodeScript, Server

pytestmark = pytest.mark.node

IN_FLIGHT = 8
RESTARTS = 2


def wait_for_more(script: NodeScript, acknowledgements: int) -> None:
    for _ in range(acknowledgements):
        script.expect("acknowledged")


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_mutations_in_flight_at_a_restart_are_applied_exactly_once(
    durable_server: Server, room: str, ending: str
) -> None:
    with NodeScript(
        "sync", durable_server.url, "reconnect", room=room, inFlight=IN_FLIGHT
    ) as script:
        script.expect("subscribed")
        for _ in range(RESTARTS):
            wait_for_more(script, 30)
            getattr(durable_server, ending)()
            script.skip_to_the_newest()
            durable_server.start()
        wait_for_more(script, 30)
        script.send("enough")
        script.finish()
        (last,) = script.seen("records")
    records = Counter((each["sequence"], each["side"]) for each in last["records"])
    assert records == {
        (sequence, side): 1 for sequence in range(last["sent"]) for side in ("left", "right")
    }
    assert last["connections"] >= 1 + RESTARTS


def test_a_subscription_goes_on_after_a_restart(durable_server: Server, room: str) -> None:
    with NodeScript("sync", durable_server.url, "restart", room=room) as script:
        script.expect("ready")
        assert durable_server.stop() == 0
        durable_server.start()
        script.send("restarted")
        script.finish()
        (values,) = script.seen("values")
    assert values["last"] == ["before", "after"]
