"""Authentication: versions, waiting, failing."""

from __future__ import annotations

from reactor.errors import Forbidden, Unauthenticated
from reactor.identity import Identity
from reactor.sync.requests import Advance, RunAction, RunMutation, VerifyToken
from tests.sync.connection import Connection, add, value

ALICE = Identity.of_user({"subject": "alice"})


def test_a_token_is_verified_and_answered_even_without_queries() -> None:
    connection = Connection()
    connection.connect()
    connection.authenticate(0)
    assert connection.authenticated(ALICE) == VerifyToken("User", "token", None)
    assert connection.advance(10).identity == ALICE
    transition = connection.transition()
    assert (transition["endVersion"]["identity"], transition["modifications"]) == (1, [])


def test_clearing_the_identity_is_a_step_too() -> None:
    connection = Connection.subscribed()
    connection.authenticate(0, None)
    connection.authenticated(Identity.ANONYMOUS)
    connection.advance(11)
    assert connection.transition()["endVersion"]["identity"] == 1


def test_an_admin_may_impersonate() -> None:
    connection = Connection()
    connection.send(
        "Authenticate",
        baseVersion=0,
        tokenType="Admin",
        value="key",
        impersonating={"subject": "alice"},
    )
    assert connection.take(VerifyToken) == VerifyToken("Admin", "key", {"subject": "alice"})


def test_later_messages_wait_until_the_token_is_verified() -> None:
    connection = Connection()
    connection.connect()
    connection.authenticate(0)
    connection.modify(add(0))
    connection.mutate(1)
    connection.act(2)
    assert connection.session.congested
    assert [type(request) for request in connection.requests] == [VerifyToken]
    connection.authenticated(ALICE)
    assert not connection.session.congested
    assert connection.take(RunMutation).identity == ALICE
    assert connection.take(RunAction).identity == ALICE
    connection.advance(10, (0, value(1, 10)))
    connection.session.hold_expired()
    assert connection.transition()["endVersion"] == connection.version | {
        "querySet": 1,
        "identity": 1,
    }


def test_tokens_are_verified_one_after_the_other() -> None:
    connection = Connection()
    connection.authenticate(0, "first")
    connection.authenticate(1, "second")
    connection.mutate(1)
    connection.authenticated(ALICE)
    assert connection.waiting(RunMutation) == 0
    assert connection.authenticated(Identity.ADMIN).value == "second"
    assert connection.take(RunMutation).identity == Identity.ADMIN


def test_a_mutation_runs_under_the_identity_of_its_arrival() -> None:
    connection = Connection()
    connection.mutate(0)
    connection.mutate(1)
    connection.authenticate(0)
    connection.authenticated(ALICE)
    connection.mutate(2)
    identities = []
    for request_id in range(3):
        identities.append(connection.take(RunMutation).identity)
        connection.session.mutation_done(request_id, value(None, 10 + request_id))
        connection.step()
    assert identities == [Identity.ANONYMOUS, Identity.ANONYMOUS, ALICE]


def test_queries_advance_while_a_token_is_verified() -> None:
    connection = Connection.subscribed(0)
    connection.authenticate(0)
    connection.dirty()
    assert connection.advance(11, (0, value(1, 11))).identity == Identity.ANONYMOUS
    assert connection.transition()["endVersion"]["identity"] == 0


def test_a_refused_token_is_an_auth_error_with_the_last_sent_version_and_the_end() -> None:
    connection = Connection.subscribed(0)
    connection.authenticate(0)
    connection.authenticated(ALICE)
    connection.advance(11)
    connection.messages()
    connection.authenticate(1)
    connection.session.authentication_failed(Unauthenticated("No auth provider found."))
    (message,) = connection.messages()
    assert message == {
        "type": "AuthError",
        "error": "No auth provider found.",
        "baseVersion": 1,
        "authUpdateAttempted": True,
    }
    assert connection.close == (1000, "AuthenticationFailed")


def test_the_base_version_of_an_auth_error_is_what_was_sent_not_what_was_received() -> None:
    connection = Connection.subscribed(0)
    connection.authenticate(0)
    connection.authenticated(ALICE)
    connection.authenticate(1)
    connection.session.authentication_failed(Unauthenticated("no"))
    assert connection.messages()[-1]["baseVersion"] == 0


def test_an_expired_identity_is_an_auth_error_that_was_not_attempted() -> None:
    connection = Connection.subscribed(0)
    connection.mutate(1)
    connection.fail(Unauthenticated("Convex token identity expired"))
    (message,) = connection.messages()
    assert (message["type"], message["authUpdateAttempted"]) == ("AuthError", False)
    assert connection.close == (1000, "AuthenticationFailed")


def test_nothing_follows_an_auth_error() -> None:
    connection = Connection.subscribed(0)
    connection.authenticate(0)
    connection.modify(add(1))
    connection.session.authentication_failed(Unauthenticated("no"))
    connection.dirty()
    assert connection.kinds() == ["AuthError"]
    assert connection.messages() == []
    assert connection.waiting(Advance) == 0


def test_a_wrong_base_version_is_a_bug_of_the_client() -> None:
    connection = Connection.subscribed()
    connection.authenticate(3)
    assert connection.fatal_error() == (
        "BaseVersionMismatch: Authenticate starts from version 3, but the identity is at version 0"
    )


def test_too_many_messages_behind_a_token_close_the_connection() -> None:
    connection = Connection(held_messages=5)
    connection.authenticate(0)
    for request_id in range(6):
        connection.mutate(request_id)
    assert connection.close == (1013, "TooManyConcurrentRequests")


def test_a_bug_in_a_message_that_waited_is_reported_when_its_turn_comes() -> None:
    connection = Connection()
    connection.authenticate(0)
    connection.send("ModifyQuerySet", baseVersion=9, newVersion=10, modifications=[])
    assert connection.session.closed is None
    connection.authenticated(ALICE)
    assert connection.fatal_error().startswith("BaseVersionMismatch: ")


def test_what_is_forbidden_is_fatal() -> None:
    connection = Connection.subscribed()
    connection.mutate(0)
    connection.fail(Forbidden("You may not do this"))
    assert connection.fatal_error() == "OperationNotPermitted: You may not do this"
