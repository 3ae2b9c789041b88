"""The example DAGs and a DAG with planted values, on a real Airflow: database, task runner, XCom."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.dags.conftest import EXAMPLES
from tests.dags.planted import PLANTED
from tests.support.airflow_tables import map_index_column, xcom_table, xcoms


@pytest.mark.parametrize("dag_id", [*EXAMPLES, "privacy_probe"])
def test_the_dag_succeeds(airflow, dag_id: str) -> None:
    assert airflow["import_errors"] == {}
    assert airflow["states"][dag_id] == "success"


def test_the_examples_update_dub(airflow) -> None:
    ada = airflow["customers"]["cus_EX0"]  # her name is changed by one example after the other
    assert (ada["email"], ada["subscriptionCanceledAt"]) == ("ada@lovelace.example", "2026-11-01T00:00:00.000Z")
    assert "4 of 5 customers updated, 1 not in Dub." in airflow["output"]


def test_no_value_and_no_key_is_printed_or_logged(airflow) -> None:
    for secret in [*PLANTED, "dub_TESTKEY"]:
        assert secret not in airflow["output"]


def test_values_are_in_the_database_only_as_xcom(airflow) -> None:
    tables = _tables(airflow["database"])
    holding = {table for table, text in tables.items() if any(value in text for value in PLANTED)}
    assert holding == {xcom_table(airflow["database"])}
    assert "dub_TESTKEY" not in "".join(tables.values())
    assert "values masked" in (tables.get("rtif_v2") or tables["rendered_task_instance_fields"])


def test_no_summary_holds_a_value(airflow) -> None:
    summaries = [xcom.value for xcom in xcoms(airflow["database"], "privacy_probe") if xcom.key == "summary"]
    assert len(summaries) == 5
    assert not any(value in summary for summary in map(str, summaries) for value in PLANTED)


def test_a_row_is_not_rendered_as_a_template(airflow) -> None:
    stored = xcoms(airflow["database"], "privacy_probe")
    (summary,) = (xcom.value for xcom in stored if (xcom.task_id, xcom.key) == ("literal", "summary"))
    while isinstance(summary, str | bytes):  # Airflow 2.11 stores bytes, Airflow 3 JSON in JSON
        summary = json.loads(summary)
    assert (summary["updated"], summary["rejected"], summary["failed"]) == (1, 2, 2)


def test_mapped_tasks_are_named_by_their_rows(airflow) -> None:
    index = map_index_column(airflow["database"])
    sql = f"SELECT rendered_map_index FROM task_instance WHERE task_id = 'update_customers' AND {index} >= 0"
    with sqlite3.connect(airflow["database"]) as database:
        names = {name for (name,) in database.execute(sql)}
    assert names == {
        "airflow-example-ada to airflow-example-grace",
        "airflow-example-日本 to airflow-example-日本",
    }


def _tables(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: str(database.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names}


def test_iterations_of_a_loop_are_runs_of_their_own_to_the_state_table(airflow) -> None:
    if "loop_probe" not in airflow["states"]:
        pytest.skip("this Airflow has no loops of tasks")
    assert airflow["states"]["loop_probe"] == "success"
    with sqlite3.connect(airflow["database"].parent / "warehouse.db") as warehouse:
        history = warehouse.execute("SELECT run, country, outcome FROM loop_state_history ORDER BY last_tried_at")
        runs, *values = zip(*history, strict=True)
    assert values == [("US", "GB"), ("updated", "updated")]
    assert [run.split("/")[-1].partition("@")[0] for run in runs] == ["body.sync[0]", "body.sync[1]"]
