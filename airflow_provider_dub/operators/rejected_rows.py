"""Rows that were not applied, as lines of JSON that a later sync reads as the same rows.

Dates, times and UUIDs are written as text, since JSON has no other way, unless their field refuses them. That one, and
any other cell that JSON cannot hold, is written so that it is refused again, rather than turned into text that would be
sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_dub.customers.converters import datetime_of_numpy, is_exact, is_missing
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.columns import RESULT_PREFIX

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Field
    from airflow_provider_dub.sync.results import RowResult

_LARGEST_NUMBER = 10**300


def rejected_line(
    result: RowResult, whole: Mapping[str, Any], key_column: str, fields: Mapping[str, Field] | None = None
) -> str:
    """Return a row as one line of JSON.

    The row's own columns stand beside ``dub_row``, ``dub_outcome``, ``dub_code``, ``dub_field`` and ``dub_reason``,
    which a later sync ignores.

    :param result: The result of the row.
    :param whole: The row with all its columns.
    :param key_column: The column that holds the customer's id; it is written exactly as it was sent.
    :param fields: The columns that are sent, and which field each is.
    """
    used = {key_column: FIELDS["externalId"], **(fields or {})}
    row = {name: _written(cell, used.get(name)) for name, cell in whole.items()}
    if result.key is not None:
        row[key_column] = result.key
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
    if isinstance(cell, str | UUID):
        return str.__str__(cell) if isinstance(cell, str) else str(cell)
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
