"""Mapped tasks on two Celery workers that share one key: undisturbed, and when one of the workers dies.

``SCALE_OUT_ROWS=10000 python -m pytest -m scale_out`` is what README quotes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.emulator.rate_limit import SlidingWindow
from tests.scale_out.dags.scale_out import BATCH_SIZE, MAX_WORKERS
from tests.support.dub_connection import dub_connection

if TYPE_CHECKING:
    from tests.scale_out.cluster import Cluster

pytestmark = pytest.mark.scale_out

ROWS = int(os.environ.get("SCALE_OUT_ROWS", "3600"))
TASKS = 20
SIZE = ROWS // TASKS
IDS = [f"cus_9{n:05}" for n in range(ROWS)]
LIMIT = 3_000
#: Seconds of a request, and threads of eight tasks at a time.
LATENCY, THREADS = 0.1, 64


class Run:
    """A run of the DAG, for all customers of a local Dub.

    :param name: The run's id, and what the customers' new names begin with.
    """

    def __init__(self, cluster: Cluster, dub: DubEmulator, name: str) -> None:
        self.cluster = cluster
        self.dub = dub
        self.name = name
        self.killed: str | None = None
        dub.reset(setup_customers=[{"id": id_, "externalId": f"user {id_}"} for id_ in IDS])
        cluster.trigger("scale_out", name, rows=ROWS, size=SIZE, name=name)

    @property
    def tasks(self) -> list[dict[str, Any]]:
        sql = "SELECT * FROM task_instance WHERE run_id = %s AND task_id = 'update_customers' ORDER BY map_index"
        return self.cluster.airflow.query(sql, self.name)

    @property
    def summaries(self) -> list[dict[str, Any]]:
        sql = "SELECT value FROM xcom WHERE run_id = %s AND key = 'summary' ORDER BY map_index"
        return [row["value"] for row in self.cluster.airflow.query(sql, self.name)]

    def responses(self, status: int) -> list[float]:
        """When Dub gave them."""
        return [request["at"] for request in self.dub.requests if request["status"] == status]

    def kill_a_worker(self) -> None:
        """Kill the busier one in the middle of its tasks, which are slow once the key's limit is reached."""

        def running() -> Counter[str]:
            tasks = self.tasks
            begins = any(task["state"] == "queued" for task in tasks)
            return Counter(task["hostname"] for task in tasks if task["state"] == "running" and not begins)

        self.cluster.wait("the limit is reached", lambda: len(self.responses(200)) > LIMIT + 200, seconds=120)
        self.cluster.wait("a worker is busy", running, seconds=30)
        ((self.killed, _),) = running().most_common(1)
        self.cluster.kill(self.killed)

    def finish(self) -> None:
        sql = "SELECT 1 FROM dag_run WHERE run_id = %s AND state IN ('success', 'failed')"
        self.cluster.wait("the run is over", lambda: self.cluster.airflow.query(sql, self.name), seconds=60 + ROWS / 10)

    def measured(self) -> str:
        applied, refused = self.responses(200), self.responses(429)
        took, best = applied[-1] - applied[0], best_possible(len(applied), applied[0])
        return (
            f"{self.name}: {ROWS} rows, {len(applied) - ROWS} of them twice, in {took:.1f} s; "
            f"best possible / measured {best / took:.3f}; 429s {len(refused) / ROWS:.2%}"
        )


def best_possible(requests: int, start: float) -> float:
    """Seconds for somebody who knows when Dub will admit the next request, and starts no tasks in between."""
    now = start
    dub = SlidingWindow(clock=lambda: now)
    for _ in range(requests):
        now += LATENCY / THREADS
        while not dub.admit("key", LIMIT).admitted:
            now += 0.02
    return now - start


@pytest.fixture(scope="module")
def dub() -> Iterator[DubEmulator]:
    with DubEmulator(requests_per_minute=LIMIT, latency_ms=70, latency_jitter_ms=60) as dub:
        yield dub


@pytest.fixture(scope="module")
def cluster(dub: DubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    from tests.scale_out.cluster import celery_cluster  # what it needs is not everywhere where tests are collected

    environment = {"AIRFLOW_CONN_DUB_DEFAULT": dub_connection(dub.url, dub.api_key)}
    with celery_cluster(tmp_path_factory.mktemp("airflow"), Path(__file__).parent / "dags", environment) as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["undisturbed", "a-worker-dies"])
def run(request: pytest.FixtureRequest, cluster: Cluster, dub: DubEmulator) -> Run:
    run = Run(cluster, dub, request.param)
    if run.name == "a-worker-dies":
        run.kill_a_worker()
    run.finish()
    return run


def test_every_task_succeeds(run: Run) -> None:
    assert [task["state"] for task in run.tasks] == ["success"] * TASKS


def test_every_row_is_applied(run: Run) -> None:
    names = {customer["id"]: customer["name"] for customer in run.dub.customers}
    assert [names[id_] for id_ in IDS] == [f"{run.name} {n}" for n in range(ROWS)]


def test_every_row_is_counted_once(run: Run) -> None:
    assert [summary["updated"] for summary in run.summaries] == [SIZE] * TASKS
    assert sum(summary["total"] for summary in run.summaries) == ROWS


def test_few_rows_are_sent_twice(run: Run) -> None:
    retries = sum(task["try_number"] - 1 for task in run.tasks)
    assert len(run.responses(200)) - ROWS <= retries * (BATCH_SIZE + MAX_WORKERS)


def test_the_tasks_share_the_limit(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("", run.measured(), sep="\n")
    assert len(run.responses(429)) <= 0.1 * ROWS


def test_only_what_a_dead_worker_ran_is_tried_again(run: Run) -> None:
    alive = {"worker-1", "worker-2"} - {run.killed}
    assert {task["hostname"] for task in run.tasks} >= alive
    assert {task["hostname"] for task in run.tasks if task["try_number"] > 1} == (alive if run.killed else set())


def test_tasks_are_named_by_their_rows(run: Run) -> None:
    chunks = [IDS[start : start + SIZE] for start in range(0, ROWS, SIZE)]
    assert [task["rendered_map_index"] for task in run.tasks] == [f"{chunk[0]} to {chunk[-1]}" for chunk in chunks]
