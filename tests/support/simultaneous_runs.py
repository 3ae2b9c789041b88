"""Runs that begin at once with one state table."""

from __future__ import annotations

import threading
from contextlib import closing

from airflow_provider_dub.version_compat import BaseHook
from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import dialect_named
from airflow_provider_dub.warehouse.lease import LockedError, Owner
from airflow_provider_dub.warehouse.sql_hooks import sql_hook
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements


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
                table.lease.acquire(wait=False)
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
    if failed:
        # Shown with its notes and its traceback, since a thread has none of its own in a test's report.
        raise AssertionError(f"{len(failed)} of {runs} runs failed; the first:") from failed[0]
    return acquired


def warehouse() -> Warehouse:
    return Warehouse(sql_hook(BaseHook.get_connection("warehouse"), {}))


def statements(database) -> Statements:
    return Statements(dialect_named(database.engine), "dub_state")
