"""Where the results of a run go: the report, the file of rejected rows, and the records for XCom or a file."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from airflow_provider_dub.operators.json_lines import JsonLinesFile
from airflow_provider_dub.sync.rejected import rejected_line
from airflow_provider_dub.sync.report import NOT_APPLIED, Outcome, RowResult

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.report import Report
    from airflow_provider_dub.sync.rows import CountedRows


#: Airflow kills a task about five seconds after it has told it to stop; the engine waits up to two for answers.
SECONDS_FOR_THE_REST = 1.0
_NOT_REACHED = "the run was stopped before it came to this row"


class Journal(Protocol):
    """Keeps outcomes as they become known, for later runs; a context manager that is left when the run is over."""

    def __enter__(self) -> Journal: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def take(self, result: RowResult) -> None:
        """Keep one outcome."""


class Delivery:
    """Delivers results one by one; a context manager, since it may hold files open.

    :param rows: The rows that the results are about.
    :param report: Counts them.
    :param key_column: The column that holds the customers' ids.
    :param rejected_path: Where rows that were not applied are written, if anywhere.
    :param records_path: Where updated customers are written, rather than kept for XCom.
    :param keep_records: Keep updated customers where they are not written.
    :param journal: Where outcomes are kept as they become known.
    """

    def __init__(
        self,
        rows: CountedRows,
        report: Report,
        *,
        key_column: str,
        rejected_path: str | ObjectStoragePath | None,
        records_path: str | ObjectStoragePath | None,
        keep_records: bool,
        journal: Journal | None,
    ) -> None:
        self._rows = rows
        self._report = report
        self._key_column = key_column
        self._rejected = JsonLinesFile(rejected_path) if rejected_path else None
        self._records = JsonLinesFile(records_path) if records_path else None
        self._keep_records = keep_records
        self._journal = journal
        self._updated: list[Customer] = []
        self._last_row = -1
        self._size = len(rows)
        self._reached = 0
        self._open = ExitStack()

    def __enter__(self) -> Delivery:
        for place in (self._rejected, self._records, self._journal):
            if place:
                self._open.enter_context(place)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    def take(self, result: RowResult) -> None:
        """Deliver one result; the same one again, after an interruption, is left alone."""
        if result.row == self._last_row:
            return
        if self._journal:
            self._journal.take(result)
        if self._rejected and result.outcome in NOT_APPLIED:
            self._rejected.write(rejected_line(result, self._rows.whole(result.row), self._key_column))
        if result.record is not None:
            self._keep(result.record)
        self.count(result)

    def count(self, result: RowResult) -> None:
        """Count one result that is delivered, or that cannot be; once."""
        if result.row != self._last_row:
            self._last_row = result.row
            self._reached += result.row < self._size
            self._report.add(result)

    def count_rest(self, *, write: bool) -> int:
        """Count the rows that a stopped run did not come to; return how many of them the rejected file lacks.

        :param write: Write them to the file of rejected rows, as many as :data:`SECONDS_FOR_THE_REST` allow.
        """
        rest = range(self._reached, self._size)
        if not rest:
            return 0
        self._report.add_not_reached(rest.start, len(rest))
        until = time.monotonic() + SECONDS_FOR_THE_REST
        for row in rest:
            if not (write and self._rejected) or time.monotonic() > until:
                return rest.stop - row
            why = RowResult(row, None, Outcome.NOT_ATTEMPTED, code="not_attempted", reason=_NOT_REACHED)
            self._rejected.write(rejected_line(why, self._rows.whole(row), self._key_column))
        return 0

    def _keep(self, record: Customer) -> None:
        if self._records:
            self._records.write(json.dumps(record))
        elif self._keep_records:
            self._updated.append(record)

    @property
    def returned(self) -> list[Customer] | str:
        """The updated customers, or the URI of the file that holds them."""
        return self._records.uri if self._records else self._updated
