"""Assets, OpenLineage, links and retries on a real Airflow."""

from __future__ import annotations

import json
import sqlite3

import pytest

from airflow_provider_dub.version_compat import can_reschedule_failures
from tests.dags.planted import PLANTED
from tests.support.airflow_tables import xcoms

PAGES = {
    "dub_customers_link": "https://app.dub.co/acme/customers",
    "dub_api_log_link": "https://app.dub.co/acme/settings/logs",
}


def test_the_events_of_the_asset_count_rows_by_outcome(airflow) -> None:
    extras = [
        (task_id, map_index, _json(extra))
        for task_id, map_index, extra in _query(
            airflow, "SELECT source_task_id, source_map_index, extra FROM {event} ORDER BY source_task_id DESC, 2"
        )
    ]
    nothing = dict.fromkeys(
        ["unchanged", "superseded", "would_update", "over_limit", "rejected", "failed", "not_attempted"], 0
    )
    both = {"total": 2, "updated": 1, "missing": 1, **nothing}
    one = {"total": 1, "updated": 1, "missing": 0, **nothing}
    assert extras == [("whole", -1, both), ("mapped", 0, one), ("mapped", 1, both)]


def test_the_asset_is_the_workspaces(airflow) -> None:
    assert _query(airflow, "SELECT uri FROM {asset} WHERE uri LIKE 'dub:%'") == [("dub://lab-main/customers",)]


@pytest.mark.parametrize(("task", "rows"), [("whole", [1]), ("mapped", [1, 1])])
def test_openlineage_gets_the_dataset_and_the_number_of_rows(airflow, task, rows) -> None:
    outputs = _outputs(airflow, "COMPLETE", task)
    assert [(output["namespace"], output["name"]) for output in outputs] == [("dub://lab-main", "customers")] * len(
        rows
    )
    assert [output["outputFacets"]["outputStatistics"]["rowCount"] for output in outputs] == rows


def test_openlineage_gets_what_a_failed_task_wrote(airflow) -> None:
    (output,) = _outputs(airflow, "FAIL", "fails")
    assert output["namespace"].startswith("dub://127.0.0.1:")
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1


def test_openlineage_gets_what_a_task_wrote_through_the_hook(airflow) -> None:
    assert ("dub://lab-main", "customers") in {
        (output["namespace"], output["name"]) for output in _outputs(airflow, "COMPLETE", "hook")
    }


def test_lineage_holds_no_value_and_no_key(airflow) -> None:
    for secret in [*PLANTED, "dub_TESTKEY"]:
        assert secret not in airflow["lineage"]


@pytest.mark.parametrize(("task", "map_indexes"), [("linked", [-1]), ("linked_mapped", [0, 1])])
def test_a_task_links_to_the_pages_of_its_workspace(airflow, task, map_indexes) -> None:
    links = _links(airflow, task)
    assert links == {(index, key): address for index in map_indexes for key, address in PAGES.items()}


def test_a_task_without_a_slug_or_on_another_host_has_no_link(airflow) -> None:
    for task in ("fails", "whole", "mapped"):
        assert not any(_links(airflow, task).values())


def test_the_retry_policy_sets_the_delay_after_an_outage_and_ends_the_task_for_a_wrong_key(airflow) -> None:
    if "retry_probe" not in airflow["states"]:
        pytest.skip("needs Airflow 3.3")
    last = "SELECT task_id, max(try_number), state FROM task_instance WHERE dag_id = 'retry_probe' GROUP BY task_id"
    assert sorted(_query(airflow, last)) == [("outage", 2, "failed"), ("wrong_key", 1, "failed")]
    history = "task_instance" if can_reschedule_failures() else "task_instance_history"  # Airflow 3.4 has one table
    first = f"SELECT retry_delay_override, retry_reason FROM {history} WHERE task_id = 'outage' AND try_number = 1"
    retried = (1.0, "Dub: no_response")
    rescheduled_before = (None, "Reschedule limit reached (max_reschedules=3): Dub: no_response")
    assert _query(airflow, first) == [rescheduled_before if can_reschedule_failures() else retried]


def _query(airflow, query: str, *values: str) -> list[tuple]:
    with sqlite3.connect(airflow["database"]) as database:
        assets = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'asset_event'").fetchone()
        kind = "asset" if assets else "dataset"
        return database.execute(query.format(asset=kind, event=f"{kind}_event"), values).fetchall()


def _links(airflow, task: str) -> dict[tuple[int, str], str]:
    links = (xcom for xcom in xcoms(airflow["database"], "lineage_probe") if xcom.key in PAGES)
    return {(xcom.map_index, xcom.key): _json(xcom.value) for xcom in links if xcom.task_id == task}


def _outputs(airflow, kind: str, task: str) -> list[dict]:
    events = map(json.loads, airflow["lineage"].splitlines())
    return [
        output
        for event in events
        if (event["eventType"], event["job"]["name"]) == (kind, f"lineage_probe.{task}")
        for output in event["outputs"]
    ]


def _json(value):
    while isinstance(value, str | bytes):  # Airflow 2.11 stores bytes, Airflow 3 JSON in JSON
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value
