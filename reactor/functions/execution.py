"""One run of a query or mutation inside one transaction: no event loop, no retry, no commit.

`Execution` finds the function, checks arguments, calls it, encodes the result and turns whatever it
raised into a failure. It runs on the event loop or in a worker thread, the same way. Functions that
call functions re-enter here with the same transaction; an inner mutation that raises has its writes
rolled back alone.

The function's module is read as a row of `_modules`, so deploying new code of it invalidates the
result through the same read set as any other data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from reactor.data import wire
from reactor.data.ids import InternalId
from reactor.data.values import NESTING_MAX, Value, check_value
from reactor.engine.outcome import FunctionFailure
from reactor.engine.tables import MODULES, Tables
from reactor.engine.transaction import Transaction
from reactor.errors import (
    FunctionNotFound,
    InvalidValue,
    LimitExceeded,
    QueryMisuse,
    WrongFunctionType,
)
from reactor.functions.context import (
    Auth,
    Determinism,
    FunctionReference,
    MutationCtx,
    QueryCtx,
)
from reactor.functions.db import DatabaseReader, DatabaseWriter
from reactor.functions.deadline import Interrupted
from reactor.functions.failures import describe_failure
from reactor.functions.loader import LoadedApp
from reactor.functions.logs import LogSink, capture
from reactor.functions.paths import parse_path
from reactor.functions.query_builder import PageJournal
from reactor.functions.registry import FunctionKind, FunctionSpec
from reactor.identity import Identity

#: The brackets of JSON text; strings are matched whole, so that what is inside them does not count.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]')


def module_row_id(module: str) -> InternalId:
    """Where the row of a code module lives in `_modules`."""
    return InternalId(blake2b(module.encode(), digest_size=16).digest())


def find_function(
    app: LoadedApp, path: str, *, internal: bool, kind: FunctionKind | None
) -> FunctionSpec:
    """The function that a caller means. Raises FunctionNotFound, WrongFunctionType.

    `internal`: the caller may reach internal functions. `kind` None accepts any.
    """
    spec = app.registry.find(path)
    if spec is None or spec.kind is FunctionKind.HTTP_ACTION or not (spec.public or internal):
        shown = str(parse_path(path))
        if internal:
            raise FunctionNotFound(
                f"Could not find function for '{shown}'. Does app {app.name!r} declare it, and did "
                "its last save load?"
            )
        raise FunctionNotFound(f"Could not find public function for '{shown}'.")
    if kind is not None and spec.kind is not kind:
        raise WrongFunctionType(
            f"Trying to execute {spec.internal_form} as {kind.value}, "
            f"but it is defined as {spec.kind.value}."
        )
    return spec


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked for a run, and how its failure is to be told."""

    identity: Identity
    internal: bool
    request: str
    redact: bool


