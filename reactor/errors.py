"""Every error that reactor raises, in one tree.

Three kinds are kept apart. `ReactorError` is *the application's* way of telling its clients
something: functions raise it with data, clients receive that data as a `ConvexError`. `Problem` is
*reactor's* way of saying that a request, a declaration or the environment is wrong; its `tag` is
stable (tests and clients may match it), its text is for people and says what was tried, the
offending value and the way out. Anything else that escapes is a bug and is reported as internal.

    Exception
    ├── ReactorError                  raised by application code, carries data
    │   └── InvalidCursor             the one system error that clients recognise by its data
    └── Problem
        ├── InvalidRequest            400: the caller's bytes make no sense
        │   ├── InvalidValue          a value is not a Convex value; has a path
        │   ├── InvalidId             a document id does not decode
        │   └── InvalidFunctionPath   `module:function` expected
        ├── FunctionError             a call failed as a function failure (HTTP 200, QueryFailed)
        │   ├── FunctionNotFound, WrongFunctionType
        │   ├── ValidatorMismatch, ArgumentMismatch, ReturnMismatch, SchemaMismatch
        │   ├── QueryMisuse           an index range or a chained query is malformed
        │   ├── DocumentProblem       a document is missing or of another table
        │   └── LimitExceeded         a limit of the settings was broken
        ├── Unauthenticated           401
        ├── Forbidden                 403
        ├── NotFound                  404
        ├── Unavailable               503 / close 1013: try again
        │   ├── Overloaded, OutOfRetention
        ├── StoreProblem              the environment: StoreLocked, StoreDamaged, StoreUnavailable
        ├── SchemaError, LoadError    an app's declarations are wrong; names file and line
        └── InternalProblem           500, a bug in reactor
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ReactorError(Exception):
    """An application error. `data` (any Convex value) reaches the client as `ConvexError.data`.

    >>> raise ReactorError({"code": "NOT_YOURS", "id": "k57…"})
    """

    def __init__(self, data: object = None) -> None:
        super().__init__(data)
        self.data = data


class InvalidCursor(ReactorError):
    """A pagination cursor belongs to another query; clients restart from the first page."""

    message = (
        "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this "
        "cursor is from a different query."
    )

    def __init__(self) -> None:
        super().__init__({"isConvexSystemError": True, "paginationError": "InvalidCursor"})

    def __str__(self) -> str:
        return self.message


class Problem(Exception):
    """Base of everything that reactor itself raises."""

    tag: ClassVar[str] = "Problem"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, tag: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self._tag = tag

    @property
    def short_code(self) -> str:
        """The stable CamelCase name of this problem, as sent in `code` and close reasons."""
        return self._tag or self.tag

    def to_json(self) -> Mapping[str, str]:
        """The one JSON shape of request-level errors: ``{"code", "message"}``."""
        return {"code": self.short_code, "message": self.message}


class InvalidRequest(Problem):
    tag = "BadRequest"
    http_status = 400


class InvalidValue(InvalidRequest):
    """A value is not a Convex value. `path` is where, such as ``.a[0]`` (empty at the root)."""

    tag = "InvalidValue"

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{message} (at path {path})" if path else message)
        self.path = path


class InvalidId(InvalidRequest):
    tag = "InvalidId"


class InvalidFunctionPath(InvalidRequest):
    tag = "BadConvexFunctionIdentifier"


class FunctionError(Problem):
    """A failure of one function call; travels as its result, not as a failed request."""

    tag = "FunctionError"
    http_status = 200


class FunctionNotFound(FunctionError):
    tag = "FunctionNotFound"


class WrongFunctionType(FunctionError):
    tag = "WrongFunctionType"


class ValidatorMismatch(FunctionError):
    """A value does not match a validator; the text is the protocol's (section 8.2)."""

    tag = "ValidatorMismatch"


class ArgumentMismatch(FunctionError):
    tag = "ArgumentValidationError"


class ReturnMismatch(FunctionError):
    tag = "ReturnsValidationError"


class SchemaMismatch(FunctionError):
    tag = "SchemaValidationError"


class QueryMisuse(FunctionError):
    tag = "InvalidQuery"


class DocumentProblem(FunctionError):
    tag = "DocumentError"


class LimitExceeded(FunctionError):
    tag = "LimitExceeded"


class Unauthenticated(Problem):
    tag = "Unauthenticated"
    http_status = 401


class Forbidden(Problem):
    tag = "OperationNotPermitted"
    http_status = 403


class NotFound(Problem):
    tag = "NotFound"
    http_status = 404


class Unavailable(Problem):
    """Try again: nothing was done. WebSockets close with 1013, HTTP answers 503."""

    tag = "ServiceUnavailable"
    http_status = 503


class Overloaded(Unavailable):
    tag = "TooManyConcurrentRequests"


class OutOfRetention(Unavailable):
    tag = "OutOfRetention"


class StoreProblem(Problem):
    """The environment failed the store: the message names the file and what to do."""

    tag = "StoreError"
    http_status = 503


class StoreLocked(StoreProblem):
    tag = "StoreLocked"


class StoreDamaged(StoreProblem):
    tag = "StoreDamaged"


class StoreUnavailable(StoreProblem):
    tag = "StoreUnavailable"


class SchemaError(Problem):
    """A table, index or annotation is declared wrongly."""

    tag = "SchemaError"


class LoadError(Problem):
    """An app could not be loaded; the message has the file, the line and the cause."""

    tag = "LoadError"


class InternalProblem(Problem):
    """A bug in reactor. Clients see only that their request could not be completed."""

    tag = "InternalServerError"
