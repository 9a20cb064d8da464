"""The mutations and actions of one connection that have no answer yet.

Mutations run one after the other in order of arrival; actions run beside everything.

Lifecycle of the fields:
- `_waiting`      mutations to come; `add` -> `take`
- `running`       request id of the mutation under way; `take` -> `mutation_done`
- `_new_actions`  actions not handed out yet; `add` -> `take`
- `_actions`      request ids of all actions without an answer; `add` -> `action_done`
- `_sizes`        bytes of each call without an answer, by request id; `_bytes` is their sum
"""

from __future__ import annotations

from collections import deque

from reactor.errors import InvalidRequest, Overloaded
from reactor.sync.limits import SessionLimits
from reactor.sync.requests import RunAction, RunMutation


class Calls:
    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._waiting: deque[RunMutation] = deque()
        self.running: int | None = None
        self._new_actions: list[RunAction] = []
        self._actions: set[int] = set()
        self._sizes: dict[int, int] = {}
        self._bytes = 0

    @property
    def congested(self) -> bool:
        """Do the arguments of outstanding calls take more room than one client should have?"""
        return self._bytes > self._limits.outstanding_bytes

    def check_new(self, request_id: int) -> None:
        """Raises InvalidRequest if a call with this id is outstanding."""
        if request_id in self._sizes:
            raise InvalidRequest(
                f"Request id {request_id} is in use: its first call is not answered yet",
                tag="DuplicateRequestId",
            )

    def add(self, call: RunMutation | RunAction, size: int) -> None:
        """Raises Overloaded when too much is outstanding."""
        if isinstance(call, RunMutation):
            if len(self._waiting) >= self._limits.mutations:
                raise Overloaded(
                    f"{len(self._waiting)} mutations of one connection wait to be run",
                    tag="TooManyConcurrentMutations",
                )
            self._waiting.append(call)
        else:
            if len(self._actions) >= self._limits.actions:
                raise Overloaded(
                    f"{len(self._actions)} actions of one connection are running",
                    tag="TooManyConcurrentActions",
                )
            self._new_actions.append(call)
            self._actions.add(call.request_id)
        self._sizes[call.request_id] = size
        self._bytes += size

    def take(self) -> list[RunMutation | RunAction]:
        """What must be started now."""
        calls: list[RunMutation | RunAction] = []
        if self.running is None and self._waiting:
            mutation = self._waiting.popleft()
            self.running = mutation.request_id
            calls.append(mutation)
        if self._new_actions:
            calls += self._new_actions
            self._new_actions = []
        return calls

    def mutation_done(self, request_id: int) -> None:
        assert request_id == self.running
        self.running = None
        self._bytes -= self._sizes.pop(request_id)

    def action_done(self, request_id: int) -> None:
        self._actions.remove(request_id)
        self._bytes -= self._sizes.pop(request_id)

    def clear(self) -> None:
        """The connection ends; what runs goes on without it."""
        self.running = None
        self._bytes = 0
        for part in (self._waiting, self._new_actions, self._actions, self._sizes):
            part.clear()

    def check(self) -> None:
        """Assert the invariants of the module's docstring."""
        waiting = [mutation.request_id for mutation in self._waiting]
        running = [] if self.running is None else [self.running]
        assert sorted([*waiting, *running, *self._actions]) == sorted(self._sizes)
        assert self._bytes == sum(self._sizes.values())
        assert {action.request_id for action in self._new_actions} <= self._actions
        assert len(waiting) <= self._limits.mutations
        assert len(self._actions) <= self._limits.actions
