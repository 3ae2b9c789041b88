"""The DAGs of the documentation on a real Airflow, from PostgreSQL to the emulator; and the queries of its pages."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, for_this_airflow
from tests.support.airflow_commands import AirflowCommands, dub_connection


@pytest.fixture
def run_dags(warehouse, dub, tmp_path):
    """Run DAGs of the documentation, and return the state of each."""
    dags = tmp_path / "dags"
    shutil.copytree(DOCS / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    for number, block in enumerate(blocks(ROOT / "README.md", "python")):
        (dags / f"readme_{number}.py").write_text(block, encoding="utf-8")
    for file in dags.glob("*.py"):
        file.write_text(for_this_airflow(file.read_text(encoding="utf-8")), encoding="utf-8")
    environment = {
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "AIRFLOW_CONN_DUB_DEFAULT": dub_connection(dub.url, dub.api_key),
    }
    commands = AirflowCommands(tmp_path, environment)
    commands.run("airflow", "db", "migrate")
    commands.run("airflow", "pools", "set", "dub", "4", "tasks that use one Dub key")
    return lambda *dag_ids: json.loads(commands.run("tests.docs.run_dags", *dag_ids).stdout.splitlines()[-1])


def test_the_dags_and_the_queries_of_the_pages_run(run_dags, warehouse) -> None:
    warehouse.run("UPDATE customers SET email = NULL WHERE user_id = 'user_3'")
    dag_ids = sorted(path.stem for path in (DOCS / "dags").glob("*.py"))
    seen = run_dags(*dag_ids, "sync_dub", "update_dub")
    assert seen["import_errors"] == {}
    assert [(run["dag"], run["state"]) for run in seen["runs"]] == [
        (dag_id, "success") for dag_id in [*dag_ids, "sync_dub", "update_dub"]
    ]
    *from_the_warehouse, of_the_readme = seen["runs"]
    assert [run["dub"] for run in from_the_warehouse] == [run["warehouse"] for run in from_the_warehouse]
    assert of_the_readme["dub"] == "GB"

    warehouse.run("UPDATE customers SET email = 'no address' WHERE user_id = 'user_2'")
    (failed,) = run_dags("sync_dub")["runs"]
    assert failed["state"] == "failed"
    why, when, *again = blocks(DOCS / "state-table.md", "sql")
    assert ("rejected", 1) in {(code, count) for code, _, count in warehouse.get_records(why)}
    ((outcome, applied_at, run),) = warehouse.get_records(when)
    assert (outcome, run.split("/")[0]) == ("updated", "sync_dub")
    assert applied_at
    for statement in again:
        warehouse.run(statement.replace("'conflict'", "'rejected'"))
    assert "rejected" not in {code for code, _, _ in warehouse.get_records(why)}
