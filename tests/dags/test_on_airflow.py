"""The example DAGs and a DAG with planted values, on a real Airflow: database, task runner, XCom."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_dub.emulator import DubEmulator
from example_dags.__main__ import CUSTOMERS_IN_DUB

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("example_*.py"))
PLANTED = [start + kind for start in ("PLANTED-", "planted.") for kind in ("literal", "list", "frame", "mapped")]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """The states of all DAG runs, everything that was printed or logged, and the database."""
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    for name in EXAMPLES:
        shutil.copy(ROOT / "example_dags" / f"{name}.py", dags)
    shutil.copy(Path(__file__).parent / "privacy_probe.py", dags)
    with DubEmulator() as dub:
        dub.reset(setup_customers=[{"id": f"cus_EX{n}", **customer} for n, customer in enumerate(CUSTOMERS_IN_DUB)])
        environment = {
            **{name: value for name, value in os.environ.items() if "UNIT_TEST" not in name},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_DUB_DEFAULT": json.dumps({"conn_type": "dub", "host": dub.url, "password": dub.api_key}),
            "AIRFLOW_CONN_EXAMPLE_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(home / "warehouse.db")}),
            "PYTHONPATH": str(ROOT),
        }
        output = ""
        for command in (["-m", "airflow", "db", "migrate"], ["-m", "tests.dags.run_dags", str(home / "states.json")]):
            done = subprocess.run(
                [sys.executable, *command],
                env=environment,
                cwd=home,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            output += done.stdout + done.stderr
        customers = {customer["id"]: customer for customer in dub.customers}
    logs = "".join(path.read_text(errors="replace") for path in (home / "logs").rglob("*") if path.is_file())
    states = json.loads((home / "states.json").read_text())
    return {**states, "output": output + logs, "database": home / "airflow.db", "customers": customers}


@pytest.mark.parametrize("dag_id", [*EXAMPLES, "privacy_probe"])
def test_the_dag_succeeds(airflow, dag_id: str) -> None:
    assert airflow["import_errors"] == {}
    assert airflow["states"][dag_id] == "success"


def test_the_example_updates_dub(airflow) -> None:
    ada = airflow["customers"]["cus_EX0"]
    assert (ada["name"], ada["email"], ada["subscriptionCanceledAt"]) == (
        "Ada Lovelace",
        "ada@lovelace.example",
        "2026-11-01T00:00:00.000Z",
    )
    assert "4 of 5 customers updated, 1 not in Dub." in airflow["output"]


def test_no_value_and_no_key_is_printed_or_logged(airflow) -> None:
    for secret in [*PLANTED, "dub_TESTKEY"]:
        assert secret not in airflow["output"]


def test_values_are_in_the_database_only_as_xcom(airflow) -> None:
    tables = _tables(airflow["database"])
    holding = {table for table, text in tables.items() if any(value in text for value in PLANTED)}
    assert holding == {"xcom"}
    assert "dub_TESTKEY" not in "".join(tables.values())
    assert "values hidden" in tables["rendered_task_instance_fields"]


def test_only_the_records_and_the_input_hold_values_in_xcom(airflow) -> None:
    with sqlite3.connect(airflow["database"]) as database:
        rows = database.execute("SELECT task_id, key, value FROM xcom WHERE dag_id = 'privacy_probe'").fetchall()
    summaries = [value for _, key, value in rows if key == "summary"]
    assert len(summaries) == 5
    assert not any(value in summary for summary in map(str, summaries) for value in PLANTED)


def test_a_row_is_not_rendered_as_a_template(airflow) -> None:
    with sqlite3.connect(airflow["database"]) as database:
        rows = database.execute(
            "SELECT value FROM xcom WHERE dag_id = 'privacy_probe' AND task_id = 'literal' AND key = 'summary'"
        ).fetchall()
    summary = rows[0][0]
    summary = json.loads(summary) if isinstance(summary, str) else summary
    summary = json.loads(summary) if isinstance(summary, str) else summary
    assert (summary["updated"], summary["rejected"], summary["failed"]) == (1, 2, 2)


def _tables(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: str(database.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}
