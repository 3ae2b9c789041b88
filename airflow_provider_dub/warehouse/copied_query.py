"""A query whose rows are copied, and compared where the copy is: its own database needs only the right to SELECT."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_dub.customers.cells import prepare_cell
from airflow_provider_dub.customers.converters import stripped
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.shown import listed
from airflow_provider_dub.warehouse.cell_text import sortable, text_of
from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.cursors import Cursor
from airflow_provider_dub.warehouse.local_database import local_database
from airflow_provider_dub.warehouse.query_rows import QueryColumns
from airflow_provider_dub.warehouse.schema import KEY, LATEST, POSITION
from airflow_provider_dub.warehouse.spool import Spool
from airflow_provider_dub.warehouse.staging import Staging

if TYPE_CHECKING:
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.state_table import StateTable
    from airflow_provider_dub.warehouse.statements import Statements
    from airflow_provider_dub.warehouse.status import KnownState
    from airflow_provider_dub.warehouse.user_query import UserQuery

T = TypeVar("T")
log = logging.getLogger(__name__)
#: Rows that are copied in one transaction.
_COPIED_AT_ONCE = 10_000
#: Rows of which one is read from the file of cells, where they are not read in order.
_READ_AT_ONCE = 32


@dataclass(frozen=True)
class CopiedQuery:
    """The user's query, compared in another database than its own.

    :param source: The database that it reads.
    :param query: The query.
    """

    source: Warehouse
    query: UserQuery

    def changes(self, table: StateTable | None, known: KnownState | None) -> AbstractContextManager[Changes]:
        """Return the difference, as the database of the state computes it; without one or in a dry run, this process.

        :param table: The state table, if there is one.
        :param known: What its outcomes mean; None if every row is new.
        :raises ValueError: A column of the query is missing, or cannot be compared.
        """
        if table is None or known is None or self.query.options.dry_run:
            return self._locally(table, known)
        return self._beside(table, known)

    @contextmanager
    def _beside(self, table: StateTable, known: KnownState) -> Iterator[Changes]:
        """Compare the rows beside the state, in its staging table; for the owner of the lease."""
        staging = table.create_staging()
        try:
            with self._copied(staging) as (cells, matched):
                yield self._changes(table.warehouse, staging, cells, matched, known)
        except Exception:
            _clear(staging)
            raise
        _clear(staging)  # not when the process is told to end: seconds count, and the next run does it

    @contextmanager
    def _locally(self, table: StateTable | None, known: KnownState | None) -> Iterator[Changes]:
        """Compare the rows in a file of this process, and write nothing anywhere else."""
        with local_database() as (warehouse, statements):
            if table and known:
                _copy_state(table, warehouse, statements)
                known = replace(known, table=statements.table, missing_columns=frozenset())
            staging = Staging(warehouse, statements, "")
            with self._copied(staging) as (cells, matched):
                yield self._changes(warehouse, staging, cells, matched, known)

    def _changes(
        self, warehouse: Warehouse, staging: Staging, cells: Spool, matched: MatchedColumns, known: KnownState | None
    ) -> Changes:
        options = self.query.options
        fields = [field.name for field in matched.fields.values()]
        rows = staging.rows(fields, latest_wins=matched.latest_by is not None)
        query = ChangeQuery(staging.dialect, rows, known, options.limit)
        return Changes(warehouse, query, QueryColumns.of_query(matched, options), cells=cells)

    @contextmanager
    def _copied(self, staging: Staging) -> Iterator[tuple[Spool, MatchedColumns]]:
        """Copy all rows into the staging table; yield their cells as they are, and which columns they are."""
        options = self.query.options
        with Spool() as spool:
            with self.source.reading(self.query.sql, self.query.parameters) as (columns, batches):
                matched = self.query.match(columns)
                rows = _RowsAsText([name for name, _ in columns], matched, options)
                for batch in batches:
                    for some in _batched(batch, len(batch) if options.limit is None else _READ_AT_ONCE):
                        spool.add([rows.used(row) for row in some])
            for first, cells in zip(count(0, _COPIED_AT_ONCE), _batched(spool, _COPIED_AT_ONCE), strict=False):
                staging.insert(rows.columns, (rows.as_text(n, row) for n, row in enumerate(cells, first)))
            staging.analyze()
            yield spool, matched


class _RowsAsText:
    """Makes the rows of the staging table out of those of the query.

    :param names: The columns of the query.
    :param matched: Which of them are used.
    :param options: The options of the sync.
    """

    def __init__(self, names: Sequence[str], matched: MatchedColumns, options: SyncOptions) -> None:
        self._latest_by = matched.latest_by
        self._names = [matched.key, *matched.fields, *([self._latest_by] if self._latest_by else [])]
        self._places = [names.index(name) for name in self._names]
        self._options = options
        self._kind: str | None = None
        clears = options.cleared_fields(matched.fields.values())
        places = {field.name: place for place, field in enumerate(matched.fields.values(), 1)}
        self._clears = [(places[name], field) for name, field in FIELDS.items() if name in places and name in clears]
        latest = [LATEST] if self._latest_by else []
        self.columns = [POSITION, KEY, *(field.column for field in matched.fields.values()), "cleared", *latest]

    def used(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return the cells of the columns that are used.

        :param row: The row as the driver gives it.
        """
        return tuple([row[place] for place in self._places])

    def as_text(self, position: int, cells: Sequence[Any]) -> tuple[str | None, ...]:
        """Return the row of the staging table.

        :param position: The position of the row.
        :param cells: The cells that are used.
        :raises ValueError: One has no text that is the same in every run, or cannot be ordered.
        """
        latest: tuple[str | None, ...] = ()
        if self._latest_by:
            latest = (self._sortable(cells[-1]),)
            cells = cells[:-1]
        try:
            texts = [text_of(cell) for cell in cells]
        except ValueError:
            raise self._unreadable(cells) from None
        key, *values = texts
        without_blanks = stripped(key or "") or None  # a key of blanks names no customer
        key = without_blanks if self._options.strip else without_blanks and key
        return (str(position), key, *values, self._cleared(cells) if self._clears else "", *latest)

    def _cleared(self, cells: Sequence[Any]) -> str:
        strip, blanks = self._options.strip, self._options.blanks
        empty = (
            field.name
            for place, field in self._clears
            if prepare_cell(cells[place], field, strip=strip, blanks=blanks) is None
        )
        return "".join(f"{name} " for name in empty)

    def _sortable(self, cell: Any) -> str | None:
        try:
            found = sortable(cell)
        except ValueError as reason:
            raise ValueError(f"The column {listed([self._latest_by])} of latest_by {reason}.") from None
        if found is None:
            return None
        kind, text = found
        self._kind = self._kind or kind
        if kind != self._kind:
            raise ValueError(
                f"The column {listed([self._latest_by])} of latest_by holds {self._kind} and {kind}, which have no "
                "order among themselves: cast it to one type in the query."
            )
        return text

    def _unreadable(self, cells: Sequence[Any]) -> ValueError:
        for name, cell in zip(self._names, cells, strict=False):
            try:
                text_of(cell)
            except ValueError as reason:
                return ValueError(f"The column {listed([name])} of the query {reason}.")
        return ValueError("A column of the query has no text: cast it to text in the query.")


def _clear(staging: Staging) -> None:
    try:
        staging.clear()
    except Exception as error:  # nobody compares them, and the next run deletes them
        log.warning("The rows in the staging table could not be deleted (%s).", type(error).__name__)


def _batched(rows: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    left = iter(rows)
    while batch := tuple(islice(left, size)):
        yield batch


def _copy_state(table: StateTable, warehouse: Warehouse, statements: Statements) -> None:
    """Copy the state table, as a run without rights to write compares with it."""
    columns, batches = table.rows()
    for batch in batches:
        rows = [tuple(map(text_of, row)) for row in batch]
        insert = partial(
            Cursor.insert_rows, table=statements.state, columns=columns, rows=rows, dialect=statements.dialect
        )
        warehouse.transaction(insert)
