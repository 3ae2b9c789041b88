"""Of runs that begin at the same moment one works with the state table, whatever the engine keeps apart."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from airflow_provider_dub.version_compat import BaseHook
from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS, dialect_named
from airflow_provider_dub.warehouse.lease import LockedError, Owner
from airflow_provider_dub.warehouse.sql_hooks import sql_hook
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements

STARTS = 100
#: So many at once, since a PostgreSQL server takes a hundred connections.
AT_ONCE = {"postgres": 45}


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
        with closing(warehouse()) as admins:
            StateTable(admins, statements(database), Owner("dub", "admin", "admin")).create()
    at_once = AT_ONCE.get(database.engine, STARTS)
    started = 0
    while started < STARTS:
        runs = min(at_once, STARTS - started)
        owners = begin(database, runs)
        started += runs
        assert len(owners) == 1
        ((task, owner),) = set(database.run("SELECT task, owner FROM dub_state_lease WHERE task IS NOT NULL"))
        assert [task] == [owner] == owners
        database.run("UPDATE dub_state_lease SET task = NULL, owner = NULL, expires_at = 0")


def begin(database, runs: int) -> list[str]:
    """Begin so many runs at once; return those that acquired the lease."""
    acquired: list[str] = []
    failed: list[Exception] = []
    all_of_them = threading.Barrier(runs)

    def run(name: str) -> None:
        with closing(warehouse()) as own:
            table = StateTable(own, statements(database), Owner("dub", name, name))
            all_of_them.wait()
            try:
                table.create()
                table.lease.acquire(wait=False, log=print)
                acquired.append(name)
            except LockedError:
                pass
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=run, args=(str(n),)) for n in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    return acquired


def warehouse() -> Warehouse:
    return Warehouse(sql_hook(BaseHook.get_connection("warehouse"), {}))


def statements(database) -> Statements:
    return Statements(dialect_named(database.engine), "dub_state")
