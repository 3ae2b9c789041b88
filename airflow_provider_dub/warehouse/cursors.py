"""Connections and cursors that are alike whatever their driver; what differs is in :mod:`.drivers`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from airflow_provider_dub.warehouse.drivers import FLOAT32, PLACEHOLDER, Driver, driver_of, turn_of

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_dub.warehouse.dialects import Dialect, JsonRows
    from airflow_provider_dub.warehouse.drivers import Row

#: Bytes of lines that every server takes, even if quoting doubles them: none takes less than 1 MB by default.
_ALWAYS_TAKEN = 2**19


def connect(hook: DbApiHook, *, to_write: bool = False) -> Connection:
    """Return a new connection, which nobody else has.

    :param hook: The hook of the Airflow connection, which has not connected yet.
    :param to_write: Whether its transactions begin and end explicitly.
    """
    own = copy(hook)  # a hook may keep its connection, and give it to all who ask
    turn = turn_of(hook)
    with turn:
        connection = own.get_conn()
    driver = driver_of(connection, hook.placeholder)
    if driver.prepare:
        driver.prepare(connection)
    if to_write and driver.transactions != "none" and hook.supports_autocommit:  # some drivers begin with it
        own.set_autocommit(connection, False)
    return Connection(connection, driver, turn)


class Connection:
    """A connection of any driver.

    :param connection: The driver's.
    :param driver: Its contract.
    :param turn: Held while it is closed.
    """

    def __init__(self, connection: Any, driver: Driver, turn: AbstractContextManager[None]) -> None:
        self._connection = connection
        self._turn = turn
        #: The driver's contract.
        self.driver = driver

    def cursor(self) -> Cursor:
        """Return a cursor."""
        return Cursor(self.driver.cursor(self._connection), self.driver)

    def streaming_cursor(self) -> Cursor:
        """Return a cursor whose rows stay on the server until they are fetched, where the driver has one."""
        return Cursor(self.driver.streaming_cursor(self._connection), self.driver)

    def streaming_beside(self, cursor: Cursor) -> AbstractContextManager[Cursor]:
        """Return a streaming cursor of the same transaction.

        :param cursor: The cursor of the transaction. It is the only one where transactions belong to cursors.
        """
        return nullcontext(cursor) if self.driver.transactions == "cursor" else self.streaming_cursor()

    @contextmanager
    def transaction(self, *, undo: bool = False) -> Iterator[Cursor]:
        """Begin a transaction, where there are any, and yield its cursor; commit or roll back at the end.

        :param undo: Whether it is rolled back in any case.
        """
        cursor = self.driver.cursor(self._connection)
        owner = {"connection": self._connection, "cursor": cursor, "none": None}[self.driver.transactions]
        with Cursor(cursor, self.driver) as ours:
            if hasattr(owner, "begin"):
                owner.begin()
            try:
                yield ours
                if owner is not None and not undo:
                    owner.commit()
            except BaseException:
                undo = True
                raise
            finally:
                if owner is not None and undo:
                    with suppress(Exception):  # the first error is the one to raise
                        owner.rollback()

    def close(self) -> None:
        """Close it."""
        with self._turn, suppress(Exception):  # it may be what failed
            self._connection.close()


class Cursor:
    """A cursor of any driver, whose rows are tuples; a context manager.

    :param cursor: The driver's.
    :param driver: Its contract.
    """

    def __init__(self, cursor: Any, driver: Driver) -> None:
        self._cursor = cursor
        self._driver = driver

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # rows that were not fetched, of a connection that is about to be closed
            self._cursor.close()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement of this package.

        :param sql: The statement; ``%s`` marks a parameter.
        :param parameters: The parameters.
        """
        if parameters:
            self._cursor.execute(self._driver.marked(sql), self._driver.bound(parameters))
        else:
            self._cursor.execute(sql)

    def execute_all(self, statements: Iterable[str]) -> None:
        """Run statements of this package, one after the other.

        :param statements: The statements; without parameters.
        """
        for statement in statements:
            self.execute(statement)

    def execute_as_given(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None) -> None:
        """Run a statement of the user's, or one that has the user's query in it.

        :param sql: The statement.
        :param parameters: The user's parameters, in the driver's style.
        """
        # Without parameters drivers leave a percent sign of the user's alone.
        self._cursor.execute(sql, parameters) if parameters else self._cursor.execute(sql)

    def insert_rows(self, table: exp.Table, columns: Sequence[str], rows: Sequence[Row], *, dialect: Dialect) -> None:
        """Insert rows of text by few statements, as the engine and the driver do it best.

        :param table: The table.
        :param columns: The columns of the rows.
        :param rows: The rows.
        :param dialect: The engine.
        """
        if load := self._driver.bulk_inserts.get(dialect.name):
            load(self._cursor, table, columns, rows)
            return
        into = f"{dialect.to_sql(table)} ({', '.join(dialect.to_sql(exp.to_identifier(name)) for name in columns)})"
        most_bytes = self._most_bytes(rows, dialect)
        if dialect.json_rows:
            statement = _unpacked(into, len(columns), dialect.json_rows)
            for some in _in_statements(rows, dialect.rows_at_once, most_bytes):
                self.execute(statement, [json.dumps(some)])
        else:
            for some in _in_statements(rows, dialect.rows_at_once, most_bytes, self._driver.most_parameters):
                cells = [cell for row in some for cell in row if cell is not None]
                self.execute(f"INSERT INTO {into} VALUES {', '.join(map(_marked, some))}", cells)  # noqa: S608

    def _most_bytes(self, rows: Sequence[Row], dialect: Dialect) -> int:
        """Return the size of the lines of one statement at most; the database is asked where it may matter."""
        if not dialect.longest_statement or sum(map(_bytes_of, rows)) <= _ALWAYS_TAKEN:
            return dialect.bytes_at_once
        self.execute(f"SELECT {dialect.longest_statement} AS dub_bytes")
        (longest,) = self.fetchone()
        return min(dialect.bytes_at_once, int(longest) // 2)  # quoting may double them

    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement changed; negative where the driver does not count them."""
        return int(getattr(self._cursor, "rowcount", -1))

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The columns of the result: their names, and how the driver calls their types; 32-bit floats are FLOAT32."""
        described = [(name, str(kind)) for name, kind, *_ in self._cursor.description or ()]
        return [(name, FLOAT32 if kind == self._driver.float32 else kind) for name, kind in described]

    def fetchone(self) -> tuple[Any, ...]:
        """Return the one row of a result, and leave nothing to be read."""
        (row,) = self.fetchall()
        return row

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Return the next rows, none at the end.

        :param size: The number of rows.
        """
        return self._tuples(self._cursor.fetchmany(size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return self._tuples(self._cursor.fetchall())

    def _tuples(self, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        if rows and isinstance(rows[0], Mapping):  # a cursor that the connection's extra asks for
            names = [name for name, _ in self.columns]
            return [tuple(row[name] for name in names) for row in rows]
        return [tuple(row) for row in rows]


def _marked(row: Row) -> str:
    """Return a row of values; what is NULL is none of a statement's parameters, of which there may be few."""
    return f"({', '.join('NULL' if cell is None else PLACEHOLDER for cell in row)})"


def _unpacked(into: str, columns: int, json_rows: JsonRows) -> str:
    cells, definitions = (
        ", ".join(part.format(n=n) for n in range(columns)) for part in (json_rows.cell, json_rows.definition)
    )
    source = json_rows.source.format(json=PLACEHOLDER, cells=definitions)
    return f"INSERT INTO {into} SELECT {cells} FROM {source}"  # noqa: S608 - names and a placeholder


def _bytes_of(row: Row) -> int:
    return sum(len(cell.encode()) if cell else 4 for cell in row) + 4 * len(row)


def _in_statements(
    rows: Sequence[Row], most_rows: int, most_bytes: int, most_parameters: int | None = None
) -> Iterator[list[Row]]:
    """Yield the rows of one statement after the other; a row that is too long for any has one of its own."""
    some: list[Row] = []
    size = parameters = 0
    for row in rows:
        bytes_of_row = _bytes_of(row)
        cells = len(row) - row.count(None)
        is_full = len(some) == most_rows or size + bytes_of_row > most_bytes
        if some and (is_full or (most_parameters and parameters + cells > most_parameters)):
            yield some
            some, size, parameters = [], 0, 0
        some.append(row)
        size += bytes_of_row
        parameters += cells
    if some:
        yield some
