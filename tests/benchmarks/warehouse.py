"""What a sync from PostgreSQL costs, by the size of the table and by how much of it changed. Linux only.

Dub answers at once, so that the seconds are the warehouse's and ours. In each round every case runs once, in a process
of its own. ``python -m tests.benchmarks.warehouse [ROUNDS] [ROWS]``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from multiprocessing.pool import Pool
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-dub-benchmarks-"))
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from tests.benchmarks.memory import megabytes, peak_megabytes
from tests.support.dub_connection import dub_connection
from tests.support.postgres import postgres_socket
from tests.support.task_instance import TaskInstance

if TYPE_CHECKING:
    from airflow_provider_dub.api.exchange import Request

SIZES = (10_000, 100_000, 1_000_000)
#: What is run, in this order, and which per cent of the rows changed before it.
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "all, without a state table": (0, {"state_table": None}),
    'all recorded, baseline="source"': (0, {"baseline": "source"}),
    **{f"{share} % changed": (share, {}) for share in (0, 1, 10, 100)},
    "1 % changed, each with a known Dub id": (1, {}),
    "1 % changed, compared elsewhere": (1, {"state_conn_id": "warehouse"}),
}
CUSTOMERS = """
CREATE TABLE customers AS
SELECT n, 'user-' || n AS user_id, 'Name ' || n AS name, 'user.' || n || '@example.com' AS email,
    CASE n % 3 WHEN 0 THEN 'DE' WHEN 1 THEN 'US' END AS country
FROM generate_series(1, {rows}) AS n
"""
COLUMNS = ("updates", "look-ups", "plan s", "1st request s", "1st batch s", "all s", "MB")

Run = dict[str, float]


def main(rounds: int = 1, *sizes: int) -> None:
    """Print the table."""
    print(f"\nPostgreSQL to a Dub that answers at once, median of {rounds} rounds; MB above Airflow's own")
    print(f"{'rows':>9}  {'':40}" + "".join(f"{name:>15}" for name in COLUMNS))
    with _warehouse() as run_sql, multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for rows in sizes or SIZES:
            measured = [_round(rows, run_sql, pool) for _ in range(rounds)]
            for case in CASES:
                _print(rows, case, [runs[case] for runs in measured])


def _round(rows: int, run_sql: Callable[..., None], pool: Pool) -> dict[str, Run]:
    runs = {}
    tables = ("customers", *(f"dub_state{suffix}" for suffix in ("", "_lease", "_history", "_staging")))
    run_sql(f"DROP TABLE IF EXISTS {', '.join(tables)}", CUSTOMERS.format(rows=rows))
    for case, (share, options) in CASES.items():
        run_sql(f"UPDATE customers SET name = name || '.' WHERE n % 100 < {share}", "VACUUM ANALYZE")
        runs[case] = pool.apply(_run, [rows, options])
        expected = rows if "state_table" in options else rows * share // 100
        assert runs[case].get("updates", 0) == (0 if "baseline" in options else expected)
    return runs


def _print(rows: int, case: str, runs: list[Run]) -> None:
    cells = ""
    for name in COLUMNS:
        digits = 1 if name.endswith(" s") else 0
        cells += f"{statistics.median(run[name] for run in runs):15,.{digits}f}" if name in runs[0] else f"{'–':>15}"
    print(f"{rows:9,}  {case:40}{cells}", flush=True)


@contextmanager
def _warehouse() -> Iterator[Callable[..., None]]:
    """A PostgreSQL of this run behind the connection ``warehouse``."""
    import psycopg

    with postgres_socket() as host:
        connection = {"conn_type": "postgres", "host": host, "login": "postgres", "schema": "postgres"}
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(connection)
        os.environ["AIRFLOW_CONN_DUB_DEFAULT"] = dub_connection(None, "dub_TESTKEY")

        def run_sql(*statements: str) -> None:
            with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement)

        yield run_sql


def _run(rows: int, options: dict[str, Any]) -> Run:
    import airflow.providers.postgres.hooks.postgres
    import airflow.sdk  # noqa: F401 - what follows is ours

    before = megabytes()
    from airflow_provider_dub.api.transport import Transport
    from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
    from airflow_provider_dub.warehouse.plan import Plan
    from airflow_provider_dub.warehouse.state_table import StateTable

    run: Run = {}
    counting = threading.Lock()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            run.setdefault(name, time.perf_counter() - began)
            return function(*args, **kwargs)

        return wrapped

    def send(transport: Transport, request: Request, read: object) -> Any:
        kind = "updates" if request.method == "PATCH" else "look-ups"
        with counting:
            run[kind] = run.get(kind, 0) + 1
        return _answer(rows, request.path)

    Transport.send = timed("1st request s", send)  # type: ignore[method-assign]
    Plan.log_line = timed("plan s", Plan.log_line)  # type: ignore[method-assign]
    StateTable.append = timed("1st batch s", StateTable.append)  # type: ignore[method-assign]
    task = SqlToDubCustomersOperator(
        task_id="sync",
        sql_conn_id="warehouse",
        sql="SELECT * FROM customers",
        external_id_column="user_id",
        **({"state_table": "dub_state"} | options),
    )
    began = time.perf_counter()
    task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    return {**run, "all s": time.perf_counter() - began, "MB": peak_megabytes() - before}


def _answer(rows: int, path: str) -> Any:
    """What a Dub with all these customers answers."""
    if path == "/customers/count":
        return rows
    if not path.startswith("/customers?"):
        return _customer(int(path.removeprefix(path.rstrip("0123456789"))))
    query = {name: values[0] for name, values in parse_qs(path.partition("?")[2]).items()}
    if "endingBefore" in query:
        return []
    first = int(query.get("startingAfter", "cus_0")[4:]) + 1
    return [_customer(n) for n in range(first, min(first + int(query["pageSize"]), rows + 1))]


def _customer(n: int) -> dict[str, Any]:
    return {"id": f"cus_{n}", "externalId": f"user-{n}"}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
