"""Many rows of text into a table, by the quickest way that the driver has."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from airflow_provider_dub.warehouse.schema import written

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

Cell = str | int | None
#: What PostgreSQL's COPY reads as something else than itself.
_SPECIAL = re.compile(r"[\\\t\n\r]").search
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def insert_rows(
    cursor: Any,
    dialect: Dialect,
    placeholder: str,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
) -> None:
    """Insert rows within a transaction.

    :param cursor: The cursor of the transaction.
    :param dialect: The engine.
    :param placeholder: Stands for a parameter, in the driver's style.
    :param table: The table, as statements name it.
    :param columns: Its columns that the rows have.
    :param rows: The rows.
    """
    into = f"{table} ({', '.join(written(exp.to_identifier(name), dialect) for name in columns)})"
    if hasattr(cursor, "copy_expert"):  # psycopg2
        cursor.copy_expert(f"COPY {into} FROM STDIN", io.StringIO(_lines(rows)))
        return
    if hasattr(cursor, "copy") and dialect.name == "postgres":  # psycopg
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            copy.write(_lines(rows))
        return
    marks = f"({', '.join([placeholder] * len(columns))})"
    if dialect.executemany_is_fast:
        cursor.executemany(f"INSERT INTO {into} VALUES {marks}", rows)  # noqa: S608 - names and placeholders
        return
    # A statement has as many parameters as one of the history, which is the widest.
    for start in range(0, len(rows), dialect.rows_at_once):
        some = rows[start : start + dialect.rows_at_once]
        values = ", ".join([marks] * len(some))
        cursor.execute(f"INSERT INTO {into} VALUES {values}", [cell for row in some for cell in row])  # noqa: S608


def _lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows as PostgreSQL's COPY reads them."""
    return "".join(["\t".join(map(_escaped, row)) + "\n" for row in rows])


def _escaped(cell: Cell) -> str:
    if cell is None:
        return "\\N"
    text = str(cell)
    return text.translate(_ESCAPED) if _SPECIAL(text) else text
