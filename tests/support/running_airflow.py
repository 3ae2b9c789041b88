"""A whole Airflow, each component in a process of its own: API server, scheduler, DAG processor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests
from psycopg.rows import dict_row

from tests.support.free_port import free_port
from tests.support.paths import ROOT
from tests.support.postgres import postgres_socket


class RunningAirflow:
    """Airflow with LocalExecutor on PostgreSQL; a context manager, after which nothing of it runs.

    On SQLite it now and then answers 500: whoever has read before writing is told that the database is locked.

    :param home: An empty folder.
    :param dags: The DAGs folder.
    :param environment: Variables beside Airflow's settings, such as connections.
    :param settings: Settings beside ours, or in their place.
    """

    def __init__(
        self, home: Path, dags: Path, environment: Mapping[str, str], settings: Mapping[str, object] | None = None
    ) -> None:
        self.home = home
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        settings = {
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": 5,
            "CORE__DAGS_FOLDER": dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "API__HOST": "127.0.0.1",
            "API__PORT": port,
            "API__WORKERS": 1,
            "WORKERS__EXECUTION_API_TIMEOUT": 60,
            "API_AUTH__JWT_SECRET": os.urandom(32).hex(),
            # A task whose supervisor died is missed after 15 seconds instead of five minutes.
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 15,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 1,
            **(settings or {}),
        }
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            "AIRFLOW_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self._running = ExitStack()

    def __enter__(self) -> RunningAirflow:
        with self._running:
            database = f"//postgres@/postgres?host={self._running.enter_context(postgres_socket())}"
            self._environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"postgresql+psycopg:{database}"
            self._database = self._running.enter_context(
                psycopg.connect(f"postgresql:{database}", autocommit=True, row_factory=dict_row)
            )
            assert self.start("db", "migrate").wait(120) == 0, (self.home / "db.log").read_text()
            self.start("dag-processor")
            api_server = self.start("api-server")
            while not self._answers():
                assert api_server.poll() is None, (self.home / "api-server.log").read_text()
                time.sleep(0.2)
            self.start("scheduler")  # a task that finds no API server fails
            self._running = self._running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self, *command: str, name: str | None = None) -> subprocess.Popen[bytes]:
        """Start one more component, which ends with the others.

        :param command: What follows ``airflow`` on the command line.
        :param name: What its log and, in its environment, ``COMPONENT`` are called.
        """
        name = name or command[0]
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env={**self._environment, "COMPONENT": name},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.callback(kill_session, process)
        return process

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self._url}/api/v2/monitor/health", timeout=60).ok
        return False

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, object]) -> None:
        """Begin a run of a DAG."""
        self._post(f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf})

    def clear(self, dag_id: str) -> None:
        """Clear all tasks of a DAG."""
        self._post(f"dags/{dag_id}/clearTaskInstances", {"dry_run": False, "only_failed": False})

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        token = requests.get(f"{self._url}/auth/token", timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        requests.post(f"{self._url}/api/v2/{path}", json=body, headers=headers, timeout=60).raise_for_status()

    def query(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """Ask the metadata database."""
        return self._database.execute(sql, arguments).fetchall()

    def xcom(self, dag_id: str, key: str) -> Any:
        """Return the one XCom of a DAG with this key."""
        (xcom,) = self.query("SELECT value FROM xcom WHERE dag_id = %s AND key = %s", dag_id, key)
        return xcom["value"]


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started: children stay in its session when their parent dies."""
    while members := [pid for pid in _living_pids() if _session_of(pid) == process.pid]:
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.02)


def _living_pids() -> list[int]:
    return [one.pid for one in psutil.process_iter(["status"]) if one.info["status"] != psutil.STATUS_ZOMBIE]


def _session_of(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return None
