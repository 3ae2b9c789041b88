"""Every driver's contract is known by its connections, and many rows are inserted by few statements."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_dub.warehouse.cursors import Connection
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.drivers import Driver, driver_of
from airflow_provider_dub.warehouse.schema import history_columns, table_named

ROWS = 10_000
#: A run has eight statements of DML beside those that append, and nine where nothing can be rolled back.
MOST_DML = 12
#: By dialect, the module of a connection of each of its drivers, and what such a connection says of itself.
CONNECTIONS = [
    ("postgres", "psycopg2.extensions", {}),
    ("postgres", "psycopg", {}),
    ("postgres", "pyodbc", {}),
    ("mysql", "mysql.connector.connection_cext", {}),
    ("sqlite", "sqlite3", {}),
    ("duckdb", "_duckdb", {}),
    ("snowflake", "snowflake.connector.connection", {"is_pyformat": True}),
    ("snowflake", "snowflake.connector.connection", {"is_pyformat": False}),
    ("redshift", "redshift_connector.core", {}),
    ("redshift", "psycopg2.extensions", {}),
    ("redshift", "psycopg", {}),
    ("databricks", "databricks.sql.client", {"use_inline_params": False}),
    ("databricks", "databricks.sql.client", {"use_inline_params": True}),
    ("tsql", "pymssql._pymssql", {}),
]


def connection(module: str, **says: Any) -> Any:
    return type("Connection", (), {"__module__": module, **says})()


class Counted:
    """A connection or cursor that counts the statements that insert."""

    def __init__(self) -> None:
        self.statements = 0
        self.most_parameters = 0
        self.longest = 0

    def cursor(self, *arguments: Any, **options: Any) -> Counted:
        return self

    def execute(self, sql: str, parameters: Any = ()) -> None:
        if sql.startswith("SELECT @@"):
            return
        self.statements += 1
        self.most_parameters = max(self.most_parameters, len(parameters))
        self.longest = max(self.longest, len(sql) + sum(len(cell) + 2 for cell in parameters))

    def fetchall(self) -> list[tuple[int]]:
        """Return how long a statement may be, by default."""
        return [(16 * 2**20,)]

    def executemany(self, sql: str, rows: Any) -> None:
        self.execute(sql)

    def copy_expert(self, sql: str, file: Any) -> None:
        self.execute(sql)

    def copy(self, sql: str) -> Counted:
        self.execute(sql)
        return self

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write_row(self, row: Any) -> None:
        pass


def lines(rows: int) -> list[tuple[str | None, ...]]:
    """Return lines of the history as a sync of names and e-mail addresses writes them."""
    at = "2026-11-28 12:30:00.123456"
    known = {
        "name": "Ada King, Countess",
        "email": "ada.lovelace@example.com",
        "cleared": "",
        "outcome": "updated",
        "dub_id": "cus_1KF2YXVJ4BHXR4BS5ZD0Q7W3M9",
        "first_applied_at": at,
        "last_applied_at": at,
        "last_tried_at": at,
        "run": "customers/scheduled__2026-11-28T00:00:00+00:00/sync_customers",
        "attempt": "0" * 32,
    }
    rest = history_columns()[1:]
    return [(f"customer_{n}", *(known.get(name) for name in rest)) for n in range(rows)]


@pytest.mark.parametrize(("dialect", "module", "says"), CONNECTIONS)
def test_ten_thousand_outcomes_are_appended_by_few_statements(dialect: str, module: str, says: dict[str, Any]) -> None:
    if module == "psycopg":
        pytest.importorskip(module)  # not with the oldest constraints of Airflow
    engine, driver = DIALECTS[dialect], driver_of(connection(module, **says), "%s")
    counted = Counted()
    with Connection(counted, driver, nullcontext()).cursor() as cursor:
        table = table_named("analytics.dub_state", engine, suffix="_history")
        written = lines(ROWS)
        for start in range(0, ROWS, engine.commit_every):
            some = written[start : start + engine.commit_every]
            cursor.insert_rows(table, history_columns(), some, dialect=engine)
    assert counted.statements <= MOST_DML - (8 if engine.has_transactions else 10)
    assert driver.most_parameters is None or counted.most_parameters <= driver.most_parameters
    assert counted.longest <= 1.2 * engine.bytes_at_once


def test_every_dialect_has_a_driver_whose_statements_are_counted() -> None:
    loaded = driver_of(connection("airflow.providers.google.cloud.hooks.bigquery"), "%s").bulk_inserts
    assert {*DIALECTS} == {dialect for dialect, *_ in CONNECTIONS} | {*loaded}


def test_rows_that_are_too_long_for_one_statement_are_inserted_by_several() -> None:
    counted, engine = Counted(), DIALECTS["mysql"]
    rows = [(f"{n}", "🦆" * 1_000_000) for n in range(4)]
    with Connection(counted, Driver(style="format"), nullcontext()).cursor() as cursor:
        cursor.insert_rows(table_named("t", engine), ["a", "b"], rows, dialect=engine)
    assert counted.statements == 4


def test_a_connection_of_a_subclass_keeps_the_contract_of_its_driver() -> None:
    class Connection(sqlite3.Connection):
        pass

    assert driver_of(Connection(":memory:"), "%s") == driver_of(sqlite3.connect(":memory:"), "%s")


def test_a_known_contract_is_believed_before_what_a_module_says(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "databricks.sql", ModuleType("databricks.sql"))
    monkeypatch.setattr(sys.modules["databricks.sql"], "paramstyle", "named", raising=False)
    for inline, style in ((False, "qmark"), (True, "format")):
        driver = driver_of(connection("databricks.sql.client", use_inline_params=inline), "%s")
        assert (driver.style, driver.transactions) == (style, "none")


def test_what_a_module_says_is_believed_before_the_hook(monkeypatch) -> None:
    module = ModuleType("made_up")
    module.paramstyle = "numeric"
    monkeypatch.setitem(sys.modules, "made_up", module)
    assert driver_of(connection("made_up.inner.connection"), "%s").style == "numeric"


def test_without_a_module_that_says_it_the_hook_is_asked() -> None:
    assert driver_of(connection("made_up"), "?").style == "qmark"
    with pytest.raises(ValueError, match="Set placeholder in the connection's extra"):
        driver_of(connection("made_up"), ":")
