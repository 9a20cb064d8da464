"""Running queries and mutations: where, how often, and until when.

*Where.* The first run of a function is in a worker thread, since nothing is known of it; if that
was quick, the next ones are on the event loop. A run that takes longer than `INLINE_SECONDS` there
is interrupted, thrown away and repeated in a thread, and so are the following ones, until they have
been quick for a while. A function declared `slow` always runs in a thread.

*How often.* A mutation begins on the newest applied state. On the event loop nothing else happens
between its begin and its commit, so it cannot conflict. In a thread it can: then it is run again on
the newer state with the same seed, and after a few tries while all other mutations wait. So
contention inside one process never fails a mutation.

*Until when.* `limits.run_seconds`, kept by the meter at each `ctx.db` call and by the watchdog
everywhere else. Whatever a run saw is told to nobody before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import NamedTuple

from reactor.data.values import Value
from reactor.engine.commit_log import Conflict
from reactor.engine.database import Database
from reactor.engine.limits import Meter, TransactionLimits
from reactor.engine.outcome import Evaluation, Outcome
from reactor.engine.transaction import Transaction
from reactor.errors import LimitExceeded, Overloaded
from reactor.functions import session_requests
from reactor.functions.context import Determinism
from reactor.functions.deadline import Interrupted, Watchdog
from reactor.functions.execution import Caller, Execution
from reactor.functions.failures import describe_failure, request_id
from reactor.functions.limits import Limits
from reactor.functions.loader import LoadedApp
from reactor.functions.mutation_gate import MutationGate
from reactor.functions.registry import FunctionKind
from reactor.functions.session_requests import SessionRequest
from reactor.functions.worker_threads import WorkerThreads
from reactor.identity import Identity
from reactor.live.live_query import QueryCall
from reactor.runtime import Clock, seeded
from reactor.types import Timestamp

#: A function that holds the event loop longer than this moves to a worker thread.
INLINE_SECONDS = 0.05

_OPTIMISTIC_TRIES = 3
_WORKERS = 4
_QUICK_RUNS_AFTER_SLOW = 20
_GRACE_SECONDS = 1.0
#: How long the run of a function of which nothing is known may take before it counts as slow.
_TRIAL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class FunctionLog:
    """What one call did, for the developer's console. `error` is set if it failed."""

    kind: FunctionKind
    path: str
    seconds: float
    log_lines: tuple[str, ...]
    error: BaseException | None


class _Version(NamedTuple):
    """One version of a function's code."""

    path: str
    digest: str


