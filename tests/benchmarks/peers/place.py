"""Where a contender works: a warehouse with customers, a local Dub, a folder; and a process of its own to work in."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.dub_connection import dub_connection

_processes = multiprocessing.get_context("spawn")

CUSTOMERS = """
CREATE TABLE customers AS
SELECT 'user-' || n AS user_id, 'Name ' || n AS name, 'user.' || n || '@example.com' AS email,
    CASE n % 2 WHEN 0 THEN 'DE' ELSE 'US' END AS country, timestamptz '2026-01-01' AS updated_at
FROM generate_series(1, {rows}) AS n
"""


@dataclass(frozen=True)
class Place:
    """Where to find what a contender needs.

    :param postgres: The folder of the warehouse's socket.
    :param dub: The URL of the local Dub.
    :param folder: A new folder, for what a contender keeps.
    :param options: Of the contender's own.
    """

    postgres: str
    dub: str
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    api_key: str = "dub_TESTKEY"

    def with_customers(self, rows: int) -> None:
        """Start with a new table of so many customers."""
        self.sql(
            "DROP TABLE IF EXISTS customers, dub_state, dub_state_lease",
            "DROP SCHEMA IF EXISTS _drt CASCADE",
            CUSTOMERS.format(rows=rows),
            "VACUUM ANALYZE customers",
        )

    def change(self, name: str = "name || '.'", *, where: str = "true") -> None:
        """Give customers another name, by an SQL expression."""
        self.sql(f"UPDATE customers SET name = {name}, updated_at = now() WHERE {where}", "VACUUM ANALYZE customers")

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last one."""
        import psycopg

        with psycopg.connect(host=self.postgres, user="postgres", dbname="postgres", autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def connect_airflow(self) -> None:
        """Set the connections that a DAG would name."""
        warehouse = {"conn_type": "postgres", "host": self.postgres, "login": "postgres", "schema": "postgres"}
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(warehouse)
        os.environ["AIRFLOW_CONN_DUB_DEFAULT"] = dub_connection(self.dub, self.api_key)


@dataclass(frozen=True)
class Run:
    """What became of one task.

    :param seconds: From the task's start to its end, imports aside.
    :param megabytes: The most memory above Airflow's own.
    :param failed: Whether Airflow would show the task as failed.
    :param said: Its log and what it returns to Airflow.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    failed: bool = True
    said: str = ""


def run(
    contender: ModuleType, place: Place, *, kill_when: Callable[[], bool] = lambda: False, most: float = 900
) -> Run:
    """Let a contender do one task.

    :param kill_when: When it says so, the task is killed (SIGKILL).
    :param most: Seconds after which it is killed anyway.
    """
    log = place.folder / f"{time.monotonic_ns()}.log"
    here, there = _processes.Pipe()
    process = _processes.Process(target=_work, args=(contender.__name__, place, log, there))
    process.start()
    give_up = time.monotonic() + most
    while process.is_alive() and not here.poll(0.002):
        if process.pid and (kill_when() or time.monotonic() > give_up):
            os.kill(process.pid, signal.SIGKILL)
            break
    outcome = here.recv() if here.poll() else {"seconds": most}
    process.join()
    return Run(**outcome, said=log.read_text() if log.exists() else "")


def _work(contender: str, place: Place, log: Path, pipe: Connection) -> None:
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    os.environ["HOME"] = str(place.folder)
    place.connect_airflow()
    import importlib

    import airflow.providers.postgres.hooks.postgres
    import airflow.sdk  # noqa: F401 - what follows is the contender's

    from tests.benchmarks.memory import megabytes, peak_megabytes

    before = megabytes()
    sync = importlib.import_module(contender).sync(place)
    began = time.perf_counter()
    failed = False
    try:
        print("returned", sync())
    except BaseException:
        failed = True
        traceback.print_exc()
    pipe.send(
        {"seconds": time.perf_counter() - began, "megabytes": peak_megabytes() - before, "failed": failed},
    )
