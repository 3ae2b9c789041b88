"""A task is killed amid its rows, on a whole Airflow: after SIGKILL a retry does the rest, and SIGTERM is heard.

All DAGs run side by side. ``RESUME_SEED=7 pytest tests/resume -rP`` kills them elsewhere and tells what was sent twice.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from airflow_provider_dub.emulator import DubEmulator
from tests.resume.dags.killed import BATCH_SIZE, MAX_WORKERS, ROWS, rows_of
from tests.support.dub_connection import dub_connection

if TYPE_CHECKING:
    from tests.support.running_airflow import RunningAirflow

pytestmark = pytest.mark.skipif(not find_spec("airflow.models.task_state_store"), reason="needs a task state store")

#: The share of its rows after which a task is killed.
SHARES = {
    "killed_at_10_percent": 0.1,
    "killed_at_50_percent": 0.5,
    "killed_at_90_percent": 0.9,
    "supervisor_killed": 0.3,
    "killed_and_cleared": 0.5,
    "terminated": 0.3,
}
SEED = int(os.environ.get("RESUME_SEED", "1"))
#: Until the end of all runs: on a machine that is busy with much else they took more than three minutes.
SECONDS = 480


class Run(NamedTuple):
    """What a DAG's run came to."""

    state: str
    tries: int
    sent: int
    sent_when_killed: int
    summary: dict[str, Any]
    returned: list[dict[str, Any]]
    stored: dict[str, str]
    left: int


class Runs:
    """The runs of all DAGs."""

    def __init__(self, airflow: RunningAirflow, dub: DubEmulator) -> None:
        self.airflow = airflow
        self._dub = dub
        self._killed: dict[str, int] = {}
        self.killed_at: dict[str, datetime] = {}

    def play(self) -> None:
        """Kill each task when its time has come, clear the one that is to be cleared, and wait for the end."""
        chance = random.Random(SEED)
        waiting = {dag_id: SHARES[dag_id] * ROWS[dag_id] + chance.randrange(BATCH_SIZE) for dag_id in ROWS}
        to_clear, until = ["killed_and_cleared"], time.monotonic() + SECONDS
        while waiting or to_clear or self._unfinished():
            assert time.monotonic() < until, (waiting, to_clear, self._unfinished())
            sent = self._sent()
            for dag_id in [dag_id for dag_id, after in waiting.items() if sent[dag_id] >= after]:
                self._kill(dag_id)
                self._killed[dag_id] = self._sent()[dag_id]
                del waiting[dag_id]
            for dag_id in [dag_id for dag_id in to_clear if self._state(dag_id) == ["failed"]]:
                assert self._left(dag_id) > 0
                self.airflow.clear(dag_id)
                to_clear.remove(dag_id)
            time.sleep(0.05)

    def _kill(self, dag_id: str) -> None:
        pid = self._task(dag_id)["pid"]
        if dag_id == "supervisor_killed":
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        self.killed_at[dag_id] = datetime.now(UTC)
        os.kill(pid, signal.SIGTERM if dag_id == "terminated" else signal.SIGKILL)

    def seconds_until_the_end(self, dag_id: str) -> float:
        """Return how long the task went on after it was killed."""
        return (self._task(dag_id)["end_date"] - self.killed_at[dag_id]).total_seconds()

    def _sent(self) -> Counter[str]:
        names = (request["path"].removeprefix("/customers/cus_") for request in self._dub.requests)
        return Counter(name.rpartition("_")[0] for name in names)

    def _state(self, dag_id: str) -> list[str]:
        return [run["state"] for run in self.airflow.query("SELECT state FROM dag_run WHERE dag_id = %s", dag_id)]

    def _task(self, dag_id: str) -> dict[str, Any]:
        (task,) = self.airflow.query("SELECT * FROM task_instance WHERE dag_id = %s", dag_id)
        return task

    def _unfinished(self) -> list[str]:
        return [dag_id for dag_id in ROWS if self._state(dag_id) not in (["success"], ["failed"])]

    def _left(self, dag_id: str) -> int:
        return len(self.airflow.query("SELECT 1 FROM task_state_store WHERE dag_id = %s", dag_id))

    def __getitem__(self, dag_id: str) -> Run:
        (state,) = self._state(dag_id)
        run = Run(
            state,
            self._task(dag_id)["try_number"],
            self._sent()[dag_id],
            self._killed[dag_id],
            self.airflow.xcom(dag_id, "summary"),
            self.airflow.xcom(dag_id, "return_value"),
            {customer["id"]: customer["name"] for customer in self._dub.customers},
            self._left(dag_id),
        )
        total, resumed = run.summary["total"], run.summary["resumed"]
        print(f"{dag_id}: killed after {run.sent_when_killed} of {total} rows; {resumed} resumed, {run.sent} sent")
        return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    from tests.support.running_airflow import (
        RunningAirflow,  # what it needs is not everywhere where tests are collected
    )

    with DubEmulator(requests_per_minute=10**9) as dub:
        customers = [{**row, "name": "old", "externalId": row["name"]} for dag_id in ROWS for row in rows_of(dag_id)]
        dub.reset(setup_customers=customers)
        environment = {"AIRFLOW_CONN_DUB_DEFAULT": dub_connection(dub.url, dub.api_key)}
        dags = Path(__file__).parent / "dags"
        with RunningAirflow(tmp_path_factory.mktemp("airflow"), dags, environment) as airflow:
            runs = Runs(airflow, dub)
            runs.play()
            yield runs


def check_outcome(run: Run, dag_id: str) -> None:
    """Every row is applied, counted once and returned in its place, and nothing of it is left in the state store."""
    rows = rows_of(dag_id)
    assert run.state == "success"
    assert run.tries > 1
    assert [(record["id"], record["name"]) for record in run.returned] == [(row["id"], row["name"]) for row in rows]
    assert {row["id"]: row["name"] for row in rows}.items() <= run.stored.items()
    assert run.summary["total"] == run.summary["updated"] == len(rows)
    assert run.left == 0


@pytest.mark.parametrize(
    "dag_id", ["killed_at_10_percent", "killed_at_50_percent", "killed_at_90_percent", "supervisor_killed"]
)
def test_the_retry_of_a_killed_task_does_the_rest(runs, dag_id) -> None:
    run = runs[dag_id]
    check_outcome(run, dag_id)
    assert run.summary["requests_sent"] == len(run.returned) - run.summary["resumed"]
    assert run.sent <= len(run.returned) + BATCH_SIZE + MAX_WORKERS
    assert run.summary["resumed"] >= run.sent_when_killed - BATCH_SIZE - MAX_WORKERS


def test_a_killed_task_that_is_cleared_starts_anew(runs) -> None:
    run = runs["killed_and_cleared"]
    check_outcome(run, "killed_and_cleared")
    assert run.summary["requests_sent"] == len(run.returned)
    assert run.summary["resumed"] == 0


def test_a_terminated_task_accounts_for_every_row_and_ends(runs) -> None:
    summary = runs.airflow.xcom("terminated", "summary")
    rejected = (runs.airflow.home / "terminated.jsonl").read_text().splitlines()
    assert summary["total"] == ROWS["terminated"]
    assert summary["not_attempted"] > 0
    assert summary["updated"] + len(rejected) == ROWS["terminated"]
    print(
        f"terminated: {summary['not_attempted']} rows not sent, over after {runs.seconds_until_the_end('terminated')} s"
    )
    assert runs.seconds_until_the_end("terminated") < 10  # two or three, on a machine that has nothing else to do
