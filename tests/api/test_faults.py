"""Through broken networks and servers every row ends in exactly one outcome, and the outcome is true."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.results import Outcome


@pytest.mark.parametrize(
    ("rows", "seed", "storm"),
    [
        (300, 1, []),
        pytest.param(300, 3, ["storm=0.1:0.5"], marks=pytest.mark.slow),
        pytest.param(3000, 2, [], marks=pytest.mark.slow),
    ],
)
def test_every_row_has_one_true_outcome(connect, no_back_off, rows: int, seed: int, storm: list[str]) -> None:
    faults = [
        "error=0.05",
        "reset-before=0.01",
        "reset-after=0.01",
        "truncate=0.01",
        "html-error=0.01",
        *storm,
    ]
    customers = [{"id": f"cus_9{n:04}", "externalId": f"u{n}", "name": "before", "email": None} for n in range(rows)]
    with DubEmulator(faults=faults, fault_seed=seed, requests_per_minute=1_000_000) as dub:
        dub.reset(setup_customers=customers)
        connect(dub.url)
        results = list(
            DubHook(max_retries=8).update_customers({"id": c["id"], "name": f"after {c['id']}"} for c in customers)
        )
        stored = {customer["id"]: customer["name"] for customer in dub.customers}
        seen = Counter(request.get("fault") for request in dub.requests)
    assert [result.row for result in results] == list(range(rows))
    assert len(seen) > 5
    for result in results:
        assert result.outcome in (Outcome.UPDATED, Outcome.FAILED)
        if result.outcome is Outcome.UPDATED:
            assert stored[result.key] == f"after {result.key}" == result.record["name"]
    assert sum(result.outcome is Outcome.UPDATED for result in results) == rows
