"""Inserts many rows of text by few statements, as the engine and its driver do it best."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlglot import exp

from airflow_provider_dub.warehouse.drivers import PLACEHOLDER, Driver

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect, JsonRows

Row: TypeAlias = Sequence[str | None]


def insert_rows(
    cursor: Any, driver: Driver, dialect: Dialect, table: exp.Table, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert rows.

    :param cursor: The driver's cursor.
    :param driver: Its contract.
    :param dialect: The engine.
    :param table: The table.
    :param columns: The columns of the rows.
    :param rows: The rows.
    """
    if load := driver.bulk_inserts.get(dialect.name):
        load(cursor, table, columns, rows)
        return
    into = f"{dialect.to_sql(table)} ({', '.join(dialect.to_sql(exp.to_identifier(name)) for name in columns)})"
    if dialect.json_rows:
        statement = driver.marked(_unpacked(into, len(columns), dialect.json_rows))
        for some in _in_statements(rows, dialect):
            cursor.execute(statement, driver.bound([json.dumps(some)]))
    else:
        for some in _in_statements(rows, dialect, driver.most_parameters):
            cells = [cell for row in some for cell in row if cell is not None]
            values = ", ".join(map(_marked, some))
            cursor.execute(driver.marked(f"INSERT INTO {into} VALUES {values}"), driver.bound(cells))  # noqa: S608


def _marked(row: Row) -> str:
    """Return a row of values; what is NULL is none of a statement's parameters, of which there may be few."""
    return f"({', '.join('NULL' if cell is None else PLACEHOLDER for cell in row)})"


def _unpacked(into: str, columns: int, json_rows: JsonRows) -> str:
    cells, definitions = (
        ", ".join(part.format(n=n) for n in range(columns)) for part in (json_rows.cell, json_rows.definition)
    )
    source = json_rows.source.format(json=PLACEHOLDER, cells=definitions)
    return f"INSERT INTO {into} SELECT {cells} FROM {source}"  # noqa: S608 - names and a placeholder


def _in_statements(rows: Sequence[Row], dialect: Dialect, most_parameters: int | None = None) -> Iterator[list[Row]]:
    """Yield the rows of one statement after the other; a row that is too long for any has one of its own."""
    some: list[Row] = []
    size = parameters = 0
    for row in rows:
        bytes_of_row = sum(len(cell.encode()) if cell else 4 for cell in row) + 4 * len(row)
        cells = len(row) - row.count(None)
        is_full = len(some) == dialect.rows_at_once or size + bytes_of_row > dialect.bytes_at_once
        if some and (is_full or (most_parameters and parameters + cells > most_parameters)):
            yield some
            some, size, parameters = [], 0, 0
        some.append(row)
        size += bytes_of_row
        parameters += cells
    if some:
        yield some
