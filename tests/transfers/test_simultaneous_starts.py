"""Of runs that begin at the same moment one works with the state table, whatever the engine keeps apart."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS
from tests.support.simultaneous_runs import begin, state_table

STARTS = 100


@pytest.fixture
def without_transactions(monkeypatch):
    """A PostgreSQL without transactions and unique keys, as BigQuery and Databricks are."""

    def without() -> None:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        monkeypatch.setattr(
            PostgresHook, "set_autocommit", lambda self, connection, _: setattr(connection, "autocommit", True)
        )
        monkeypatch.setitem(DIALECTS, "postgres", replace(DIALECTS["postgres"], indexed=False))

    return without


@pytest.mark.slow
@pytest.mark.parametrize("starts_with", ["no tables", "tables"])
@pytest.mark.parametrize(
    ("database", "has_transactions"),
    [
        ("sqlite", True),
        ("duckdb", True),
        ("postgres", True),
        pytest.param("postgres", False, id="postgres without transactions and keys"),
    ],
    indirect=["database"],
)
def test_of_a_hundred_runs_one_has_the_lease(database, has_transactions, without_transactions, starts_with) -> None:
    if not has_transactions:
        without_transactions()
    if starts_with == "tables":
        with closing(Warehouse(database.hook())) as admins:
            state_table(database, admins, "admin").create()
    owners = begin(database, STARTS)
    assert len(owners) == 1
    ((task, attempt),) = set(database.run("SELECT task, attempt FROM dub_state_lease WHERE task IS NOT NULL"))
    assert [task] == [attempt] == owners


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_a_file_that_another_thread_is_about_to_close_is_connected_to(database) -> None:
    database.run("CREATE TABLE customers (id INTEGER)")

    def insert(number: int) -> None:
        for pause in range(60):
            with closing(Warehouse(database.hook())) as own:
                own.transaction(lambda cursor: cursor.execute(f"INSERT INTO customers VALUES ({number})"))
            time.sleep(pause % 5 / 300)

    with ThreadPoolExecutor(3) as threads:
        for _ in threads.map(insert, range(3)):
            pass
    assert database.run("SELECT count(*) FROM customers") == [(180,)]
