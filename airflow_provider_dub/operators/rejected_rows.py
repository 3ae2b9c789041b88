"""Rows that were not applied, as lines of JSON that a later sync reads as the same rows.

Dates, times and UUIDs are written as text, since JSON has no other way, unless their field refuses them. That one, and
any other cell that JSON cannot hold, is written so that it is refused again, rather than turned into text that would be
sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_dub.customers.converters import datetime_of_numpy, is_exact, is_missing
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.columns import RESULT_PREFIX
from airflow_provider_dub.sync.results import NOT_APPLIED, not_attempted

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Field
    from airflow_provider_dub.operators.json_lines import JsonLinesFile
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.sync.rows import Rows

#: Seconds for the rows that an urgent stop left unread.
_SECONDS_FOR_UNREAD_ROWS = 1.0
_LARGEST_NUMBER = 10**300


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
            self._file.write(rejected_line(result, self._rows.whole(result.row), self._columns))

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


def rejected_line(result: RowResult, whole: Mapping[str, Any], columns: MatchedColumns) -> str:
    """Return a row as one line of JSON.

    The row's own columns stand beside ``dub_row``, ``dub_outcome``, ``dub_code``, ``dub_field`` and ``dub_reason``,
    which a later sync ignores.

    :param result: The result of the row.
    :param whole: The row with all its columns.
    :param columns: The columns that are used, as the row spells them. In that of the customer's id stands what was
        sent; spelled otherwise it would be a second one, and the line could not be sent again.
    """
    used = {columns.key: FIELDS["externalId"], **columns.fields}
    row = {name: _written(cell, used.get(name)) for name, cell in whole.items()}
    if result.key is not None:
        row[columns.key] = result.key
    why = {
        "row": result.row,
        "outcome": result.outcome.value,
        "code": result.code,
        "field": result.field,
        "reason": result.reason,
    }
    return json.dumps({**row, **{f"{RESULT_PREFIX}{name}": value for name, value in why.items()}})


def _written(cell: Any, field: Field | None) -> Any:
    try:
        written = _json(cell)
        if field and isinstance(written, str) and not isinstance(cell, str):
            field.convert(cell)  # which raises if it refuses what it would take as text
    except Exception:  # a cell may be any object at all
        return {"type": type(cell).__name__, "text": "not shown"}
    return written


def _json(cell: Any) -> Any:
    if is_missing(cell):
        return None
    if type(cell).__module__ == "numpy":
        return _json_of_numpy(cell)
    if isinstance(cell, str):
        return str.__str__(cell)
    if isinstance(cell, UUID):
        return str(cell)
    if isinstance(cell, int | float | Decimal):
        return _json_of_number(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, list | tuple):
        return [_json(item) for item in cell]
    if isinstance(cell, Mapping):
        return {str(name): _json(item) for name, item in cell.items()}
    return {"type": type(cell).__name__, "text": str(cell)}


def _json_of_number(cell: int | float | Decimal) -> Any:
    if not -_LARGEST_NUMBER < cell < _LARGEST_NUMBER:
        return {"type": type(cell).__name__, "text": "out of range"}
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell


def _json_of_numpy(cell: Any) -> Any:
    if type(cell).__name__ == "datetime64":
        return datetime_of_numpy(cell).isoformat()
    if isinstance(cell, str) or not type(cell).__name__.startswith("float") or is_exact(cell):
        return _json(cell.tolist())
    return {"type": type(cell).__name__, "text": str(cell)}
