"""The watermark of the example moves only past rows that Dub has."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.warehouse.dialects import DIALECTS
from tests.dags.conftest import EXAMPLES
from tests.support.paths import ROOT
from tests.support.task_instance import TaskInstance

EXAMPLE = "example_sql_to_dub_watermark"
pytestmark = pytest.mark.skipif(EXAMPLE not in EXAMPLES, reason="the example needs Airflow 3.3")
PEOPLE = [("airflow-example-ada", "Ada"), ("airflow-example-grace", "Grace")]
CUSTOMERS = [{"id": f"cus_EX{n}", "externalId": key, "name": "before"} for n, (key, _) in enumerate(PEOPLE)]


class Xcoms(TaskInstance):
    """A task instance that also pulls what others pushed."""

    def xcom_pull(self, task_ids: str, key: str = "return_value"):
        return self.xcoms[key if key == "summary" else task_ids]


class AssetState(dict):
    """The state of the one asset."""

    def __missing__(self, asset):
        return self

    def get(self, key, default=None):
        return dict.get(self, key, default)

    def set(self, key, value) -> None:
        self[key] = value


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    connection = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.sqlite")}
    monkeypatch.setenv("AIRFLOW_CONN_EXAMPLE_WAREHOUSE", json.dumps(connection))
    hook = SqliteHook("example_warehouse")
    hook.run("CREATE TABLE dub_example_people (external_id TEXT, name TEXT, updated_at TEXT)")
    return hook


@pytest.fixture
def run_once(warehouse):
    """Run the tasks of the example, and return the summary and the watermark."""
    spec = importlib.util.spec_from_file_location(EXAMPLE, ROOT / "example_dags" / f"{EXAMPLE}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = AssetState()

    def run_once(limit=None, max_failure_rate=0.01):
        dag = module.example_sql_to_dub_watermark()
        ti = Xcoms()
        read, update, move = (dag.get_task(name) for name in ("read_watermarks", "update_customers", "move_watermark"))
        ti.xcoms["read_watermarks"] = watermarks = read.python_callable(asset_state_store=state)
        update.parameters = watermarks
        update.limit = limit
        update.options = replace(update.options, max_failure_rate=max_failure_rate)
        update.execute({"ti": ti})
        move.python_callable(ti=ti, asset_state_store=state)
        return ti.xcoms["summary"], state.get("synced_until")

    return run_once


def test_a_row_that_failed_transiently_is_sent_by_the_next_run(warehouse, run_once, connect) -> None:
    warehouse.insert_rows("dub_example_people", [(*person, "2026-01-01 10:00:00") for person in PEOPLE])
    with DubEmulator(faults=["transient-422=1"]) as failing:
        failing.reset(setup_customers=CUSTOMERS)
        connect(failing.url, max_retries=0)
        summary, watermark = run_once(max_failure_rate=1.0)
        port = int(failing.url.rpartition(":")[2])
    assert (summary["failed"], watermark) == (2, None)

    # Newer rows come in, with which the watermark could move past those that Dub does not have.
    warehouse.run("INSERT INTO dub_example_people VALUES ('airflow-example-ada', 'Ada', '2026-01-02 10:00:00')")
    warehouse.run("DELETE FROM dub_example_people WHERE updated_at = '2026-01-01 10:00:00' AND external_id LIKE '%ada'")
    with DubEmulator(port=port) as working:
        working.reset(setup_customers=CUSTOMERS)
        summary, watermark = run_once()
        assert (summary["updated"], watermark) == (2, "2026-01-02 10:00:00")
        names = {customer["externalId"]: customer["name"] for customer in working.customers}
        assert {key: names[key] for key, _ in PEOPLE} == dict(PEOPLE)
        summary, _ = run_once()
        assert (summary["total"], summary["plan"]["unchanged"]) == (0, 1)


def test_rows_behind_a_limit_hold_the_watermark(warehouse, run_once, connected) -> None:
    connected.reset(setup_customers=CUSTOMERS)
    warehouse.insert_rows("dub_example_people", [(*person, "2026-01-01 10:00:00") for person in PEOPLE])
    summary, watermark = run_once(limit=1)
    assert (summary["updated"], watermark) == (1, None)
    summary, watermark = run_once()
    assert (summary["updated"], watermark) == (1, "2026-01-01 10:00:00")


def test_changed_rows_behind_a_limit_hold_the_watermark(warehouse, run_once, connected, monkeypatch) -> None:
    monkeypatch.setitem(DIALECTS, "sqlite", replace(DIALECTS["sqlite"], temporary_table=""))  # as on BigQuery
    connected.reset(setup_customers=CUSTOMERS)
    warehouse.insert_rows("dub_example_people", [(*person, "2026-01-01 10:00:00") for person in PEOPLE])
    assert run_once()[1] == "2026-01-01 10:00:00"
    warehouse.run("UPDATE dub_example_people SET name = 'after', updated_at = '2026-01-02 10:00:00'")
    summary, watermark = run_once(limit=1)
    assert (summary["updated"], watermark) == (1, "2026-01-01 10:00:00")
    warehouse.run("UPDATE dub_example_people SET updated_at = '2026-01-03 10:00:00' WHERE external_id LIKE '%ada'")
    assert run_once()[1] == "2026-01-03 10:00:00"
    assert {customer["name"] for customer in connected.customers if customer["id"].startswith("cus_EX")} == {"after"}