class Execution:
    """A single use object: make one per run."""

    def __init__(
        self,
        app: LoadedApp,
        transaction: Transaction,
        tables: Tables,
        caller: Caller,
        determinism: Determinism,
        *,
        journal: str | None = None,
        echo: bool = True,
    ) -> None:
        self.app = app
        self.transaction = transaction
        self.auth = Auth(caller.identity)
        self.determinism = determinism
        self.page = PageJournal(previous=journal)
        self.sink = LogSink(echo=echo)
        self.error: BaseException | None = None
        self._caller = caller
        self._tables = tables

    def run(
        self, path: str, args: dict[str, Value], kind: FunctionKind
    ) -> tuple[bytes | None, FunctionFailure | None]:
        """Run the function at `path`: (encoded value, None) or (None, failure).

        Lets `Interrupted` pass: the caller decides whether to run again elsewhere.
        """
        try:
            with capture(self.sink):
                spec = self._find(path, kind)
                check_arguments(spec, args)
                result = self._call(spec, args)
                return encode_result(spec, result, self._tables), None
        except (Interrupted, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.error = error
            caller = self._caller
            failure = describe_failure(
                error,
                path=path,
                request=caller.request,
                redact=caller.redact,
                folder=self.app.folder,
            )
            return None, failure

    @property
    def log_lines(self) -> tuple[str, ...]:
        return () if self._caller.redact else self.sink.lines

    def _find(self, path: str, kind: FunctionKind, *, internal: bool | None = None) -> FunctionSpec:
        may_internal = self._caller.internal if internal is None else internal
        self._read_module(parse_path(path).module)
        if internal is None and not self._is_public(path):
            # Whether, and how, it is refused depends on who asks: never share the answer.
            self.auth.observed = True
        spec = find_function(self.app, path, internal=may_internal, kind=kind)
        self._read_module(spec.module)
        return spec

    def _is_public(self, path: str) -> bool:
        spec = self.app.registry.find(path)
        return spec is not None and spec.public

    def _read_module(self, module: str) -> None:
        modules = self._tables.named(MODULES)
        assert modules is not None
        self.transaction.depend_on(modules, module_row_id(module))

    def _call(self, spec: FunctionSpec, args: dict[str, Value]) -> object:
        keywords = spec.signature.bind(args, self._tables)
        return spec.handler(self._context(spec.kind), **keywords)

    def _context(self, kind: FunctionKind) -> QueryCtx:
        parts = (self.transaction, self.app.schema, self._tables, self.page)
        if kind is FunctionKind.MUTATION:
            return MutationCtx(DatabaseWriter(*parts), self.auth, self.determinism, self)
        return QueryCtx(DatabaseReader(*parts), self.auth, self.determinism, self)

    # -- calls from inside (context.TransactionCalls) --------------------------------------------

    def run_query(self, function: FunctionReference, args: dict[str, Any]) -> Any:
        return self._call_inner(function, args, FunctionKind.QUERY)

    def run_mutation(self, function: FunctionReference, args: dict[str, Any]) -> Any:
        savepoint = self.transaction.savepoint()
        try:
            return self._call_inner(function, args, FunctionKind.MUTATION)
        except BaseException:
            self.transaction.rollback(savepoint)
            raise

    def _call_inner(
        self, function: FunctionReference, args: dict[str, Any], kind: FunctionKind
    ) -> Any:
        path = function if isinstance(function, str) else self.app.registry.spec_of(function).path
        spec = self._find(path, kind, internal=True)
        result = self._call(spec, wire_arguments(self.app, args))
        encode_result(spec, result, self._tables)
        return result


def wire_arguments(app: LoadedApp, args: dict[str, Any]) -> dict[str, Value]:
    """Arguments given from Python code, as Convex values."""
    decoded = wire.decode(wire.encode(app.anything.dump(args)))
    assert isinstance(decoded, dict)
    return decoded


def check_arguments(spec: FunctionSpec, args: dict[str, Value]) -> None:
    """Size and nesting of arguments. Raises LimitExceeded, InvalidValue."""
    size = _checked_size(args, spec, "Invalid arguments")
    if size > spec.limits.arguments_bytes:
        raise LimitExceeded(
            f"Arguments for {spec.path} are too large "
            f"(actual: {size} bytes, limit: {spec.limits.arguments_bytes} bytes). "
            "Send the data in several calls."
        )


def _checked_size(value: dict[str, Value], spec: FunctionSpec, what: str) -> int:
    try:
        return check_value(value, nesting_max=spec.limits.nesting)
    except InvalidValue as problem:
        raise QueryMisuse(f"{what} for {spec.internal_form}: {problem}") from None


def encode_result(spec: FunctionSpec, result: object, tables: Tables | None = None) -> bytes:
    """The encoded, validated result. Raises ReturnMismatch, InvalidValue, LimitExceeded."""
    try:
        encoded = spec.signature.encode_result(result, tables)
    except RecursionError:
        raise _too_nested(spec) from None
    nesting = spec.limits.nesting
    if nesting < NESTING_MAX and _depth(encoded) > nesting:  # `wire` itself sees to NESTING_MAX
        raise _too_nested(spec)
    if len(encoded) > spec.limits.result_bytes:
        raise LimitExceeded(
            f"The result of {spec.path} is too large (actual: {len(encoded)} bytes, limit: "
            f"{spec.limits.result_bytes} bytes). Return fewer documents, for example a page."
        )
    return encoded


def _too_nested(spec: FunctionSpec) -> LimitExceeded:
    return LimitExceeded(
        f"The result of {spec.path} is too nested (maximum nesting {spec.limits.nesting}, or it "
        "contains itself). Return a flatter value."
    )


def _depth(encoded: bytes) -> int:
    """How deep JSON text nests."""
    depth = deepest = 0
    for bracket in _STRUCTURE.finditer(encoded):
        found = bracket.group()
        if found in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found in b"]}":
            depth -= 1
    return deepest
