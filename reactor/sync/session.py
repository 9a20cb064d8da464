"""The server's side of one connection, as a state machine without sockets, tasks or clocks.

The driver feeds it what arrived (`receive`) and what was done (`…_done`), then takes requests to
carry out and messages to send, until `closed` is set.

Its parts each hold one concern, with the lifecycle of their fields: `QuerySet` what the client
watches, `Calls` what it asked to run, `Outbox` in which order it is told. The session itself holds
versions and identity:
- `_received`     versions of query set and identity that the client asked for; `receive`,
                  `authenticated`. A Transition is owed while the last one sent is behind it
- `_flight`       versions that the Advance under way will reach; `take_requests` -> `advance_done`.
                  At most one is under way, so all results of a Transition hold at its timestamp
- `_dirty`        some result may have changed; `queries_dirty` -> `take_requests`
- `_identity`     of whatever arrives next; `authenticated`
- `_verifying`    the token being verified; `receive` -> `authenticated`. `_to_verify` until it is
                  handed out
- `_held`         messages that arrived behind an Authenticate, until it is verified
- `_connect`      the Connect message, if one came
- `closed`        set once; afterwards only `take_messages` is still of interest
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from reactor.errors import (
    InternalProblem,
    InvalidRequest,
    Overloaded,
    Problem,
    Unauthenticated,
)
from reactor.identity import Identity
from reactor.sync.calls import Calls
from reactor.sync.closing import TRY_AGAIN, Close, farewell
from reactor.sync.limits import SessionLimits
from reactor.sync.messages import (
    AddQuery,
    Authenticate,
    CallFunction,
    ClientMessage,
    Connect,
    Event,
    ModifyQuerySet,
    parse_client_message,
)
from reactor.sync.outbox import Outbox
from reactor.sync.query_set import QuerySet
from reactor.sync.requests import (
    Advance,
    RefusedCall,
    Request,
    RunAction,
    RunMutation,
    VerifyToken,
    WatchQuery,
    decode_arguments,
)
from reactor.sync.server_messages import CallOutcome
from reactor.sync.versions import Version
from reactor.types import Timestamp


class _Versions(NamedTuple):
    query_set: int
    identity: int


class Session:
    """`newest_ts` is the newest durable timestamp when the connection was accepted."""

    def __init__(
        self,
        *,
        newest_ts: Timestamp,
        limits: SessionLimits | None = None,
        redact: bool = False,
    ) -> None:
        self.closed: Close | None = None
        self._limits = limits or SessionLimits()
        self._newest_ts = newest_ts
        self._redact = redact
        self._connect: Connect | None = None
        self._identity = Identity.ANONYMOUS
        self._received = _Versions(0, 0)
        self._flight: _Versions | None = None
        self._dirty = False
        self._verifying: VerifyToken | None = None
        self._to_verify: VerifyToken | None = None
        self._held: deque[tuple[ClientMessage, int]] = deque()
        self._queries = QuerySet(self._limits.queries)
        self._calls = Calls(self._limits)
        self._outbox = Outbox(self._queries, self._limits)

    # -- what arrived ----------------------------------------------------------------------------

    def receive(self, data: str | bytes) -> None:
        """One frame of the client, text or UTF-8 bytes."""
        if self.closed is not None:
            return
        if isinstance(data, str) and not data.isascii():
            data = data.encode()
        try:
            message = parse_client_message(data, self._limits.message_bytes)
            self._held.append((message, len(data)))
            self._apply_held()
            if len(self._held) > self._limits.held_messages:
                raise Overloaded(f"{len(self._held)} messages wait for a token to be verified")
        except Problem as problem:
            self.failed(problem)

    @property
    def congested(self) -> bool:
        """Should the driver read no more for now? Queues would only grow."""
        return self._verifying is not None or self._calls.congested

    def _apply_held(self) -> None:
        while self._held and self._verifying is None and self.closed is None:
            self._apply(*self._held.popleft())

    def _apply(self, message: ClientMessage, size: int) -> None:
        match message:
            case ModifyQuerySet():
                self._modify_query_set(message)
            case CallFunction():
                self._call(message, size)
            case Authenticate():
                self._authenticate(message)
            case Connect():
                self._apply_connect(message)
            case Event():
                pass

    def _apply_connect(self, message: Connect) -> None:
        if self._connect is not None:
            raise InvalidRequest(
                "Connect was sent twice on one connection; open another one", tag="AlreadyConnected"
            )
        self._connect = message
        observed = message.max_observed_ts
        if observed is not None and observed > self._newest_ts:
            raise InternalProblem(
                f"A client has seen timestamp {observed}, but the newest here is "
                f"{self._newest_ts}: was the store replaced by an older or an empty one?"
            )

    def _modify_query_set(self, message: ModifyQuerySet) -> None:
        expected = self._received.query_set
        if message.base_version != expected or message.new_version <= expected:
            raise InvalidRequest(
                f"ModifyQuerySet leads from version {message.base_version} to "
                f"{message.new_version}, but the query set is at version {expected}: it must start "
                "there and go up",
                tag="BaseVersionMismatch",
            )
        for modification in message.modifications:
            if isinstance(modification, AddQuery):
                self._add_query(modification)
            else:
                self._queries.remove(modification.query_id)
        self._received = self._received._replace(query_set=message.new_version)

    def _add_query(self, query: AddQuery) -> None:
        query_id = query.query_id
        args = decode_arguments(query.path, query.args, query.component_path)
        if isinstance(args, str):
            self._queries.add(query_id, self._refused(args, f"q{query_id}"))
        else:
            self._queries.add(query_id, WatchQuery(query_id, query.path, args, query.journal))

    def _refused(self, reason: str, call: str) -> RefusedCall:
        return RefusedCall.because(reason, f"{self._session_id or ''}|{call}", self._redact)

    @property
    def _session_id(self) -> str | None:
        return None if self._connect is None else self._connect.session_id

    def _call(self, message: CallFunction, size: int) -> None:
        request_id = message.request_id
        self._calls.check_new(request_id)
        args = decode_arguments(message.path, message.args, message.component_path)
        is_mutation = message.kind == "Mutation"
        if isinstance(args, dict):
            run = RunMutation if is_mutation else RunAction
            call = run(request_id, message.path, args, self._identity, self._session_id)
            self._calls.add(call, size)
            return
        refused = self._refused(args, str(request_id))
        if is_mutation:
            self._outbox.answer_mutation(request_id, refused)
        else:
            self._outbox.answer_action(request_id, refused)
        self._close_if_overflowed()

    def _authenticate(self, message: Authenticate) -> None:
        if message.base_version != self._received.identity:
            raise InvalidRequest(
                f"Authenticate starts from version {message.base_version}, but the identity is at "
                f"version {self._received.identity}",
                tag="BaseVersionMismatch",
            )
        token = VerifyToken(message.token_type, message.value, message.impersonating)
        self._verifying = self._to_verify = token

    # -- what was done ---------------------------------------------------------------------------

    def authenticated(self, identity: Identity) -> None:
        """The token was verified: `identity` counts for everything that arrived after it."""
        if self.closed is not None:
            return
        assert self._verifying is not None
        self._verifying = self._to_verify = None
        self._identity = identity
        self._received = self._received._replace(identity=self._received.identity + 1)
        try:
            self._apply_held()
        except Problem as problem:
            self.failed(problem)

    def authentication_failed(self, problem: Unauthenticated) -> None:
        """The token being verified was refused."""
        self._end(*farewell(problem, self._outbox.sent.identity, verifying=True))

    def mutation_done(self, request_id: int, outcome: CallOutcome) -> None:
        """The mutation under way has its outcome, durable if it succeeded."""
        if self.closed is None:
            self._calls.mutation_done(request_id)
            self._outbox.answer_mutation(request_id, outcome)
            self._settle()

    def action_done(self, request_id: int, outcome: CallOutcome) -> None:
        if self.closed is None:
            self._calls.action_done(request_id)
            self._outbox.answer_action(request_id, outcome)
            self._close_if_overflowed()

    def advance_done(self, ts: Timestamp, results: Iterable[tuple[int, CallOutcome]]) -> None:
        """The Advance under way ended: at `ts` every watched query holds what `results` say."""
        if self.closed is None:
            assert self._flight is not None
            self._queries.computed(results)
            self._outbox.reached(Version(*self._flight, ts))
            self._flight = None
            self._settle()

    def queries_dirty(self) -> None:
        """The result of a watched query may have changed."""
        self._dirty = True

    def hold_expired(self) -> None:
        """The mutation under way takes long: it cannot be covered by what was reached before."""
        if self.holding:
            self._settle(hold=False)

    def failed(self, problem: Problem | None) -> None:
        """A request could not be carried out; None is a bug of ours."""
        self._end(*farewell(problem, self._outbox.sent.identity))

    def shut_down(self, code: int, reason: str) -> None:
        """The server or the driver ends the connection."""
        self._end(None, Close(code, reason))

    # -- what to do ------------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        """Does a Transition wait for the mutation under way? See `hold_expired`."""
        return self._outbox.holding

    def take_requests(self) -> list[Request]:
        """What the driver must start now. Empty once closed."""
        if self.closed is not None:
            return []
        requests: list[Request] = []
        if self._to_verify is not None:
            requests.append(self._to_verify)
            self._to_verify = None
        requests += self._calls.take()
        if self._wants_advance:
            self._dirty = False
            self._flight = self._received
            removes, adds = self._queries.take_changes()
            requests.append(Advance(removes, adds, self._identity))
        return requests

    @property
    def _wants_advance(self) -> bool:
        outbox = self._outbox
        return (
            (self._dirty or outbox.owed or self._received != outbox.sent[:2])
            and self._flight is None
            and not outbox.holding
            and not outbox.unsent
        )

    @property
    def has_messages(self) -> bool:
        return self._outbox.has_messages

    def take_messages(self) -> list[str]:
        """Encoded frames, in order, to send now. An Advance may be wanted afterwards."""
        return self._outbox.take()

    # -- inside ----------------------------------------------------------------------------------

    def _settle(self, *, hold: bool = True) -> None:
        if self._flight is None:
            mutation_runs = hold and self._calls.running is not None
            self._dirty |= self._outbox.settle(mutation_runs=mutation_runs)
        self._close_if_overflowed()

    def _close_if_overflowed(self) -> None:
        if self._outbox.overflowed:
            self._end(None, Close(TRY_AGAIN, "SlowClient", "responses were not read"))

    def _end(self, message: str | None, close: Close) -> None:
        """Only the first reason counts."""
        if self.closed is not None:
            return
        if message is not None:
            self._outbox.send(message)
        self.closed = close
        self._queries.clear()
        self._calls.clear()
        self._outbox.end()
        self._held.clear()
        self._flight = self._verifying = self._to_verify = None
        self._dirty = False

    def check(self) -> None:
        """Assert the invariants of this module's docstring and of the parts."""
        self._queries.check()
        self._calls.check()
        self._outbox.check()
        versions = [self._outbox.sent[:2], self._flight or self._outbox.sent[:2], self._received]
        for earlier, later in pairwise(versions):
            assert earlier[0] <= later[0] and earlier[1] <= later[1]
        assert not (self._flight is not None and self._outbox.holding)
        assert not self._outbox.holding or self._calls.running is not None
        assert not self._held or self._verifying is not None
        assert self._to_verify is None or self._to_verify is self._verifying
        assert self.closed is None or (self._flight is None and not self._held)
