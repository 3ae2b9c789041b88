"""Cases of :mod:`tests.benchmarks.pacing` in real time: processes of clients against the local Dub, minutes of 60 s.

``python -m tests.benchmarks.live [WORDS OF A NAME]``. Half an hour for all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-dub-benchmarks-"))
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from airflow_provider_dub.emulator import DubEmulator
from tests.benchmarks.company import somebody_else
from tests.support.dub_connection import dub_connection
from tests.support.simulated_limit import LATENCY, WINDOW, Case, Simulation

CASES = (
    Case("one client, N = 2 L"),
    Case("one client, L = 3000, N = 2 L", rows=6_000, limit=3_000),
    Case("two clients, N = 6 L", rows=7_200, clients=2),
    Case("four clients, N = 6 L", rows=7_200, clients=4),
    Case("half used by others, N = 1.5 L", rows=1_800, others=10.0),
    Case("limit lowered by half", rows=4_800, change=(120.0, 600)),
    Case("limit raised by half", rows=8_700, change=(120.0, 1_800)),
    Case("limit lowered by half, 4 clients", rows=4_800, clients=4, change=(120.0, 600)),
)


def main(*words: str) -> None:
    """Print the table."""
    print(f"{'case':<40}{'best/measured':>15}{'429s / N':>12}")
    for case in CASES:
        if all(word in case.name for word in words):
            run = _run(case)
            print(f"{case.name:<40}{run.efficiency:15.3f}{run.refused:12.2%}", flush=True)


def _run(case: Case) -> Simulation:
    """What the simulation would be after the same requests."""
    least, most = (seconds * 1000 for seconds in LATENCY)
    with DubEmulator(requests_per_minute=case.limit, latency_ms=least, latency_jitter_ms=most - least) as dub:
        rows = case.rows // case.clients
        dub.reset(setup_customers=[{"id": f"cus_{n}", "externalId": str(n)} for n in range(rows)])
        with _in_company(dub, case), _changing(dub, case):
            _work(dub.url, rows, case)
        requests = [request for request in dub.requests if request["method"] == "PATCH"]
    assert sum(request["status"] == 200 for request in requests) == case.rows
    run = Simulation(case, seed=0)
    run.start, run.now = requests[0]["at"], requests[-1]["at"]
    run.starts = [run.start] * case.clients
    run.log = [(request["at"] - run.start, 0, request["status"]) for request in requests]
    return run


def _work(url: str, rows: int, case: Case) -> None:
    processes = multiprocessing.get_context("spawn")
    ready = processes.Barrier(case.clients)
    clients = [processes.Process(target=_client, args=(url, rows, ready)) for _ in range(case.clients)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _client(url: str, rows: int, ready: threading.Barrier) -> None:
    from airflow_provider_dub.hooks.dub import DubHook

    os.environ["AIRFLOW_CONN_DUB_DEFAULT"] = dub_connection(url, "dub_TESTKEY")
    hook = DubHook()
    hook.client  # noqa: B018 - the connection is looked up now
    ready.wait()
    for result in hook.update_customers({"id": f"cus_{n}", "name": f"{time.time()}"} for n in range(rows)):
        assert result.outcome == "updated", result


@contextmanager
def _in_company(dub: DubEmulator, case: Case) -> Iterator[None]:
    """Let others come first, until the window before this one is full of them, too."""
    if not case.others:
        yield
        return
    with somebody_else(dub, case.others):
        time.sleep(2 * WINDOW)
        yield


@contextmanager
def _changing(dub: DubEmulator, case: Case) -> Iterator[None]:
    """Change the limit so many seconds after the first request."""
    over = threading.Event()

    def change(after: float, limit: int) -> None:
        while not dub.requests and not over.wait(0.01):
            pass
        if not over.wait(after):
            dub.change_limit(limit)

    changing = threading.Thread(target=change, args=case.change or (0.0, case.limit))
    changing.start()
    try:
        yield
    finally:
        over.set()
        changing.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
