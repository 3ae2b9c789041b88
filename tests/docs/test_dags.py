"""The DAGs of the documentation on a real Airflow, from PostgreSQL to the emulator; and the queries of its pages."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, for_this_airflow
from tests.support.airflow_commands import AirflowCommands
from tests.support.dub_connection import dub_connection


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
        "AIRFLOW_CONN_STATE": json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "state.sqlite")}),
    }
    commands = AirflowCommands(tmp_path, environment)
    commands.run("airflow", "db", "migrate")
    commands.run("airflow", "pools", "set", "dub", "4", "tasks that use one Dub key")
    return lambda *dag_ids: json.loads(commands.run("tests.docs.run_dags", *dag_ids).stdout.splitlines()[-1])


def test_the_dags_and_the_queries_of_the_pages_run(run_dags, warehouse) -> None:
    warehouse.run("UPDATE customers SET email = NULL WHERE user_id = 'user_3'")
    warehouse.run("UPDATE customers SET brand = 'beta' WHERE user_id = 'user_2'")
    # Enough others that a change is no more than a fifth of them.
    warehouse.run(
        "INSERT INTO customers (user_id, name, brand) "
        "SELECT 'other_' || n, 'Other', 'gamma' FROM generate_series(1, 8) n"
    )
    # Its query is about a day that has ended.
    dag_ids = sorted(path.stem for path in (DOCS / "dags").glob("*.py") if path.stem != "sync_in_order")
    seen = run_dags(*dag_ids, "sync_dub", "update_dub")
    assert seen["import_errors"] == {}
    assert [(run["dag"], run["state"]) for run in seen["runs"]] == [
        (dag_id, "success") for dag_id in [*dag_ids, "sync_dub", "update_dub"]
    ]
    *from_the_warehouse, of_the_readme = seen["runs"]
    assert [run["dub"] for run in from_the_warehouse] == [run["warehouse"] for run in from_the_warehouse]
    assert of_the_readme["dub"] == "GB"
    brands = {brand: f"SELECT customer_key FROM dub_state_{brand} ORDER BY customer_key" for brand in ("acme", "beta")}
    assert {brand: [key for (key,) in warehouse.get_records(keys)] for brand, keys in brands.items()} == {
        "acme": ["user_1", "user_3", "user_nobody"],
        "beta": ["user_2"],
    }

    warehouse.run("UPDATE customers SET email = 'no address' WHERE user_id = 'user_2'")
    (failed,) = run_dags("sync_dub")["runs"]
    assert failed["state"] == "failed"
    why, when, again, who, runs, repeated = blocks(DOCS / "state-table.md", "sql")
    assert ("rejected", 1) in {(code, count) for code, _, count in warehouse.get_records(why)}
    ((outcome, applied_at, run),) = warehouse.get_records(when)
    assert (outcome, run.split("/")[0]) == ("updated", "sync_dub")
    assert applied_at
    history = warehouse.get_records(who)
    assert {run.split("/")[0] for _, run, _, _ in history} == {"sync_warehouse_to_dub", "sync_dub"}
    assert [outcome for *_, outcome, _ in history] == ["updated"] * len(history)
    by_run = {(run.split("/")[0], outcome): rows for run, _, _, outcome, rows in warehouse.get_records(runs)}
    assert by_run["sync_warehouse_to_dub", "updated"] == 2
    assert by_run["sync_dub", "rejected"] == 1
    assert warehouse.get_records(repeated) == []
    warehouse.run(again.replace("'conflict'", "'rejected'"))
    assert "rejected" not in {code for code, _, _ in warehouse.get_records(why)}


def test_a_dag_whose_query_has_dates_sends_what_changed_in_the_interval_of_its_run(run_dags, warehouse) -> None:
    warehouse.run("UPDATE customers SET updated_at = CURRENT_DATE - INTERVAL '12 hours' WHERE user_id = 'user_1'")
    (run,) = run_dags("sync_in_order")["runs"]
    assert (run["state"], run["dub"]) == ("success", run["warehouse"])


def test_a_dag_whose_query_has_dates_runs_in_order() -> None:
    code = for_this_airflow((DOCS / "dags" / "sync_in_order.py").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    exec(compile(code, "sync_in_order", "exec"), names)  # noqa: S102 - our own page
    dag = names["sync_in_order"]()
    assert (dag.max_active_runs, dag.catchup) == (1, True)
    assert [task.depends_on_past for task in dag.tasks] == [True]


def test_the_exposure_is_one_that_dbt_takes() -> None:
    yaml = pytest.importorskip("yaml")
    (block,) = blocks(DOCS / "dbt.md", "yaml")
    (exposure,) = yaml.safe_load(block)["exposures"]
    assert exposure["name"].isidentifier()
    assert exposure["type"] in ("dashboard", "notebook", "analysis", "ml", "application")
    assert exposure["owner"]["email"]
    assert exposure["depends_on"] == ["ref('customers')"]
