"""One session under test, with the test as its client and its driver.

Everything that goes in or out is checked: invariants after each step (`Session.check`), the version
chain, the order of responses and Transitions.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import orjson

from reactor.engine.outcome import FunctionFailure, Outcome
from reactor.errors import Problem
from reactor.identity import Identity
from reactor.sync.limits import SessionLimits
from reactor.sync.requests import Advance, Request, RunAction, RunMutation, VerifyToken
from reactor.sync.session import Session
from reactor.sync.versions import decode_timestamp, encode_timestamp

SESSION_ID = "a7d216b1-df30-40ea-8dc9-5eb469528c37"
ZERO = {"querySet": 0, "identity": 0, "ts": encode_timestamp(0)}

Message = dict[str, Any]
_Request = TypeVar("_Request", RunMutation, RunAction, VerifyToken, Advance)


def value(content: object, ts: int = 0, **more: Any) -> Outcome:
    """A successful outcome."""
    return Outcome.of(ts, value=orjson.dumps(content), **more)


def failure(text: str = "boom", *, data: bytes | None = None) -> Outcome:
    return Outcome.of(0, error=FunctionFailure(text, data))


def add(query_id: int, path: str = "q:a", **more: Any) -> Message:
    return {"type": "Add", "queryId": query_id, "udfPath": path, "args": [{}], **more}


def remove(query_id: int) -> Message:
    return {"type": "Remove", "queryId": query_id}


class Connection:
    def __init__(self, *, newest_ts: int = 0, redact: bool = False, **limits: int | None) -> None:
        self.session = Session(
            newest_ts=newest_ts,
            limits=SessionLimits(**limits),  # type: ignore[arg-type]
            redact=redact,
        )
        self.requests: list[Request] = []
        self.received: list[Message] = []
        self.version: Message = ZERO
        self.query_set = 0
        self.responded_ts = 0

    # -- the client ------------------------------------------------------------------------------

    def send(self, type: str, **fields: Any) -> None:
        self.send_text(json.dumps({"type": type, **fields}))

    def send_text(self, data: str | bytes) -> None:
        self.session.receive(data)
        self.step()

    def connect(self, **fields: Any) -> None:
        self.send(
            "Connect",
            **{
                "sessionId": SESSION_ID,
                "connectionCount": 0,
                "lastCloseReason": "InitialConnect",
                "clientTs": 0,
                **fields,
            },
        )

    def modify(self, *modifications: Message) -> None:
        self.query_set += 1
        self.send(
            "ModifyQuerySet",
            baseVersion=self.query_set - 1,
            newVersion=self.query_set,
            modifications=modifications,
        )

    def mutate(self, request_id: int, **fields: Any) -> None:
        call = {"requestId": request_id, "udfPath": "m:m", "args": [{}], **fields}
        self.send("Mutation", **call)

    def act(self, request_id: int, **fields: Any) -> None:
        self.send("Action", **{"requestId": request_id, "udfPath": "a:a", "args": [{}], **fields})

    def authenticate(self, base_version: int, token: str | None = "token") -> None:
        if token is None:
            self.send("Authenticate", baseVersion=base_version, tokenType="None")
        else:
            self.send("Authenticate", baseVersion=base_version, tokenType="User", value=token)

    # -- the driver ------------------------------------------------------------------------------

    def step(self) -> None:
        self.session.check()
        self.requests += self.session.take_requests()
        self.session.check()

    def take(self, kind: type[_Request]) -> _Request:
        """The one request of this kind that waits to be carried out."""
        (request,) = [request for request in self.requests if isinstance(request, kind)]
        self.requests.remove(request)
        return request

    def waiting(self, kind: type[Request]) -> int:
        return sum(isinstance(request, kind) for request in self.requests)

    def advance(self, ts: int, *results: tuple[int, Outcome]) -> Advance:
        """Carry out the Advance that was requested."""
        request = self.take(Advance)
        self.session.advance_done(ts, results)
        self.step()
        return request

    def mutated(self, request_id: int, outcome: Outcome) -> None:
        assert self.take(RunMutation).request_id == request_id
        self.session.mutation_done(request_id, outcome)
        self.step()

    def acted(self, request_id: int, outcome: Outcome) -> None:
        (request,) = [r for r in self.requests if getattr(r, "request_id", None) == request_id]
        self.requests.remove(request)
        self.session.action_done(request_id, outcome)
        self.step()

    def authenticated(self, identity: Identity = Identity.ADMIN) -> VerifyToken:
        request = self.take(VerifyToken)
        self.session.authenticated(identity)
        self.step()
        return request

    def dirty(self) -> None:
        self.session.queries_dirty()
        self.step()

    def fail(self, problem: Problem | None) -> None:
        self.session.failed(problem)
        self.step()

    def messages(self) -> list[Message]:
        """What the client receives now, checked as official clients would."""
        messages = [json.loads(text) for text in self.session.take_messages()]
        for message in messages:
            self._check(message)
        self.received += messages
        self.step()
        return messages

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages()]

    def transition(self) -> Message:
        """The one message that the client receives now, a Transition."""
        (message,) = self.messages()
        assert message["type"] == "Transition"
        return message

    def _check(self, message: Message) -> None:
        if message["type"] == "Transition":
            assert message["startVersion"] == self.version, "the version chain has a gap"
            self.version = message["endVersion"]
            ts = decode_timestamp(self.version["ts"], "ts")
            assert ts >= self.responded_ts, "a Transition is below a response that was sent"
            assert ts >= decode_timestamp(message["startVersion"]["ts"], "ts")
            assert all(m.get("logLines", []) is not None for m in message["modifications"])
        if message["type"] == "MutationResponse" and message["success"]:
            ts = decode_timestamp(message["ts"], "ts")
            self.responded_ts = max(self.responded_ts, ts)

    # -- shorthands ------------------------------------------------------------------------------

    @classmethod
    def subscribed(cls, *query_ids: int, ts: int = 10) -> Connection:
        """Connected, with these queries told to the client at `ts`, their value 0."""
        connection = cls()
        connection.connect()
        connection.modify(*map(add, query_ids))
        connection.advance(ts, *((query_id, value(0, ts)) for query_id in query_ids))
        connection.messages()
        return connection

    @property
    def close(self) -> tuple[int, str]:
        closed = self.session.closed
        assert closed is not None, "the connection is open"
        return closed.code, closed.reason

    def fatal_error(self) -> str:
        """The text of the FatalError with which the connection ends."""
        *_, message = self.messages()
        assert message["type"] == "FatalError"
        assert self.session.closed is not None
        error: str = message["error"]
        return error
