"""Where the results of a task go: the file of rejected rows, and the updated customers for XCom or a file."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from airflow_provider_dub.operators.rejected_rows import rejected_line
from airflow_provider_dub.operators.xcom import as_storable
from airflow_provider_dub.sync.results import NOT_APPLIED, not_attempted

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.operators.json_lines import JsonLinesFile
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.sync.rows import Rows

#: Seconds for the rows that an urgent stop left unread.
_SECONDS_FOR_UNREAD_ROWS = 1.0


class RejectedRows:
    """Writes the rows that were not applied to a file; a :class:`~airflow_provider_dub.sync.results.Sink`.

    :param file: The file.
    :param rows: The rows that the results are about.
    :param columns: The columns of the rows that are used.
    """

    def __init__(self, file: JsonLinesFile, rows: Rows, columns: MatchedColumns) -> None:
        self._file = file
        self._rows = rows
        self._columns = columns

    def write(self, result: RowResult) -> None:
        """Write the row if it was not applied."""
        if result.outcome in NOT_APPLIED:
            whole = self._rows.whole(result.row)
            self._file.write(rejected_line(result, whole, self._columns.key, self._columns.fields))

    def close(self, unread: range) -> None:
        """Write as many of the rows that were not read as a second allows, and close the file."""
        until = time.monotonic() + _SECONDS_FOR_UNREAD_ROWS
        try:
            for row in unread:
                if time.monotonic() > until:
                    break
                self.write(not_attempted(row))
        finally:
            self._file.close()


class Records:
    """Keeps the updated customers, in a list or in a file; a :class:`~airflow_provider_dub.sync.results.Sink`.

    :param file: The file; without one they are kept in memory.
    """

    def __init__(self, file: JsonLinesFile | None) -> None:
        self._file = file
        self._kept: list[Customer] = []
        #: How many customers had characters that Airflow's database refuses.
        self.replaced = 0

    def write(self, result: RowResult) -> None:
        """Keep the customer, if there is one."""
        if result.record is None:
            return
        record, is_replaced = as_storable(result.record)
        self.replaced += is_replaced
        if self._file:
            self._file.write(json.dumps(record))
        else:
            self._kept.append(record)

    def close(self, unread: range) -> None:  # noqa: ARG002 - there is nothing to keep of them
        """Close the file."""
        if self._file:
            self._file.close()

    @property
    def returned(self) -> list[Customer] | str:
        """The customers, or the URI of the file that holds them."""
        return self._file.uri if self._file else self._kept
