"""What stops or narrows a run before its first request, and arguments that come from a trigger form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError, DubReviewChangesError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import DAG, AirflowFailException, AirflowSkipException, task
from tests.support.stored import sent
from tests.support.task_instance import TaskInstance
from tests.support.update_operator import run

ROWS = [{"id": one, "name": "new"} for one in ("cus_1LABA", "cus_1LABB", "cus_1LABD")]


def rendered(**options) -> DubUpdateCustomersOperator:
    """Return an operator whose templates Airflow has rendered to these."""
    operator = DubUpdateCustomersOperator(task_id="t", customers=[], **dict.fromkeys(options, "{{ params.x }}"))
    for name, value in options.items():
        setattr(operator, "only_validate" if name == "dry_run" else name, value)
    return operator


def test_more_changes_than_allowed_stop_before_the_first_request(connected) -> None:
    message, summary = run(ROWS, max_changes=2, fails=DubReviewChangesError)
    assert "3 rows of 3 would be sent, and max_changes=2" in message
    assert summary["not_attempted"] == 3
    assert connected.requests == []


def test_as_many_changes_as_allowed_are_sent_and_rows_with_nothing_to_send_do_not_count(connected) -> None:
    _, summary = run([*ROWS, {"id": "cus_x", "name": None}], max_changes=3)
    assert (summary["updated"], summary["unchanged"]) == (3, 1)


def test_a_plan_obeys_max_changes_too(connected) -> None:
    run(ROWS, max_changes=2, dry_run=True, fails=DubReviewChangesError)


def test_an_empty_input_may_skip_the_task_or_fail_it(connected) -> None:
    assert run([])[1]["total"] == 0
    run([], on_empty="skip", fails=AirflowSkipException)
    run([], on_empty="fail", fails=DubFixRowsError)
    assert run(ROWS, on_empty="fail")[1]["updated"] == 3


def test_only_the_first_rows_are_sent_under_a_limit(connected) -> None:
    rows = [{"id": "cus_0", "name": None}, *ROWS]
    records, summary = run(rows, limit=2)
    assert [record["id"] for record in records] == ["cus_1LABA", "cus_1LABB"]
    assert (summary["updated"], summary["unchanged"], summary["over_limit"]) == (2, 1, 1)
    assert len(sent(connected)) == 2


@pytest.mark.parametrize(
    ("given", "read"),
    [
        *((one, True) for one in ("true", "True", " TRUE ", "1", 1, True)),
        *((one, False) for one in ("false", "FALSE ", "0", 0, "None", None, "", False)),
    ],
)
def test_a_flag_from_a_form_means_what_it_says(connected, given, read) -> None:
    operator = rendered(dry_run=given)
    operator.customers = ROWS
    task_instance = TaskInstance()
    operator.execute({"ti": task_instance})
    summary = task_instance.xcoms["summary"]
    assert summary["would_update" if read else "updated"] == 3


@pytest.mark.parametrize("given", ["no", "yes", "2", 2, "{{ params.x }}", [], "tru"])
def test_a_flag_that_says_neither_fails_without_retries(connected, given) -> None:
    with pytest.raises(DubFixSetupError, match="dry_run must be true or false"):
        rendered(dry_run=given).execute({"ti": None})
    assert connected.requests == []


@pytest.mark.parametrize("name", ["limit", "max_changes"])
@pytest.mark.parametrize("given", ["many", "1.5", 1.5, True, "-1", -1])
def test_a_number_that_is_none_fails_without_retries(connected, name, given) -> None:
    with pytest.raises(DubFixSetupError, match=f"{name} must be a whole number"):
        rendered(**{name: given}).execute({"ti": None})


def test_a_wrong_flag_that_is_no_template_fails_when_the_operator_is_made() -> None:
    with pytest.raises(ValueError, match="dry_run"):
        DubUpdateCustomersOperator(task_id="t", customers=[], dry_run="nope")


def test_records_cannot_be_several_outputs_which_airflow_finds_only_when_all_are_sent() -> None:
    with pytest.raises(ValueError, match="multiple_outputs"):
        DubUpdateCustomersOperator(task_id="t", customers=[], multiple_outputs=True)


def test_a_mapped_task_is_not_to_read_its_flag_from_a_task_that_it_does_not_wait_for() -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)):

        @task
        def decide() -> bool:
            return True

        with pytest.raises(ValueError, match="dry_run of a mapped task cannot be the output of a task"):
            DubUpdateCustomersOperator.partial(task_id="t", dry_run=decide())
        limit = decide()
        mapped = DubUpdateCustomersOperator.partial(task_id="u", limit=limit, dry_run="{{ params.x }}").expand(
            customers=[[]]
        )
        assert mapped.upstream_task_ids == {limit.operator.task_id}


@pytest.mark.parametrize(
    ("operator", "given"),
    [
        (DubUpdateCustomersOperator, {"on_missing": "skp"}),
        (DubUpdateCustomersOperator, {"resume": "no"}),
        (SqlToDubCustomersOperator, {"max_failure_rate": 5}),
        (SqlToDubCustomersOperator, {"on_locked": "steal"}),
        (SqlToDubCustomersOperator, {"keep_history": 30}),
    ],
)
def test_an_impossible_argument_of_a_mapped_task_is_an_error_of_the_dag(operator, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        operator.partial(task_id="t", **given)


@pytest.mark.parametrize(
    ("operator", "given"),
    [
        (DubUpdateCustomersOperator, {"customers": [], "limit": "many"}),
        (DubUpdateCustomersOperator, {"customers": [], "resume": "no"}),
        (SqlToDubCustomersOperator, {"sql": "q", "sql_conn_id": "c", "on_missing": "skp"}),
        (SqlToDubCustomersOperator, {"sql": "q", "sql_conn_id": "c", "on_duplicate": "last"}),
    ],
)
def test_an_impossible_argument_from_expand_kwargs_ends_the_instance_without_retries(operator, given) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)):
        mapped = operator.partial(task_id="t").expand_kwargs([given])
    with pytest.raises(AirflowFailException, match=[*given][-1]):
        mapped.operator_class(task_id="t", **given, _airflow_from_mapped=True)  # as Airflow makes the instance


@pytest.mark.parametrize("given", [{"rejected_path": "/data/rows.jsonl"}, {"on_missing": "skp"}, {"resume": "no"}])
def test_default_args_are_checked_for_a_mapped_task_unless_it_has_its_own(given: dict[str, Any]) -> None:
    own = {"rejected_path": "/data/{{ ti.map_index }}.jsonl", "on_missing": "skip", "resume": False}
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1), default_args=given):
        with pytest.raises(ValueError, match=next(iter(given))):
            DubUpdateCustomersOperator.partial(task_id="t")
        DubUpdateCustomersOperator.partial(task_id="u", **own).expand(customers=[[]])


def test_default_args_of_a_task_group_are_checked_for_a_mapped_task() -> None:
    task_group = pytest.importorskip("airflow.sdk").TaskGroup
    with (
        pytest.raises(ValueError, match="on_missing"),
        DAG("d", schedule=None, start_date=datetime(2026, 1, 1)),
        task_group("g", default_args={"on_missing": "skp"}),
    ):
        DubUpdateCustomersOperator.partial(task_id="t")


@pytest.mark.parametrize("name", ["rejected_path", "records_path"])
def test_the_instances_of_a_mapped_task_do_not_write_one_file(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of a mapped task must name another file"):
        DubUpdateCustomersOperator.partial(task_id="t", **{name: "/data/rows.jsonl"})
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)):
        path = "/data/rows-{{ ti.map_index }}.jsonl"
        DubUpdateCustomersOperator.partial(task_id="t", **{name: path}).expand(customers=[[]])
        DubUpdateCustomersOperator.partial(task_id="u").expand_kwargs([{"customers": [], name: "/data/rows.jsonl"}])


def test_a_plan_with_rows_that_would_be_rejected_fails_only_if_asked(connected) -> None:
    rows = [*ROWS, {"id": "cus_x", "email": "bad"}]
    _, summary = run(rows, dry_run=True)
    assert (summary["would_update"], summary["rejected"]) == (3, 1)
    run(rows, dry_run=True, max_failures=0, fails=DubFixRowsError)


def test_failures_are_grouped_by_reason_with_examples_and_the_file(connected, tmp_path, logged) -> None:
    path = tmp_path / "rejected.jsonl"
    rows = [{"id": f"cus_{n}", "email": "bad"} for n in range(40)] + [{"id": "cus_nobody", "name": "n"}]
    message, _ = run(rows, rejected_path=str(path), fails=DubFixRowsError)
    assert "40 rows (cus_0, cus_1, cus_2 and 37 more): email: is not an e-mail address" in message
    assert "1 row (cus_nobody): Dub has no such customer" in message
    assert str(path) in message
    shown = logged()
    assert shown.count("is not an e-mail address") <= 2  # Airflow 2.11 prints a line that pytest has caught, too
    assert f"The rows that were not applied are in {path}" in shown


def test_failures_within_the_limits_are_said_to_be_so(connected, logged) -> None:
    run([*ROWS, {"id": "cus_x", "email": "bad"}], max_failures=1)
    assert "1 row failed, within the limits: max_failures=1." in logged()


@pytest.mark.parametrize("broken", ["metrics", "summary", "events"])
def test_what_airflow_does_not_take_changes_no_outcome(connected, monkeypatch, logged, broken) -> None:
    def fail(*_args) -> None:
        raise RuntimeError("PLANTED")

    if broken == "summary":
        monkeypatch.setattr(TaskInstance, "xcom_push", fail)
    if broken == "metrics":
        monkeypatch.setattr("airflow_provider_dub.operators.base.Stats.incr", fail)
    if broken == "events":
        monkeypatch.setattr("airflow_provider_dub.operators.base.count_in_events", fail)
    operator = DubUpdateCustomersOperator(task_id="t", customers=ROWS)
    assert len(operator.execute({"ti": TaskInstance()})) == 3
    assert "Airflow did not take" in logged()
    bad = DubUpdateCustomersOperator(task_id="t", customers=[{"id": "cus_1LABA", "email": "bad"}])
    with pytest.raises(DubFixRowsError):
        bad.execute({"ti": TaskInstance()})