class Runner:
    """Runs the functions of one app over one database."""

    def __init__(self, database: Database, app: LoadedApp, *, redact: bool) -> None:
        self.app = app
        self.redact = redact
        self.echo = True
        self.on_log: Callable[[FunctionLog], None] | None = None
        self._database = database
        self.clock = database.clock
        self._watchdog = Watchdog(database.clock)
        self._threads = WorkerThreads(_WORKERS)
        # Runs of functions of which nothing is known have places of their own, for a moment each:
        # so they need not wait behind functions that are known to be slow.
        self._trials = WorkerThreads(_WORKERS)
        self._gate = MutationGate()
        # Quick runs in a thread that a function still owes before it may run on the event loop: 0
        # for one that has proved quick; absent if nothing is known of it.
        self._quick_runs_wanted: dict[_Version, int] = {}

    def start(self) -> None:
        self._watchdog.start()

    def stop(self) -> None:
        self._threads.stop()
        self._trials.stop()
        self._watchdog.stop()

    def caller(self, identity: Identity, internal: bool, request: SessionRequest | None) -> Caller:
        """Who asked, with the request id that failures are told under."""
        session, number = request if request is not None else (None, None)
        number_text = request_id(session, number, self._database.entropy.bytes(8))
        return Caller(identity, internal, number_text, self.redact)

    # -- queries ---------------------------------------------------------------------------------

    async def evaluate_query(
        self, call: QueryCall, ts: Timestamp, *, internal: bool = False
    ) -> Evaluation:
        """Run a query at the durable timestamp `ts` (which the caller holds)."""
        seed = self._database.entropy.bytes(16)
        now_ns = self.clock.now_ns()
        caller = self.caller(call.identity, internal or call.identity.is_admin, None)

        def attempt(deadline: _Deadline) -> tuple[Execution, Outcome]:
            meter = Meter(_transaction_limits(deadline.limits), deadline.check)
            transaction = self._database.begin_query(meter, at=ts)
            determinism = Determinism(now_ns, seed)
            execution = self._execution(transaction, caller, determinism, call.journal)
            deadline.execution = execution
            value, error = execution.run(call.path, call.args, FunctionKind.QUERY)
            return execution, Outcome.of(
                ts,
                value=value,
                error=error,
                log_lines=execution.log_lines,
                journal=execution.page.current,
            )

        started = self.clock.monotonic_seconds()
        self._database.hold(ts)
        try:
            execution, outcome = await self._run(call.path, attempt)
        except _TimedOut as timeout:
            execution, outcome = self._timed_out(timeout, call.path, caller, ts)
        finally:
            self._database.release(ts)
        seconds = self.clock.monotonic_seconds() - started
        self._log_run(FunctionKind.QUERY, call.path, seconds, execution)
        return Evaluation(
            outcome,
            execution.transaction.reads(),
            execution.auth.observed,
            execution.determinism.observed,
            seconds,
        )

    # -- mutations -------------------------------------------------------------------------------

    async def run_mutation(
        self,
        path: str,
        args: dict[str, Value],
        identity: Identity,
        *,
        internal: bool = False,
        request: SessionRequest | None = None,
    ) -> Outcome:
        """Run a mutation until it commits or fails; returns when its outcome is durable."""
        seed = self._database.entropy.bytes(16)
        now_ns = self.clock.now_ns()
        caller = self.caller(identity, internal or identity.is_admin, request)

        def attempt(deadline: _Deadline) -> tuple[Execution, Outcome]:
            meter = Meter(_transaction_limits(deadline.limits), deadline.check)
            transaction = self._database.begin_mutation(meter, seed=seed)
            execution = self._execution(transaction, caller, Determinism(now_ns, seed))
            deadline.execution = execution
            if request is not None:
                with transaction.unmetered():
                    known = session_requests.recorded(transaction, request)
                if known is not None:
                    return execution, known
            value, error = execution.run(path, args, FunctionKind.MUTATION)
            if error is not None:
                transaction.rollback(0)
            elif request is not None and value is not None:
                with transaction.unmetered():
                    session_requests.record(transaction, request, value, execution.log_lines)
            outcome = Outcome.of(
                transaction.begin_ts, value=value, error=error, log_lines=execution.log_lines
            )
            return execution, outcome

        started = self.clock.monotonic_seconds()
        try:
            execution, outcome = await self._until_committed(path, attempt)
        except _TimedOut as timeout:
            ts = self._database.durable
            execution, outcome = self._timed_out(timeout, path, caller, ts)
        seconds = self.clock.monotonic_seconds() - started
        self._log_run(FunctionKind.MUTATION, path, seconds, execution)
        await self._database.wait_durable(outcome.ts)
        return outcome

    async def _until_committed(self, path: str, attempt: _Attempt) -> tuple[Execution, Outcome]:
        for tries in count(1):
            alone = tries > _OPTIMISTIC_TRIES
            async with self._gate.entered(alone=alone):
                # Held so that the log still knows what was committed since, when it is validated.
                held = self._database.durable
                self._database.hold(held)
                try:
                    execution, outcome = await self._run(path, attempt)
                    if not alone:
                        await self._gate.passed()
                    committed = self._database.commit(execution.transaction)
                finally:
                    self._database.release(held)
            if isinstance(committed, Conflict):
                continue
            if committed == execution.transaction.begin_ts:
                # Nothing was written: a failure, a pure read, or a replay with its original time.
                return execution, outcome
            return execution, Outcome.of(
                committed, value=outcome.value, log_lines=outcome.log_lines
            )
        raise AssertionError("a mutation that runs alone does not conflict")

    # -- one run ---------------------------------------------------------------------------------

    def _execution(
        self,
        transaction: Transaction,
        caller: Caller,
        determinism: Determinism,
        journal: str | None = None,
    ) -> Execution:
        # The app as it is after the transaction began: never older than the modules it reads.
        return Execution(
            self.app, transaction, self._database.tables, caller, determinism,
            journal=journal, echo=self.echo,
        )  # fmt: skip

    async def _run(self, path: str, attempt: _Attempt) -> tuple[Execution, Outcome]:
        """Run on the event loop if the function has proved quick, else in a thread."""
        app = self.app
        spec = app.registry.find(path)
        if spec is None:
            # Nothing of the app's will run: the attempt only says that there is no such function.
            return attempt(_Deadline(app.settings.limits))
        limits = spec.limits
        key = _Version(spec.path, spec.digest)
        wanted = _QUICK_RUNS_AFTER_SLOW if spec.slow else self._quick_runs_wanted.get(key)
        if wanted == 0:
            seconds = min(INLINE_SECONDS, limits.run_seconds)
            try:
                return self._watchdog.run(seconds, lambda: attempt(_Deadline(limits)))
            except Interrupted:
                self._quick_runs_wanted[key] = _QUICK_RUNS_AFTER_SLOW
        elif wanted is None:
            seconds = min(_TRIAL_SECONDS, limits.run_seconds)
            try:
                return await self._in_thread(self._trials, seconds, key, limits, attempt)
            except _TimedOut:
                self._quick_runs_wanted[key] = _QUICK_RUNS_AFTER_SLOW
                if seconds == limits.run_seconds:
                    raise
        return await self._in_thread(self._threads, limits.run_seconds, key, limits, attempt)

    async def _in_thread(
        self,
        threads: WorkerThreads,
        seconds: float,
        key: _Version,
        limits: Limits,
        attempt: _Attempt,
    ) -> tuple[Execution, Outcome]:
        deadline = _Deadline(limits)

        def work() -> tuple[tuple[Execution, Outcome], float]:
            started = self.clock.monotonic_seconds()
            deadline.ends = (self.clock, started + seconds)
            try:
                result = self._watchdog.run(seconds, lambda: attempt(deadline))
            except Interrupted:
                raise _TimedOut(key.path, deadline) from None
            return result, self.clock.monotonic_seconds() - started

        # The watchdog can't interrupt a C call; then the caller is answered all the same.
        grace_seconds = min(seconds, _GRACE_SECONDS)
        try:
            result, took = await threads.run(work, seconds + grace_seconds)
        except TimeoutError:
            raise _TimedOut(key.path, deadline) from None
        wanted = self._quick_runs_wanted.get(key, 1)
        self._quick_runs_wanted[key] = (
            max(wanted - 1, 0) if took < INLINE_SECONDS / 5 else _QUICK_RUNS_AFTER_SLOW
        )
        return result

    def _timed_out(
        self, timeout: _TimedOut, path: str, caller: Caller, ts: Timestamp
    ) -> tuple[Execution, Outcome]:
        """The failure of a run that was stopped; it depends on what the run had read until then."""
        execution = timeout.execution
        execution.error = LimitExceeded(timeout.message)
        failure = describe_failure(
            execution.error, path=path, request=caller.request, redact=caller.redact,
            folder=self.app.folder,
        )  # fmt: skip
        return execution, Outcome.of(ts, error=failure)

    def _log_run(self, kind: FunctionKind, path: str, seconds: float, execution: Execution) -> None:
        self.log(FunctionLog(kind, path, seconds, execution.sink.lines, execution.error))

    def log(self, entry: FunctionLog) -> None:
        if self.on_log is not None:
            self.on_log(entry)

    def new_random(self) -> Random:
        """A generator for one action."""
        return seeded(self._database.entropy.bytes(16))


class _Deadline:
    """The time that one attempt has; `check` is what the meter calls."""

    __slots__ = ("ends", "execution", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.execution: Execution | None = None
        self.ends: tuple[Clock, float] | None = None

    def check(self) -> None:
        if self.ends is not None and self.ends[0].monotonic_seconds() > self.ends[1]:
            raise Interrupted


class _TimedOut(Exception):
    def __init__(self, path: str, deadline: _Deadline) -> None:
        self.message = (
            f"Function execution timed out: {path} ran longer than its limit of "
            f"{deadline.limits.run_seconds:g} s (run_seconds). Read less, use an index, or raise "
            "the limit with Limits(run_seconds=...) on the function or the app."
        )
        super().__init__(self.message)
        if deadline.execution is None:
            raise Overloaded(f"{path} waited too long for a free worker thread. Try again.")
        self.execution = deadline.execution


_Attempt = Callable[[_Deadline], tuple[Execution, Outcome]]


def _transaction_limits(limits: Limits) -> TransactionLimits:
    return TransactionLimits(
        documents_read=limits.documents_read,
        bytes_read=limits.bytes_read,
        ranges_read=limits.ranges_read,
        documents_written=limits.documents_written,
        bytes_written=limits.bytes_written,
    )
