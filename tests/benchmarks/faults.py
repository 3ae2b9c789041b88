"""Every row has one true outcome, through everything that networks and servers do to 20,000 of them.

``python -m tests.benchmarks.faults [SEED]``. Beside the faults of the local Dub, every connection fails for 20 seconds
and the clock jumps by an hour.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-dub-benchmarks-"))

import requests
from requests.adapters import HTTPAdapter

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome, SyncSummary
from tests.support.dub_connection import dub_connection

ROWS = 20_000
FAULTS = [
    "error=0.05",
    "reset-before=0.02",
    "reset-after=0.02",
    "stall=0.01",
    "stall-seconds=3",
    "truncate=0.01",
    "html-error=0.01",
    "storm=60:10",
]


def main(seed: int = 1) -> None:
    """Run once and print what became of the rows."""
    customers = [{"id": f"cus_9{n:05}", "externalId": f"u{n}", "name": "before", "email": None} for n in range(ROWS)]
    with (
        DubEmulator(faults=FAULTS, fault_seed=seed, requests_per_minute=1_000_000) as dub,
        _outage(after=20, lasting=20),
    ):
        dub.reset(setup_customers=customers)
        os.environ["AIRFLOW_CONN_DUB_DEFAULT"] = dub_connection(dub.url, dub.api_key, timeout=1)
        hook, report, untrue = DubHook(), SyncSummary(), []
        began = time.monotonic()
        updates = ({"id": c["id"], "name": f"of {c['id']}"} for c in customers)
        results = list(hook.update_customers(updates, SyncOptions(max_workers=64)))
        took = time.monotonic() - began
        stored = {customer["id"]: customer["name"] for customer in dub.customers}
        met = Counter(request.get("fault", "none") for request in dub.requests)
    for result in results:
        report.write(result)
        if result.outcome is Outcome.UPDATED and stored[str(result.key)] != f"of {result.key}":
            untrue.append(result.row)
    once = [result.row for result in results] == list(range(ROWS))
    print(
        f"\nseed {seed}: {report.log_line()} in {took:.0f} s; every row exactly once: {once}; "
        f"untrue outcomes: {len(untrue)}"
    )
    print(
        f"requests: {hook.traffic.requests_sent:,}, {hook.traffic.requests_sent / ROWS - 1:.1%} more than rows; "
        f"met: {dict(met)}"
    )
    assert once
    assert not untrue


@contextmanager
def _outage(after: float, lasting: float) -> Iterator[None]:
    """Let no request leave for a while, as without a network, and the clock jump meanwhile."""
    began, send, clock = time.monotonic(), HTTPAdapter.send, time.time

    def broken(adapter, *args, **kwargs):  # type: ignore[no-untyped-def]
        if after < time.monotonic() - began < after + lasting:
            raise requests.exceptions.ConnectTimeout("no network")
        return send(adapter, *args, **kwargs)

    jump = threading.Timer(after, setattr, [time, "time", lambda: clock() + 3600])
    HTTPAdapter.send = broken  # type: ignore[method-assign,assignment]
    jump.start()
    try:
        yield
    finally:
        jump.cancel()
        HTTPAdapter.send, time.time = send, clock  # type: ignore[method-assign]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
