"""Drivers over SQLite that are as strict as those of warehouses, on machines that have neither server nor driver."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest


class Cursor:
    """A cursor that takes what its driver does, and nothing else.

    :param real: SQLite's.
    """

    most_parameters: int | None = None

    def __init__(self, real: sqlite3.Cursor) -> None:
        self.real = real

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        """Return the statement and its parameters as SQLite takes them."""
        raise NotImplementedError

    def execute(self, sql: str, parameters: Any = None) -> None:
        if not parameters:
            self.real.execute(sql)
            return
        assert self.most_parameters is None or len(parameters) <= self.most_parameters
        self.real.execute(*self.translated(sql, parameters))

    @property
    def description(self) -> Any:
        return self.real.description

    def row(self, row: tuple[Any, ...]) -> Any:
        """Return a row as the driver gives it."""
        return row

    def fetchone(self) -> Any:
        row = self.real.fetchone()
        return None if row is None else self.row(row)

    def fetchmany(self, size: int) -> list[Any]:
        return [*map(self.row, self.real.fetchmany(size))]

    def fetchall(self) -> list[Any]:
        return [*map(self.row, self.real.fetchall())]

    def close(self) -> None:
        self.real.close()


class Connection:
    """A connection of such a driver; of SQLite, it belongs to the thread that made it.

    :param path: The database.
    """

    cursor_class = Cursor
    charset = "utf8mb4"  # as mysql-connector says

    def __init__(self, path: str) -> None:
        self.real = sqlite3.connect(path, timeout=30)

    def cursor(self) -> Cursor:
        return self.cursor_class(self.real.cursor())

    def cmd_query(self, sql: str) -> None:
        """Do nothing: the one statement is about the session (mysql-connector)."""
        assert sql.startswith("SET ")

    def commit(self) -> None:
        self.real.commit()

    def rollback(self) -> None:
        self.real.rollback()

    def close(self) -> None:
        self.real.close()


class PercentOnlyTuples(Cursor):
    """Like pymssql's. It leaves a percent sign alone that marks no parameter."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        assert type(parameters) is tuple, "only tuples"
        return sql.replace("%s", "?"), parameters


class Substituted(PercentOnlyTuples):
    """Runs what pymssql itself makes of a statement and its parameters, where it is installed."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        super().translated(sql, parameters)
        pymssql = pytest.importorskip("pymssql._mssql")
        text = pymssql.substitute_params(sql, parameters, "utf-8").decode()
        return re.sub(r"(?<=[(\s=])N'", "'", text), ()  # what marks a text in SQL Server


class Unread(PercentOnlyTuples):
    """Like that of mysql-connector: nothing is run or closed while rows are unread."""

    is_unread = False

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.check()
        super().execute(sql, parameters)
        self.is_unread = self.real.description is not None

    def check(self) -> None:
        if self.is_unread:
            raise RuntimeError("Unread result found")

    def fetchone(self) -> Any:
        row = super().fetchone()
        self.is_unread = row is not None
        return row

    def fetchmany(self, size: int) -> list[Any]:
        rows = super().fetchmany(size)
        self.is_unread = len(rows) == size
        return rows

    def fetchall(self) -> list[Any]:
        self.is_unread = False
        return super().fetchall()

    def close(self) -> None:
        self.check()
        super().close()


class Question(Cursor):
    """Like pyodbc's: its rows are no tuples."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        assert isinstance(parameters, Sequence)
        assert sql.count("?") == len(parameters)
        return sql, parameters

    def row(self, row: tuple[Any, ...]) -> Any:
        return list(row)


class Dictionaries(Question):
    """With rows like those of a ``DictCursor``."""

    def row(self, row: tuple[Any, ...]) -> Any:
        return dict(zip((column[0] for column in self.description), row, strict=True))


class Native(Question):
    """Like that of Databricks, where the server binds parameters."""

    most_parameters = 255


class PercentOnlyNames(Cursor):
    """Like BigQuery's."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        names = {name: f":{name}" for name, _ in parameters.items()}
        return sql % names, parameters


class Numbers(Cursor):
    """With ``:1``."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        assert isinstance(parameters, Sequence)
        return re.sub(r":(\d+)", r"?\1", sql), parameters


class Names(Cursor):
    """With ``:name``."""

    def translated(self, sql: str, parameters: Any) -> tuple[str, Any]:
        assert isinstance(parameters, Mapping)
        return sql, parameters


class WithoutTransactions(Connection):
    """Commits every statement, and has nothing to roll back."""

    use_inline_params = False

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.real.isolation_level = None

    def __setattr__(self, name: str, value: Any) -> None:
        assert name != "autocommit", "AUTOCOMMIT cannot be set"
        super().__setattr__(name, value)

    def commit(self) -> None:
        raise AssertionError("nothing to commit")

    def rollback(self) -> None:
        raise NotImplementedError("no transactions")


#: By what it is like: the module of its connections, the paramstyle that this or one above it states, and both classes.
STRICT_DRIVERS: dict[str, tuple[str, tuple[str, str] | None, type[Connection], type[Cursor]]] = {
    "pymssql": ("pymssql._pymssql", None, Connection, PercentOnlyTuples),
    "what pymssql runs": ("pymssql._pymssql", None, Connection, Substituted),
    "mysql-connector": ("mysql.connector.connection_cext", None, Connection, Unread),
    "pyodbc": ("pyodbc", None, Connection, Question),
    "a cursor of dicts": ("made_up.driver", ("made_up", "qmark"), Connection, Dictionaries),
    "numeric": ("made_up.driver", ("made_up.driver", "numeric"), Connection, Numbers),
    "named": ("made_up.driver", ("made_up.driver", "named"), Connection, Names),
    "pyformat": ("made_up.driver", ("made_up.driver", "pyformat"), Connection, PercentOnlyNames),
    "bigquery": ("airflow.providers.google.cloud.hooks.bigquery", None, WithoutTransactions, PercentOnlyNames),
    "databricks": ("databricks.sql.client", ("databricks.sql", "named"), WithoutTransactions, Native),
}


def strict_driver(monkeypatch: Any, name: str) -> Callable[[str], Connection]:
    """Return what connects with such a driver.

    :param monkeypatch: Puts its module where modules are.
    :param name: What it is like.
    """
    module, states, connection_class, cursor_class = STRICT_DRIVERS[name]
    if states:
        monkeypatch.setitem(sys.modules, states[0], ModuleType(states[0]))
        monkeypatch.setattr(sys.modules[states[0]], "paramstyle", states[1], raising=False)
    return type("Connection", (connection_class,), {"__module__": module, "cursor_class": cursor_class})
