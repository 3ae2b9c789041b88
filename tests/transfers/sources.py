"""Databases that may only be read, each behind the Airflow connection ``source``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

if TYPE_CHECKING:
    from airflow_provider_dub.version_compat import Connection


class Source:
    """A database whose tables the test writes and the transfer may only read.

    :param connection: The fields of the Airflow connection of the transfer.
    """

    timestamp = "TIMESTAMP"

    def __init__(self, **connection: Any) -> None:
        self.connection = json.dumps(connection)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        raise NotImplementedError

    def run(self, *statements: str) -> None:
        """Run statements as somebody who may write."""
        with self._cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def insert(self, *rows: tuple[Any, ...]) -> None:
        """Insert rows into the table of customers."""
        for row in rows:
            self.run(f"INSERT INTO customers VALUES ({', '.join(map(self._literal, row))})")

    @staticmethod
    def _literal(cell: Any) -> str:
        if cell is None:
            return "NULL"
        return str(cell) if isinstance(cell, int) else "'" + str(cell).replace("'", "''") + "'"


class ReadOnlySQLite(Source):
    """A file that is opened for reading."""

    timestamp = "TEXT"

    def __init__(self, path: Path) -> None:
        super().__init__(conn_type="sqlite", host=str(path), extra={"mode": "ro"})
        self.path = path

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            yield connection
            connection.commit()


class ReadOnlyPostgres(Source):
    """A role that may only SELECT, in sessions that are read-only."""

    timestamp = "TIMESTAMPTZ"

    def __init__(self, socket: str) -> None:
        super().__init__(conn_type="postgres", host=socket, login="dub_reader", schema="postgres")
        self.socket = socket
        with self._cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS source CASCADE")
            cursor.execute("SELECT FROM pg_roles WHERE rolname = 'dub_reader'")
            if not cursor.fetchall():
                cursor.execute("CREATE ROLE dub_reader LOGIN")
            cursor.execute("ALTER ROLE dub_reader SET default_transaction_read_only = on")
            cursor.execute("ALTER ROLE dub_reader SET search_path = source")
            cursor.execute("ALTER ROLE dub_reader SET TimeZone = 'Asia/Kathmandu'")
            cursor.execute("CREATE SCHEMA source")
            cursor.execute("GRANT USAGE ON SCHEMA source TO dub_reader")
            cursor.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA source GRANT SELECT ON TABLES TO dub_reader")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        import psycopg2

        with closing(psycopg2.connect(host=self.socket, user="postgres", dbname="postgres")) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET search_path = source")
                yield cursor
            connection.commit()


class ReadOnlyDuckDB(Source):
    """A file of DuckDB."""

    def __init__(self, path: Path) -> None:
        super().__init__(conn_type="duckdb", host=str(path))
        self.path = path

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect(str(self.path)) as connection:
            yield connection


class MadeUp(ReadOnlySQLite):
    """Behind a driver that knows ``execute`` and ``fetchmany`` and nothing else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection = json.dumps({"conn_type": "made_up", "host": str(path)})


class ClickHouse(Source):
    """ClickHouse in this process."""

    timestamp = "DateTime64(3)"

    def __init__(self, path: Path) -> None:
        pytest.importorskip("chdb")
        super().__init__(conn_type="clickhouse", host=str(path))
        self.path = path

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        from chdb import session

        with closing(session.Session(str(self.path))) as one:
            one.execute = lambda sql: one.query(_as_clickhouse(sql))
            yield one


def _as_clickhouse(sql: str) -> str:
    if not sql.startswith("CREATE TABLE"):
        return sql.replace("\\", "\\\\")
    columns = sql.replace("VARCHAR(200)", "Nullable(String)").replace("INTEGER", "Nullable(Int64)")
    return columns.replace("TIMESTAMP", "Nullable(DateTime64(3))") + " ENGINE = MergeTree ORDER BY tuple()"


class _ClickHouseHook(DbApiHook):
    conn_name_attr = "conn_id"

    def get_conn(self) -> Any:
        from chdb import dbapi

        return dbapi.connect(self.get_connection(self.conn_id).host)


class _MadeUpHook(DbApiHook):
    conn_name_attr = "conn_id"
    supports_autocommit = True

    def get_conn(self) -> Any:
        return _MadeUpConnection(self.get_connection(self.conn_id).host)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        raise AssertionError("it is only read")


class _MadeUpConnection:
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def cursor(self) -> Any:
        return _MadeUpCursor(self._connection.cursor())

    def close(self) -> None:
        self._connection.close()


class _MadeUpCursor:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.description = None
        self.close = cursor.close

    def execute(self, sql: str) -> None:
        self._cursor.execute(sql)
        self.description = self._cursor.description

    def fetchmany(self, size: int) -> list[list[Any]]:
        return [[*row] for row in self._cursor.fetchmany(size)]


#: Hooks of connection types that no Airflow provider has.
_HOOKS: dict[str | None, type[DbApiHook]] = {"made_up": _MadeUpHook, "clickhouse": _ClickHouseHook}


def get_hook_of_any_type(get_hook: Any) -> Any:
    """Return what stands in for ``Connection.get_hook``, and knows the types that no Airflow provider has, too.

    :param get_hook: The method of Airflow's.
    """

    def get_any_hook(connection: Connection, *, hook_params: Any = None) -> Any:
        hook_class = _HOOKS.get(connection.conn_type)
        return hook_class(connection.conn_id) if hook_class else get_hook(connection, hook_params=hook_params)

    return get_any_hook
