"""What a run learns from the warehouse: how many rows of each status there are, and the rows that are to be sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.warehouse.change_query import FAILED_BEFORE, ChangeQuery, Status
from airflow_provider_dub.warehouse.query_rows import Columns, WarehouseRows
from airflow_provider_dub.warehouse.source import column_names
from airflow_provider_dub.warehouse.spool import Spool

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect


class IncompleteCopyError(Exception):
    """Not all rows of a query that is read elsewhere can be compared."""


class Count(NamedTuple):
    """How many rows there are of a status.

    :param rows: All of them.
    :param with_dub_id: Those whose Dub id the state table has.
    """

    rows: int
    with_dub_id: int


@dataclass(frozen=True)
class Changes:
    """The difference between a query and the state table.

    :param warehouse: Where both are.
    :param query: Writes the queries.
    :param parameters: Of the user's query.
    :param cells: The cells of all rows by their position, where the query was read elsewhere.
    """

    warehouse: Warehouse
    query: ChangeQuery
    parameters: Any = None
    cells: Spool | None = None

    def counts(self) -> dict[Status, Count]:
        """Count the rows of the query by status."""
        found = (row for batch in self._batches(self.query.counts()) for row in batch)
        by_status = {Status(status): Count(int(rows), int(with_dub_id)) for status, rows, with_dub_id in found}
        if self.cells is not None and (compared := sum(count.rows for count in by_status.values())) != len(self.cells):
            raise IncompleteCopyError(
                f"The query gave {len(self.cells):,} rows, and {compared:,} of them arrived beside the state. Nothing "
                "was sent, and nothing is lost: run the task again."
            )
        return {status: by_status.get(status, Count(0, 0)) for status in Status}

    @contextmanager
    def read(
        self, columns: Columns, statuses: Collection[Status], failed_in: str | None = None
    ) -> Iterator[WarehouseRows]:
        """Read rows out of the warehouse, into a temporary file.

        :param columns: The columns of the query.
        :param statuses: The statuses of the rows to read; without any, the warehouse is not asked.
        :param failed_in: Read also the rows that this run refused or did not find in an earlier try.
        """
        wanted = [*statuses, *(FAILED_BEFORE if failed_in else ())]
        with Spool() as spool:
            rows = WarehouseRows(spool, columns, failed_in, cast=self.cells is None)
            for batch in self._batches(self.query.rows(wanted)) if wanted else ():
                rows.add(batch if self.cells is None else [_with_cells(row, self.cells, columns) for row in batch])
            yield rows

    def _batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        return self.warehouse.batches(sql, self.parameters)


def _with_cells(row: tuple[Any, ...], cells: Spool, columns: Columns) -> tuple[Any, ...]:
    position, *rest = row
    return (*cells[position][: 1 + len(columns.fields)], *rest)


def columns_of(warehouse: Warehouse, dialect: Dialect, sql: str, parameters: Any) -> list[tuple[str, str]]:
    """Return the names of the columns of the user's query, and how the driver calls their types.

    :param warehouse: Where it is run.
    :param dialect: The engine.
    :param sql: The query.
    :param parameters: Its parameters.
    """
    return warehouse.columns_and_types(column_names(sql, dialect), parameters)
