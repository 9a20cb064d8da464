"""`ctx.db.query(Table)`: a chain that describes a read, and the calls that carry it out.

A chain is immutable: each step returns a new one, so a base query can be kept and refined. Nothing
is read before `collect`, `take`, `first`, `unique`, `count`, `paginate` or iteration, and those
record only what they walked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, Literal, TypeVar

from reactor.data.schema import TableSchema
from reactor.data.tables import Table
from reactor.engine.documents import Document
from reactor.engine.scan import Scan
from reactor.engine.tables import Index, TableState
from reactor.engine.transaction import Transaction
from reactor.errors import QueryMisuse
from reactor.functions.pagination import Page, PaginationOptions, Walk, check_options
from reactor.functions.query_range import IndexRange
from reactor.types import BY_CREATION_TIME

Row = TypeVar("Row", bound=Table)

Order = Literal["asc", "desc"]

#: Longest page for which no split is recommended (protocol section 6.2).
_PAGE_ROWS_RECOMMENDED = 6_144


@dataclass(slots=True)
class PageJournal:
    """Where the one paginated query of a function ends: the journal of its last run, and of
    this."""

    previous: str | None = None
    current: str | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class QuerySource:
    """What a chain reads from. `state` is None for a table that has no documents yet."""

    transaction: Transaction
    schema: TableSchema
    state: TableState | None
    journal: PageJournal


class Query(Generic[Row]):
    """A read of one table: by default all documents, oldest first."""

    __slots__ = ("_filters", "_order", "_range", "_source")

    def __init__(
        self,
        source: QuerySource,
        index_range: IndexRange | None = None,
        order: Order | None = None,
        filters: tuple[Callable[[Row], bool], ...] = (),
    ) -> None:
        self._source = source
        self._range = index_range
        self._order: Order | None = order
        self._filters = filters

    # -- describing ------------------------------------------------------------------------------

    def with_index(self, name: str) -> Query[Row]:
        """Read through an index of the table: `.with_index("by_project").eq(project_name="p")`.

        Raises QueryMisuse for a name that the table does not declare, or a second call.
        """
        schema = self._source.schema
        if self._range is not None:
            raise QueryMisuse(
                f"This query on {schema.name} already uses index {self._range.name}; it can't use "
                f"{name!r} too. Start from ctx.db.query({schema.model.__name__}) again."
            )
        index = schema.indexes.get(name)
        if index is None:
            known = ", ".join(schema.indexes)
            raise QueryMisuse(
                f"Index {schema.name}.{name} not found. The indexes of {schema.name} are: {known}.",
                tag="IndexNotFoundError",
            )
        spellings = dict(zip(index.python_fields, index.fields, strict=True))
        index_range = IndexRange(schema.name, name, tuple(index.fields), spellings)
        return Query(self._source, index_range, self._order, self._filters)

    def _indexed(self) -> IndexRange:
        if self._range is None:
            raise QueryMisuse(
                f"Bounds need an index: call .with_index(name) on this query of "
                f"{self._source.schema.name} first, or use .filter(callable)."
            )
        return self._range

    def _bounded(
        self, operator: Literal["eq", "gt", "gte", "lt", "lte"], bounds: dict[str, object]
    ) -> Query[Row]:
        index_range = self._indexed().bounded(operator, bounds)
        return Query(self._source, index_range, self._order, self._filters)

    def eq(self, **fields: object) -> Query[Row]:
        """Only documents whose index fields equal these values: a prefix of the index's fields.

        `None` means an explicit null, `MISSING` an absent field.
        """
        return self._bounded("eq", fields)

    def gt(self, **field: object) -> Query[Row]:
        """Lower bound, exclusive, on the index field after the `eq` ones."""
        return self._bounded("gt", field)

    def gte(self, **field: object) -> Query[Row]:
        """Lower bound, inclusive."""
        return self._bounded("gte", field)

    def lt(self, **field: object) -> Query[Row]:
        """Upper bound, exclusive. Smaller types (absent, null) lie below it too."""
        return self._bounded("lt", field)

    def lte(self, **field: object) -> Query[Row]:
        """Upper bound, inclusive."""
        return self._bounded("lte", field)

    def order(self, order: Order) -> Query[Row]:
        """`"asc"` (the default) or `"desc"`: the whole index order, tie-break included."""
        if self._order is not None:
            raise QueryMisuse("Queries may only specify order at most once")
        if order not in ("asc", "desc"):
            raise QueryMisuse(f'order() takes "asc" or "desc", not {order!r}.')
        return Query(self._source, self._range, order, self._filters)

    def filter(self, keep: Callable[[Row], bool]) -> Query[Row]:
        """Only documents for which `keep(document)` is true. What it drops is still read."""
        return Query(self._source, self._range, self._order, (*self._filters, keep))

    # -- carrying out ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Row]:
        walk = self._walk()
        if walk is None:
            return
        load = self._source.schema.load
        for _, document in self._scan(walk):
            row: Row = load(document)  # type: ignore[assignment]
            if self._keeps(row):
                yield row

    def collect(self) -> list[Row]:
        """All matching documents."""
        return list(self)

    def take(self, count: int) -> list[Row]:
        """The first `count` matching documents, or fewer."""
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise QueryMisuse(f"take() needs a whole number that is not negative, not {count!r}.")
        return list(islice(self, min(count, sys.maxsize)))

    def first(self) -> Row | None:
        """The first matching document, or None."""
        return next(iter(self), None)

    def unique(self) -> Row | None:
        """The only matching document, or None; QueryMisuse if there are several."""
        found = list(islice(self, 2))
        if len(found) == 2:
            ids = ", ".join(row.id for row in found)
            raise QueryMisuse(
                "unique() query returned more than one result from table "
                f"{self._source.schema.name}:\n [{ids}, ...]"
            )
        return found[0] if found else None

    def count(self) -> int:
        """How many documents match. O(log n); with filters it reads every document."""
        if self._filters:
            return sum(1 for _ in self)
        walk = self._walk()
        if walk is None:
            return 0
        state, index = self._state_and_index()
        return self._source.transaction.count(state, index, walk.within)

    def paginate(self, options: PaginationOptions) -> Page[Row]:
        """One page, bounded by cursors so that neighbouring pages neither overlap nor leave
        gaps."""
        source = self._source
        check_options(options, source.transaction.meter.limits.documents_read)
        if source.journal.used:
            raise QueryMisuse(
                "This query or mutation function ran multiple paginated queries. Only a single "
                "paginated query is supported in each function."
            )
        source.journal.used = True
        walk = self._walk()
        if walk is None:
            return Page(page=[], isDone=True, continueCursor="")
        return _paginate(self, walk, options, source)

    # -- the parts of a walk ---------------------------------------------------------------------

    def _walk(self) -> Walk | None:
        """The range to walk; None for a table that does not exist yet."""
        schema = self._source.schema
        index_range = self._range or IndexRange(schema.name, BY_CREATION_TIME, (), {})
        within = index_range.key_range()
        if self._source.state is None:
            return None
        _, index = self._state_and_index()
        return Walk(index.id, index.fields, within, self._order == "desc", len(self._filters))

    def _state_and_index(self) -> tuple[TableState, Index]:
        state = self._source.state
        assert state is not None
        name = self._range.index if self._range is not None else BY_CREATION_TIME
        index = state.indexes.get(name)
        if index is None:
            raise QueryMisuse(f"Index {state.name}.{name} not found.", tag="IndexNotFoundError")
        if self._range is not None and index.fields and index.fields != self._range.fields:
            raise QueryMisuse(
                f"Index {state.name}.{name} was redefined by a deployment while this function ran. "
                "Try again."
            )
        return state, index

    def _scan(self, walk: Walk) -> Scan:
        state, index = self._state_and_index()
        return self._source.transaction.scan(state, index, walk.within, reverse=walk.reverse)

    def _keeps(self, row: Row) -> bool:
        return all(keep(row) for keep in self._filters)


def _paginate(
    query: Query[Row], walk: Walk, options: PaginationOptions, source: QuerySource
) -> Page[Row]:
    end = options.endCursor if options.endCursor is not None else source.journal.previous
    within = walk.between(options.cursor, end)
    rows: list[Row] = []
    read_keys: list[bytes] = []
    read_bytes = 0
    status: Literal["SplitRecommended", "SplitRequired"] | None = None
    exhausted = True
    scan = query._scan(replace(walk, within=within))
    for key, document in scan:
        read_keys.append(key)
        read_bytes += len(document.encoded)
        _take(query, source, document, rows)
        if end is not None:
            continue
        if len(rows) >= options.numItems:
            exhausted = False
            break
        if _cut(options, len(read_keys), read_bytes):
            exhausted, status = False, "SplitRequired"
            break
    after = walk.position(end) if end is not None else None if exhausted else read_keys[-1]
    if status is None and (
        len(rows) > _PAGE_ROWS_RECOMMENDED or source.transaction.meter.nearly_exhausted()
    ):
        status = "SplitRecommended"
    cursor = end if end is not None else walk.cursor(after)
    source.journal.current = cursor
    split = walk.cursor(read_keys[(len(read_keys) - 1) // 2]) if len(read_keys) > 2 else None
    return Page(
        page=rows,
        isDone=after is None,
        continueCursor=cursor,
        splitCursor=split,
        pageStatus=status,
    )


def _take(query: Query[Row], source: QuerySource, document: Document, rows: list[Row]) -> None:
    row: Row = source.schema.load(document)  # type: ignore[assignment]
    if query._keeps(row):
        rows.append(row)


def _cut(options: PaginationOptions, rows_read: int, bytes_read: int) -> bool:
    rows_max, bytes_max = options.maximumRowsRead, options.maximumBytesRead
    return (rows_max is not None and rows_read >= rows_max) or (
        bytes_max is not None and bytes_read >= bytes_max
    )
