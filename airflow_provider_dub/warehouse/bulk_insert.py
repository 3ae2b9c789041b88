"""Inserts many rows of text by few statements, as the engine and its driver do it best."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlglot import exp

from airflow_provider_dub.warehouse.drivers import PLACEHOLDER, Driver
from airflow_provider_dub.warehouse.schema import written

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
    into = f"{written(table, dialect)} ({', '.join(written(exp.to_identifier(name), dialect) for name in columns)})"
    if driver.copy and dialect.copies:
        driver.copy(cursor, f"COPY {into} FROM STDIN", rows)
    elif driver.executemany_is_fast:
        cursor.executemany(driver.marked(_values(into, len(columns), 1)), [driver.bound(row) for row in rows])
    elif dialect.json_rows:
        statement = driver.marked(_unpacked(into, len(columns), dialect.json_rows))
        for some in _in_statements(rows, dialect.rows_at_once, dialect.characters_at_once):
            cursor.execute(statement, driver.bound([json.dumps(some)]))
    else:
        most = min(dialect.rows_at_once, (driver.most_parameters or 2**31) // len(columns))
        for some in _in_statements(rows, most, dialect.characters_at_once):
            statement = driver.marked(_values(into, len(columns), len(some)))
            cursor.execute(statement, driver.bound([cell for row in some for cell in row]))


# To write a statement with a thousand parameters takes longer than to run it.
@lru_cache(maxsize=8)
def _values(into: str, columns: int, rows: int) -> str:
    row = f"({', '.join([PLACEHOLDER] * columns)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * rows)}"  # noqa: S608 - names and placeholders


def _unpacked(into: str, columns: int, json_rows: JsonRows) -> str:
    cells, definitions = (
        ", ".join(part.format(n=n) for n in range(columns)) for part in (json_rows.cell, json_rows.definition)
    )
    source = json_rows.source.format(json=PLACEHOLDER, cells=definitions)
    return f"INSERT INTO {into} SELECT {cells} FROM {source}"  # noqa: S608 - names and a placeholder


def _in_statements(rows: Sequence[Row], most_rows: int, most_characters: int) -> Iterator[list[Row]]:
    """Yield the rows of one statement after the other; a row that is too long for any has one of its own."""
    some: list[Row] = []
    characters = 0
    for row in rows:
        length = sum(len(cell) if cell else 4 for cell in row) + 4 * len(row)
        if some and (len(some) == most_rows or characters + length > most_characters):
            yield some
            some, characters = [], 0
        some.append(row)
        characters += length
    if some:
        yield some
