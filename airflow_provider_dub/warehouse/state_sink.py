"""Appends the outcome of every row to the history of the state table, many in a transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers.converters import MAX_LENGTH
from airflow_provider_dub.customers.ids import is_exact_match
from airflow_provider_dub.exceptions import DubCustomerNotFoundError
from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.warehouse.schema import APPLIED, BASELINE, PENDING, now

if TYPE_CHECKING:
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.warehouse.query_rows import StateOfRow, WarehouseRows
    from airflow_provider_dub.warehouse.state_table import StateTable

#: Outcomes of rows that were left as they are.
_LEFT = (Outcome.NOT_ATTEMPTED, Outcome.WOULD_UPDATE, Outcome.OVER_LIMIT)
#: Outcomes of rows that were not sent, and that are final.
_NOT_SENT = (Outcome.REJECTED, Outcome.UNCHANGED)
#: Codes of failures that say nothing of the row.
_OF_THE_RUN = ("duplicate", "internal")


class StateSink:
    """Keeps the outcomes that are final; a :class:`~airflow_provider_dub.sync.results.Sink`.

    A row that was not attempted leaves no trace, nor does a failure that may pass, unless Dub had all values of the
    row before: then it is not known which it has now. All of these are sent again.

    :param table: The state table.
    :param rows: The rows that the outcomes are about.
    :param run: The name of this run.
    :param key_prefix: What makes a customer's id of a key.
    :param commit_every: The number of rows of a transaction; None: as fits the engine.
    """

    def __init__(
        self, table: StateTable, rows: WarehouseRows, *, run: str, key_prefix: str, commit_every: int | None
    ) -> None:
        self._table = table
        self._rows = rows
        self._run = run
        self._key_prefix = key_prefix
        self._commit_every = commit_every or table.dialect.commit_every
        self._waiting: list[tuple[Any, ...]] = []
        self._written_at = time.monotonic()
        self._has_unsent = False

    def close(self, unread: range) -> None:
        """Write what is left, and give the connection back.

        :param unread: The positions of the rows that were not read.
        """
        try:
            self._write()
            self._table.unfinished.has_unsent = self._has_unsent or bool(unread)
        finally:
            self._table.warehouse.close()

    def write(self, result: RowResult) -> None:
        """Keep one outcome, if it is final.

        :param result: The result of the row.
        """
        is_final = _is_final(result)
        if is_final or _may_be_applied(result):
            row = self._rows.state_of(result.row)
            if _fits(row) and is_final:
                self._keep(result, row)
            elif _fits(row) and row.last_applied_at:
                self._waiting.append(self._line(row, PENDING, dub_id=row.dub_id, applied=False))
        else:
            self._has_unsent = True
        if len(self._waiting) >= self._commit_every or self._is_due:
            self._write()

    def write_as_applied(self, row: int, dub_id: str | None) -> bool:
        """Keep a row as applied that was not sent; return whether it has a place in the table.

        :param row: Its position.
        :param dub_id: Dub's id of the customer, if it is known.
        """
        recorded = self._rows.state_of(row)
        if not _fits(recorded):
            return False
        self._waiting.append(self._line(recorded, BASELINE, dub_id=dub_id, applied=True))
        if len(self._waiting) >= self._commit_every:
            self._write()
        return True

    @property
    def _is_due(self) -> bool:
        """Whether the lease was renewed just now, so that the engine is awake, and the last write is long ago."""
        lease, dialect = self._table.lease, self._table.dialect
        long_ago = lease.renewed_at - self._written_at > dialect.append_every - dialect.renew_every
        return lease.renewed_at > self._written_at and long_ago

    def _keep(self, result: RowResult, row: StateOfRow) -> None:
        message = result.message
        if result.unapplied_fields:
            message = f"Dub accepted but did not apply: {', '.join(result.unapplied_fields)}"
        elif result.omitted_fields and not message:
            message = f"Not sent: {'; '.join(f'{field} {reason}' for field, reason in result.omitted_fields)}"
        line = self._line(
            row,
            _outcome(result, row),
            code=result.code,
            message=message,
            dub_id=self._dub_id(result, row),
            applied=result.outcome in APPLIED,
        )
        self._waiting.append(line)

    def _dub_id(self, result: RowResult, row: StateOfRow) -> str | None:
        """Return Dub's id of the customer that the key of the row names as it is, and not after it was renamed."""
        if result.record:
            return str(result.record["id"]) if is_exact_match(f"{self._key_prefix}{row.key}", result.record) else None
        # A row that was not sent says nothing about the customer.
        return row.dub_id if result.outcome in _NOT_SENT else None

    def _line(
        self,
        row: StateOfRow,
        outcome: str,
        *,
        applied: bool,
        dub_id: str | None,
        code: str | None = None,
        message: str | None = None,
    ) -> tuple[Any, ...]:
        """Return a line of the history but for its attempt; in the order of :func:`~.schema.state_columns`."""
        at = now()
        first, last = (row.first_applied_at or at, at) if applied else (row.first_applied_at, row.last_applied_at)
        return (row.key, *row.compared, outcome, code, message, dub_id, first, last, at, self._run)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._table.append(waiting)
        self._written_at = time.monotonic()


def _is_final(result: RowResult) -> bool:
    if result.resumed or result.outcome in _LEFT or result.code in _OF_THE_RUN:
        return False
    error = result.error
    return error is None or not (error.transient or error.fatal)


def _may_be_applied(result: RowResult) -> bool:
    """Return whether a row failed that was sent, and Dub may have applied it."""
    is_known = result.error is not None and not result.error.maybe_applied
    return result.outcome is Outcome.FAILED and not (is_known or result.resumed)


def _fits(row: StateOfRow) -> bool:
    """Return whether the row's id fits into the table; if not, the row is refused anew by every run."""
    return row.key is not None and len(row.key) <= MAX_LENGTH


def _outcome(result: RowResult, row: StateOfRow) -> str:
    """Return the outcome for the state table."""
    if isinstance(result.error, DubCustomerNotFoundError):  # whether or not that counts as a failure
        return str(Outcome.MISSING)
    if result.record and row.is_partly_sent and row.dub_id is not None and result.record["id"] != row.dub_id:
        # Another customer has the id now, and it has only some of the fields: the next run sends them all.
        return PENDING
    return str(result.outcome)
