"""What a run learns from the warehouse: how many rows of each status there are, and the rows that are to be sent."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.exceptions import (
    DubDatabaseError,
    DubIncompleteRowsError,
    DubRetryLaterError,
    DubUnreadableRowsError,
)
from airflow_provider_dub.warehouse.cursors import Cursor
from airflow_provider_dub.warehouse.query_rows import QueryColumns, WarehouseRows
from airflow_provider_dub.warehouse.spool import Spool
from airflow_provider_dub.warehouse.status import FAILED_BEFORE, SET_PENDING, Status

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.change_query import ChangeQuery
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.plan import Plan
    from airflow_provider_dub.warehouse.state_table import StateTable

log = logging.getLogger(__name__)


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
    :param columns: The columns of the user's query.
    :param parameters: Of the user's query.
    :param cells: The cells of all rows by their position, where the query was read elsewhere.
    :param counted: The rows by status, where they are counted already.
    """

    warehouse: Warehouse
    query: ChangeQuery
    columns: QueryColumns
    parameters: Any = None
    cells: Spool | None = None
    counted: Mapping[Status, Count] | None = None

    @contextmanager
    def in_temporary_table(self) -> Iterator[Changes]:
        """Yield the difference as a temporary table has it, so that all queries see the same.

        What is asked and done meanwhile is one transaction. Where no such table can be made, the database computes the
        difference anew for each query.

        :raises ValueError: The state table has several rows for a customer, which somebody else wrote.
        """
        with ExitStack() as stack:
            changes = self
            try:
                changes = self._with_temporary_table(stack)
            except (DubDatabaseError, DubUnreadableRowsError) as failed:
                with suppress(DubDatabaseError):  # what failed cannot be committed either
                    stack.close()
                log.info(
                    "No temporary table could take the difference (%s), so the database computes it for each query.",
                    failed.kind,
                )
            if not changes.query.unique:
                changes._check_state()
            yield changes

    def _with_temporary_table(self, stack: ExitStack) -> Changes:
        changes, queries = self, self.query.over_temporary_tables()
        if queries:
            stack.enter_context(self.warehouse.one_transaction())
        for query in queries:
            create = partial(Cursor.execute_as_given, sql=query.create_temporary_table(), parameters=self.parameters)
            self.warehouse.transaction(create)
            changes = replace(self, query=query, parameters=None)
            counted, surplus = changes._counted()
            changes = replace(changes, counted=counted)
            if not surplus:
                break
        return changes

    def _check_state(self) -> None:
        """Check that the state table has one row for a customer."""
        if not self.query.known:
            return
        ((repeated,),) = [row for batch in self.warehouse.batches(self.query.repeated_keys()) for row in batch]
        if repeated:
            raise ValueError(
                f"The state table {self.query.known.table} has more than one row for {int(repeated):,} of its keys, so "
                "it says two things about them. This package writes one for each. Nothing was sent. Look at them "
                "(GROUP BY customer_key HAVING COUNT(*) > 1), and keep the row with the latest last_tried_at of each."
            )

    @property
    def has_temporary_table(self) -> bool:
        """Whether a temporary table has the difference."""
        return self.query.temporary_table is not None

    def counts(self) -> Mapping[Status, Count]:
        """Count the rows of the query by status."""
        return self.counted or self._counted()[0]

    def _counted(self) -> tuple[Mapping[Status, Count], int]:
        """Return the rows by status, and how many too many there are if each customer is taken to be named by one."""
        found = [row for batch in self._batches(self.query.counts()) for row in batch]
        by_status = {Status(status): Count(int(rows), int(with_dub_id)) for status, rows, with_dub_id, _ in found}
        if self.cells is not None and (compared := sum(count.rows for count in by_status.values())) != len(self.cells):
            self._check_state()
            raise DubIncompleteRowsError(
                f"The query gave {len(self.cells):,} rows, and {compared:,} of them arrived beside the state. Nothing "
                "was sent, and nothing is lost: run the task again."
            )
        surplus = max((int(surplus or 0) for *_, surplus in found), default=0)
        return {status: by_status.get(status, Count(0, 0)) for status in Status}, surplus

    def set_pending(self, plan: Plan, table: StateTable) -> list[Status]:
        """Record that changed rows are about to be sent, and return the statuses of the rows to read.

        :param plan: What the run is going to do.
        :param table: The state table.
        :raises UnusableTableError: Its user may not update rows.
        """
        if not plan.to_set_pending:
            if plan.to_send:
                table.check_update()
            return plan.statuses_to_read
        table.set_pending(self.query, self.parameters, plan.to_set_pending)
        if self.has_temporary_table:
            return plan.statuses_to_read
        # A row that changes only now is not pending, and is left for the next run. Rows beyond a limit are counted.
        read_otherwise = (Status.PENDING, *(SET_PENDING if self.query.limit is None else ()))
        return [Status.PENDING, *(status for status in plan.statuses_to_read if status not in read_otherwise)]

    @contextmanager
    def read(
        self, statuses: Collection[Status], failed_in: str | None = None, *, are_pending: bool = False
    ) -> Iterator[WarehouseRows]:
        """Read rows out of the warehouse, into a temporary file.

        :param statuses: The statuses of the rows to read; without any, the warehouse is not asked.
        :param failed_in: Read also the rows that this run refused or did not find in an earlier try.
        :param are_pending: Whether the state table has the rows that are about to be sent as pending.
        :raises DubRetryLaterError: None of the rows that were to become pending did.
        :raises DubIncompleteRowsError: Fewer rows arrived than a temporary table has.
        """
        wanted = [*statuses, *(FAILED_BEFORE if failed_in else ())]
        limit = self.query.limit
        if are_pending and limit is not None and not self.has_temporary_table:
            limit = 0  # rows of the state table that are not pending by now are beyond it
        with Spool() as spool:
            rows = WarehouseRows(spool, self.columns, failed_in, cast=self.cells is None, limit=limit)
            for batch in self._batches(self.query.rows(wanted)) if wanted else ():
                rows.add(batch if self.cells is None else [_with_cells(row, self.cells, self.columns) for row in batch])
            if self.counted and (lacking := sum(self.counted[one].rows - rows.counts[one] for one in statuses)) > 0:
                raise DubIncompleteRowsError(
                    f"The database counted {lacking:,} more rows than it gave. Nothing was sent. If it happens again, "
                    "look for a limit of the session, such as ROWS_PER_RESULTSET of Snowflake."
                )
            if are_pending and Status.PENDING in statuses and not rows.counts[Status.PENDING]:
                raise DubRetryLaterError(
                    "Rows were to be set to pending in the state table, and none is, though no statement failed. "
                    "Nothing was sent. If it happens again, look at the policies, rules and triggers of that table."
                )
            yield rows

    def _batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        return self.warehouse.batches(sql, self.parameters)


def _with_cells(row: tuple[Any, ...], cells: Spool, columns: QueryColumns) -> tuple[Any, ...]:
    position, *rest = row
    return (*cells[position][: 1 + len(columns.fields)], *rest)
