"""Runs that begin at once with one state table."""

from __future__ import annotations

import threading
from contextlib import closing

from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import dialect_named
from airflow_provider_dub.warehouse.lease import LockedError, Owner
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements


def begin(database, runs: int) -> list[str]:
    """Begin so many runs at once; return those that acquired the lease."""
    acquired: list[str] = []
    failed: list[Exception] = []
    all_of_them = threading.Barrier(runs)

    def run(name: str) -> None:
        with closing(Warehouse(database.hook())) as own:
            table = state_table(database, own, name)
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


def state_table(database, warehouse: Warehouse, name: str) -> StateTable:
    """Return the state table for a run of this name."""
    return StateTable(warehouse, Statements(dialect_named(database.engine), "dub_state"), Owner("dub", name, name))
