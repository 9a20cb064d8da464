"""Random clients against random completions: what clients rely on holds in every order of events.

The model has one store with a timestamp, queries whose value is the timestamp of the last commit
that touched them, and steps of the driver as fine as they are in the real one: a mutation commits
at one moment and is reported at a later one, an advance picks its timestamp and ends later.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reactor.engine.outcome import Outcome
from reactor.identity import Identity
from reactor.sync.requests import Advance, RunAction, RunMutation, VerifyToken
from reactor.sync.versions import decode_timestamp
from tests.sync.connection import Connection, Message, add, failure, remove, value

QUERY_IDS = st.integers(0, 5)


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection()
        self.durable = 10
        self.touched = dict.fromkeys(range(6), 10)  # query id -> last commit that changed it
        self.wanted: set[int] = set()
        self.identity_version = 0
        self.next_request = 0
        # the driver
        self.watched: dict[int, Outcome | None] = {}
        self.advancing: tuple[int, dict[int, Outcome]] | None = None
        self.committed: tuple[int, Outcome] | None = None
        # the client
        self.view: dict[int, object] = {}
        self.commits: dict[int, int] = {}
        self.responded: set[int] = set()
        self.uncovered: set[int] = set()

    # -- the client ------------------------------------------------------------------------------

    @rule(changes=st.lists(st.tuples(st.booleans(), QUERY_IDS), max_size=4))
    def modify(self, changes: list[tuple[bool, int]]) -> None:
        modifications: list[Message] = []
        for is_add, query_id in changes:
            if is_add and query_id not in self.wanted:
                self.wanted.add(query_id)
                modifications.append(add(query_id))
            elif not is_add:
                self.wanted.discard(query_id)
                modifications.append(remove(query_id))
        self.connection.modify(*modifications)

    @rule(bad=st.booleans())
    def mutate(self, bad: bool) -> None:
        self.connection.mutate(self.next_request, args=[] if bad else [{}])
        self.next_request += 1

    @rule()
    def act(self) -> None:
        self.connection.act(self.next_request)
        self.next_request += 1

    @rule()
    def authenticate(self) -> None:
        self.connection.authenticate(self.identity_version)
        self.identity_version += 1

    @rule()
    def read(self) -> None:
        for message in self.connection.messages():
            self._client_receives(message)

    def _client_receives(self, message: Message) -> None:
        if message["type"] == "MutationResponse":
            self.responded.add(message["requestId"])
            self.uncovered.add(message["requestId"])
        elif message["type"] == "Transition":
            ts = decode_timestamp(message["endVersion"]["ts"], "ts")
            for request_id, commit in self.commits.items():
                if commit <= ts:
                    assert request_id in self.responded, "covered before its response"
            self.uncovered.clear()
            for modification in message["modifications"]:
                query_id = modification["queryId"]
                if modification["type"] == "QueryRemoved":
                    self.view.pop(query_id, None)
                else:
                    assert self.view.get(query_id) != modification["value"], "sent twice"
                    self.view[query_id] = modification["value"]

    # -- the store and other clients -------------------------------------------------------------

    @rule(query_id=QUERY_IDS)
    def another_client_commits(self, query_id: int) -> None:
        self._commit(query_id)

    def _commit(self, query_id: int) -> int:
        self.durable += 1
        self.touched[query_id] = self.durable
        if query_id in self.watched:
            self.connection.dirty()
        return self.durable

    # -- the driver ------------------------------------------------------------------------------

    @precondition(lambda self: self.connection.waiting(VerifyToken))
    @rule()
    def verified(self) -> None:
        self.connection.authenticated(Identity.ADMIN)

    @precondition(lambda self: self.connection.waiting(RunMutation) and self.committed is None)
    @rule(query_id=QUERY_IDS, kind=st.sampled_from(["writes", "reads", "fails"]))
    def mutation_commits(self, query_id: int, kind: str) -> None:
        (call,) = [r for r in self.connection.requests if isinstance(r, RunMutation)]
        if kind == "fails":
            outcome = failure()
        elif kind == "reads":
            outcome = value("read", self.durable)
        else:
            ts = self._commit(query_id)
            self.commits[call.request_id] = ts
            outcome = value("done", ts)
        self.committed = (call.request_id, outcome)

    @precondition(lambda self: self.committed is not None)
    @rule()
    def mutation_is_reported(self) -> None:
        assert self.committed is not None
        committed, self.committed = self.committed, None
        self.connection.mutated(*committed)

    @precondition(lambda self: self.connection.waiting(RunAction))
    @rule()
    def action_ends(self) -> None:
        call = next(r for r in self.connection.requests if isinstance(r, RunAction))
        self.connection.acted(call.request_id, value("acted"))

    @precondition(lambda self: self.connection.waiting(Advance) and self.advancing is None)
    @rule()
    def advance_picks_its_timestamp(self) -> None:
        (request,) = [r for r in self.connection.requests if isinstance(r, Advance)]
        for query_id in request.removes:
            self.watched.pop(query_id, None)
        for query in request.adds:
            assert query.query_id not in self.watched
            self.watched[query.query_id] = None
        results = {}
        for query_id, known in self.watched.items():
            outcome = value(self.touched[query_id], self.durable)
            if known is None or known.digest != outcome.digest:
                results[query_id] = outcome
        self.watched.update(results)
        self.advancing = (self.durable, results)

    @precondition(lambda self: self.advancing is not None)
    @rule()
    def advance_ends(self) -> None:
        assert self.advancing is not None
        (ts, results), self.advancing = self.advancing, None
        self.connection.advance(ts, *results.items())

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def invariants_hold(self) -> None:
        assert self.connection.session.closed is None
        self.connection.session.check()

    def teardown(self) -> None:
        """When everything has come to rest, the client knows everything and waits for nothing."""
        connection = self.connection
        while (
            connection.requests
            or self.committed
            or self.advancing
            or connection.session.has_messages
        ):
            self._finish_one_thing()
            self.read()
        assert set(self.view) == self.wanted
        for query_id, shown in self.view.items():
            assert shown == self.touched[query_id]
        assert connection.version["querySet"] == connection.query_set
        assert connection.version["identity"] == self.identity_version
        assert not self.uncovered, "a mutation waits for its Transition"
        answers = [m["requestId"] for m in connection.received if "requestId" in m]
        assert sorted(answers) == list(range(self.next_request))

    def _finish_one_thing(self) -> None:
        if self.advancing is not None:
            self.advance_ends()
        elif self.committed is not None:
            self.mutation_is_reported()
        elif self.connection.waiting(VerifyToken):
            self.verified()
        elif self.connection.waiting(RunMutation):
            self.mutation_commits(0, "writes")
        elif self.connection.waiting(RunAction):
            self.action_ends()
        elif self.connection.waiting(Advance):
            self.advance_picks_its_timestamp()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=80, deadline=None)
