"""What goes out on one connection, in the one order that clients can live with (protocol 1.5, 1.7).

- Each Transition starts at the version where the previous one ended.
- A mutation's response comes before any Transition that covers it, and no Transition below its
  timestamp comes after it. So responses wait (`_answers`) while an Advance is under way, and a
  finished Advance (`_reached`) waits while a mutation runs: it may cover that mutation, and nobody
  knows yet. `settle` sends both as their timestamps demand.
- After every response there is a Transition, so the session must advance while `owed`.

Lifecycle of the fields:
- `sent`          end of the last Transition; `_emit`
- `owed`          something was answered since the last Transition; `_answer` -> `_emit`
- `unsent`        a Transition is in `_messages`; `_emit` -> `take`. While it is there no Advance
                  starts, so a slow socket skips intermediate states
- `_reached`      end of a finished Advance that is not sent; `reached` -> `settle`
- `_answers`      results of mutations whose response waits for the Advance under way; `settle`
- `_floor`        no Transition below it may be sent; `_answer`, `_emit`
- `_messages`     encoded, in order; `_bytes` is the size of the responses among them; `take`
- `overflowed`    responses were not taken and had to be dropped; for good
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from reactor.sync import server_messages as encode
from reactor.sync.limits import SessionLimits
from reactor.sync.query_set import QuerySet
from reactor.sync.server_messages import CallOutcome
from reactor.sync.versions import ZERO, Version
from reactor.types import Timestamp


class _Answer(NamedTuple):
    request_id: int
    outcome: CallOutcome


class Outbox:
    def __init__(self, queries: QuerySet, limits: SessionLimits) -> None:
        self.sent = ZERO
        self.owed = False
        self.unsent = False
        self.overflowed = False
        self._queries = queries
        self._limits = limits
        self._reached: Version | None = None
        self._answers: deque[_Answer] = deque()
        self._floor: Timestamp = 0
        self._messages: list[str] = []
        self._bytes = 0
        self._split_count = 0

    @property
    def holding(self) -> bool:
        """Does a finished Advance wait for the mutation under way?"""
        return self._reached is not None

    @property
    def has_messages(self) -> bool:
        return bool(self._messages)

    def take(self) -> list[str]:
        """Hand over everything that is ready."""
        messages, self._messages = self._messages, []
        self._bytes = 0
        self.unsent = False
        return messages

    def send(self, message: str) -> None:
        self._messages.append(message)
        self._bytes += len(message)
        if (
            len(self._messages) > self._limits.unsent_messages
            or self._bytes > self._limits.unsent_bytes
        ):
            self.overflowed = True
            self._messages.clear()

    def answer_mutation(self, request_id: int, outcome: CallOutcome) -> None:
        """Successes wait for `settle`; a failure covers nothing and goes out at once."""
        if outcome.error is None:
            self._answers.append(_Answer(request_id, outcome))
        else:
            self._answer(encode.encode_mutation_response(request_id, outcome))

    def answer_action(self, request_id: int, outcome: CallOutcome) -> None:
        self._answer(encode.encode_action_response(request_id, outcome))

    def _answer(self, response: str) -> None:
        self.send(response)
        self.owed = True

    def reached(self, version: Version) -> None:
        """An Advance ended; its results are in the query set. Then `settle`."""
        assert self._reached is None
        self._reached = version

    def settle(self, *, mutation_runs: bool) -> bool:
        """With no Advance under way: send what can be sent. True: an Advance must reach further."""
        reached = self._reached
        behind = False
        if reached is not None:
            self._answer_until(reached.ts)
            behind = reached.ts < self._floor
            if not behind and self._is_worth_sending(reached):
                if mutation_runs and not self._answers:
                    return False
                self._emit(reached)
            self._reached = None
        self._answer_until(None)
        return behind

    def _is_worth_sending(self, reached: Version) -> bool:
        return self.owed or reached[:2] != self.sent[:2] or self._queries.has_news

    def _answer_until(self, ts: Timestamp | None) -> None:
        """Send the waiting responses, in order, as far as a Transition at `ts` covers them."""
        while self._answers and (ts is None or self._answers[0].outcome.ts <= ts):
            request_id, outcome = self._answers.popleft()
            self._floor = max(self._floor, outcome.ts)
            self._answer(encode.encode_mutation_response(request_id, outcome))

    def _emit(self, end: Version) -> None:
        assert not self.unsent
        transition = encode.encode_transition(self.sent, end, self._queries.take_news())
        self.sent = end
        self.owed = False
        self.unsent = True
        self._floor = end.ts
        chunk_bytes = self._limits.chunk_bytes
        if chunk_bytes is None or len(transition) <= chunk_bytes:
            self._messages.append(transition.decode())
            return
        self._split_count += 1
        self._messages += encode.split_transition(transition, chunk_bytes, str(self._split_count))

    def end(self) -> None:
        """The connection ends: only what is in order already is still sent."""
        self._answers.clear()
        self._reached = None

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        assert self._floor >= self.sent.ts
        assert self.owed or self._floor == self.sent.ts or self.overflowed
        assert not self.unsent or self._messages or self.overflowed
        assert self._reached is None or self._reached.ts >= self._floor
