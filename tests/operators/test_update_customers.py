"""The operator against the local Dub: every row in one outcome, the policies, and what a task returns and raises."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
import re

import pandas as pd
import pytest
import responses

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import (
    DubFixRowsError,
    DubFixSetupError,
    DubRetryLaterError,
)
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.version_compat import AirflowException, AirflowFailException, ObjectStoragePath
from tests.support.stored import sent, stored
from tests.support.update_operator import run


def test_the_updated_customers_come_back_in_input_order(connected) -> None:
    rows = pd.DataFrame({"external_id": ["user_2", "user_1"], "name": ["Robert", "Alicia"], "note": ["x", "y"]})
    records, summary = run(rows, external_id_column="external_id")
    assert [(record["id"], record["name"]) for record in records] == [("cus_1LABB", "Robert"), ("cus_1LABA", "Alicia")]
    assert summary["updated"] == summary["total"] == 2
    assert stored(connected, id="cus_1LABA")["name"] == "Alicia"


@pytest.mark.parametrize("customers", [[], (), pd.DataFrame(), pd.DataFrame({"id": []})], ids=repr)
def test_no_rows_are_a_success_that_sends_nothing(connected, customers, logged) -> None:
    records, summary = run(customers)
    assert records == []
    assert summary["total"] == 0
    assert connected.requests == []
    assert "nothing to do" in logged()


def test_one_mapping_is_one_row(connected) -> None:
    records, _ = run({"id": "cus_1LABA", "country": "de"})
    assert records[0]["country"] == "DE"


def test_no_input_at_all_says_what_to_give_and_where_it_may_come_from(connected) -> None:
    with pytest.raises(DubFixSetupError, match=r"DataFrame.*not None.*task was skipped.*return \[\]"):
        run(None)


def test_a_row_with_nothing_to_send_is_unchanged_and_costs_nothing(connected) -> None:
    records, summary = run([{"id": "cus_1LABA", "name": None}, {"id": "cus_1LABB"}])
    assert records == []
    assert summary["unchanged"] == 2
    assert connected.requests == []


def test_one_bad_row_does_not_stop_the_others(connected) -> None:
    rows = [
        {"id": "cus_1LABA", "email": "nonsense-é"},
        {"id": "cus_missing", "name": "n"},
        {"id": "cus_1LABB", "stripeCustomerId": "cus_StripeA"},
        {"id": "ext_user_2", "name": "Robert"},
    ]
    message, summary = run(rows, fails=DubFixRowsError)
    assert (summary["rejected"], summary["failed"], summary["updated"]) == (1, 2, 1)
    assert [(shown["row"], shown["key"], shown["code"]) for shown in summary["failures"]] == [
        (0, "cus_1LABA", "rejected"),
        (1, "cus_missing", "not_found"),
        (2, "cus_1LABB", "conflict"),
    ]
    assert summary["failures"][0]["field"] == "email"
    assert "cus_missing" in message
    assert "nonsense" not in message + json.dumps(summary)
    assert stored(connected, id="cus_1LABB")["name"] == "Robert"


def test_all_bad_fields_of_a_row_are_named(connected) -> None:
    _, summary = run([{"id": "cus_1LABA", "email": "bad", "country": "x1", "name": "n"}], fails=DubFixRowsError)
    (failure,) = summary["failures"]
    assert failure["field"] == "email, country"
    assert "email is not an e-mail" in failure["message"]
    assert "country is not an ISO" in failure["message"]


def test_a_bad_field_may_be_omitted_and_is_counted(connected, logged) -> None:
    rows = [{"id": "cus_1LABA", "email": "bad", "name": "Alicia"}, {"id": "cus_1LABB", "email": "bad"}]
    records, summary = run(rows, on_invalid="omit_field")
    assert [record["name"] for record in records] == ["Alicia"]
    assert (summary["updated"], summary["unchanged"]) == (1, 1)
    assert [(one["field"], one["rows"]) for one in summary["omitted_fields"]] == [("email", 2)]
    assert "The field email was left out of 2 rows" in logged()
    assert stored(connected, id="cus_1LABA")["email"] == "alice@example.com"


def test_a_missing_customer_may_be_skipped(connected) -> None:
    records, summary = run([{"id": "cus_missing", "name": "n"}], on_missing="skip")
    assert records == []
    assert (summary["missing"], summary["failed"]) == (1, 0)


def test_of_several_rows_for_a_customer_none_is_sent(connected) -> None:
    rows = [{"id": "cus_1LABA", "name": "first"}, {"id": "cus_1LABA", "name": "second"}]
    message, summary = run(rows, fails=DubFixRowsError)
    assert (summary["updated"], summary["rejected"]) == (0, 2)
    assert "names the same customer" in message
    assert ["row 1" in failure["message"] for failure in summary["failures"]] == [True, False]
    assert stored(connected, id="cus_1LABA")["name"] == "Alice"


def test_the_last_row_for_a_customer_may_win(connected) -> None:
    rows = [{"id": "cus_1LABA", "name": "first"}, {"id": "cus_1LABA", "name": "second"}]
    records, summary = run(rows, on_duplicate="last")
    assert (summary["updated"], summary["superseded"]) == (1, 1)
    assert [record["name"] for record in records] == ["second"]
    assert sent(connected) == ["cus_1LABA"]


@pytest.mark.parametrize(
    ("limits", "fails"),
    [
        ({}, True),
        ({"max_failures": 0}, True),
        ({"max_failures": 1}, True),
        ({"max_failures": 2}, False),
        ({"max_failure_rate": 0.4}, True),
        ({"max_failure_rate": 0.5}, False),
        ({"max_failure_rate": 1}, False),
        ({"max_failures": 1, "max_failure_rate": 1.0}, True),
        ({"max_failures": 2, "max_failure_rate": 0.4}, True),
    ],
    ids=str,
)
def test_the_task_fails_if_more_rows_failed_than_allowed(connected, limits, fails) -> None:
    rows = [{"id": key, "name": "n"} for key in ("cus_1LABA", "cus_1LABB", "cus_m1", "cus_m2")]
    run(rows, **limits, fails=AirflowException if fails else None)


@pytest.mark.parametrize(
    "options",
    [
        {"max_failures": -1},
        {"max_failures": 1.5},
        {"max_failures": 1.0},
        {"max_failures": True},
        {"max_failures": "1"},
        {"max_failure_rate": -0.1},
        {"max_failure_rate": 5},
        {"max_failure_rate": True},
        {"max_failure_rate": float("nan")},
        {"on_missing": "ignore"},
        {"on_duplicate": "first"},
        {"on_invalid": "clear"},
        {"max_workers": 0},
        {"max_workers": 65},
        {"max_workers": True},
        {"dry_run": "nope"},
        {"columns": {"mail": "e-post"}},
        {"columns": ["mail"]},
        {"null_policy": "keep"},
        {"id_column": ""},
        {"id_column": "id", "external_id_column": "user_id"},
        {"checkpoint_every": 0},
        {"checkpoint_every": 1.5},
        {"checkpoint_every": None},
    ],
    ids=str,
)
def test_an_impossible_argument_fails_when_the_operator_is_made_and_is_named(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        DubUpdateCustomersOperator(task_id="t", customers=[], **options)


def test_arguments_may_come_from_default_args() -> None:
    operator = DubUpdateCustomersOperator(
        task_id="t", customers=[], default_args={"external_id_column": "user_id", "dub_conn_id": "dub_eu"}
    )
    assert (operator.options.key_column, operator.dub_conn_id) == ("user_id", "dub_eu")


def test_the_arguments_are_seen_by_name_type_and_meaning() -> None:
    seen = inspect.signature(DubUpdateCustomersOperator.__init__).parameters
    for name in (field.name for field in dataclasses.fields(SyncOptions)):
        assert seen[name].default == SyncOptions.__dataclass_fields__[name].default
        assert seen[name].annotation
        assert f":param {name}: " in DubUpdateCustomersOperator.__doc__
    for name in ("customers", "resume", "checkpoint_every", "dub_conn_id", "rejected_path", "records_path"):
        assert DubUpdateCustomersOperator.__doc__.count(f":param {name}: ") == 1


@pytest.mark.parametrize("key", ["dub_nope", "dub_FREEKEY", "dub_VIEWERKEY", "dub_NOMEMBERKEY", "dub_EXPIREDKEY"])
def test_a_fatal_error_ends_the_task_at_once_and_without_retries(dub, connect, key) -> None:
    connect(dub.url, key)
    rows = [{"id": f"cus_{n}", "name": "n"} for n in range(500)]
    message, summary = run(rows, fails=DubFixSetupError)
    assert issubclass(DubFixSetupError, AirflowFailException)
    assert "dub_default" in message
    assert key not in message + json.dumps(summary)
    assert len(dub.requests) <= 16
    assert summary["failed"] + summary["not_attempted"] == 500


def test_another_web_server_ends_the_task_at_once(dub, connect, no_back_off) -> None:
    connect(f"{dub.url}/not/the/api")
    message, summary = run([{"id": f"cus_{n}", "name": "n"} for n in range(100)], fails=DubFixSetupError)
    assert "https://api.dub.co" in message
    assert summary["not_attempted"] >= 80


def test_a_connection_without_a_key_fails_without_retries(dub, connect) -> None:
    connect(dub.url, "")
    message, _ = run([{"id": "cus_1LABA", "name": "n"}], fails=DubFixSetupError)
    assert "has no API key" in message


def test_transient_failures_leave_the_task_to_airflows_retries(connect) -> None:
    with DubEmulator(faults=["error=1.0"]) as broken:
        connect(broken.url, max_retries=0)
        _, summary = run([{"id": "cus_1LABA", "name": "n"}], fails=DubRetryLaterError)
    assert not issubclass(DubRetryLaterError, AirflowFailException)
    assert summary["failures"][0]["code"] == "server_error"


@pytest.mark.slow
def test_429s_are_counted(connect) -> None:
    with DubEmulator(faults=["storm=0:2"]) as dub:
        connect(dub.url)
        run([])  # what is imported by the first run takes as long as a storm
        dub.reset()
        _, summary = run([{"id": "cus_1LABA", "name": "a"}, {"id": "cus_1LABB", "name": "b"}])
        statuses = [request["status"] for request in dub.requests]
    assert summary["rate_limited"] == statuses.count(429) > 0
    # A connection that the server closed while the client waited costs one that does not arrive.
    assert summary["requests_sent"] >= len(statuses)


def test_the_429_on_which_a_row_is_given_up_is_counted(connect, monkeypatch) -> None:
    monkeypatch.setattr("airflow_provider_dub.api.transport.RATE_LIMIT_TIMEOUT", 0.1)
    with DubEmulator(faults=["storm=0:60"]) as dub:
        connect(dub.url)
        _, summary = run([{"id": "cus_1LABA", "name": "a"}], fails=DubRetryLaterError)
        assert summary["failures"][0]["code"] == "rate_limited"
        assert summary["rate_limited"] == summary["requests_sent"] == len(dub.requests)


def test_a_field_that_dub_drops_is_counted_and_logged_once(connect, logged) -> None:
    with DubEmulator(ignore_fields=["country"]) as older:
        connect(older.url)
        _, summary = run([{"id": "cus_1LABA", "country": "DE"}, {"id": "cus_1LABB", "country": "DE"}])
    assert summary["accepted_but_not_applied"] == {"country": 2}
    assert summary["updated"] == 2
    assert "did not apply it, for 2 rows" in logged()


def test_a_dry_run_sends_nothing_and_says_what_it_would(dub, connect) -> None:
    connect(dub.url, None)
    rows = [{"id": "cus_1LABA", "name": "n"}, {"id": "cus_1LABB", "email": "bad"}, {"id": "cus_1LABD"}]
    _, summary = run(rows, dry_run=True)
    assert (summary["would_update"], summary["rejected"], summary["unchanged"]) == (1, 1, 1)
    assert summary["fields"] == {"name": 1}
    assert dub.requests == []


def test_expanded_fields_come_when_asked_for(connected) -> None:
    records, _ = run([{"id": "cus_1LABA", "name": "n"}], include_expanded_fields=True)
    assert records[0]["link"]["id"] == "link_LAB1"


def test_null_policy_clear_empties_the_field(connected) -> None:
    run([{"id": "cus_1LABA", "email": None}], null_policy={"email": "clear"})
    assert stored(connected, id="cus_1LABA")["email"] is None


def test_rejected_rows_are_written_whole_and_can_be_sent_again(connected, tmp_path) -> None:
    path = tmp_path / "new" / "rejected.jsonl"
    rows = pd.DataFrame(
        {
            "id": ["cus_1LABA", "cus_missing", "cus_1LABB"],
            "name": ["Alicia", "n", "Robert"],
            "email": ["bad", None, "bob@example.org"],
            "since": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
            "score": [1, 2, 3],
        }
    )
    run(rows, on_missing="skip", max_failures=1, rejected_path=f"file://{path}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["dub_row"], line["id"], line["score"], line["dub_outcome"], line["dub_code"]) for line in lines] == [
        (0, "cus_1LABA", 1, "rejected", "rejected"),
        (1, "cus_missing", 2, "missing", "not_found"),
    ]
    assert lines[0]["since"] == "2026-01-01T00:00:00"
    assert lines[1]["email"] is None
    again = [{**line, "email": "alicia@example.org"} for line in lines]
    _, summary = run(again, on_missing="skip")
    assert (summary["updated"], summary["missing"]) == (1, 1)


def test_the_file_of_rejected_rows_is_emptied_by_a_clean_run(connected, tmp_path) -> None:
    path = tmp_path / "rejected.jsonl"
    path.write_text("old\n")
    run([{"id": "cus_1LABA", "name": "n"}], rejected_path=str(path))
    assert path.read_text() == ""


@pytest.mark.parametrize("cell", ["\ud800", [[]], {"a": {1, 2}}, float("inf"), {(1, 2): 3}])
def test_any_cell_can_be_written_to_the_rejected_rows(connected, tmp_path, cell) -> None:
    path = tmp_path / "rejected.jsonl"
    run([{"id": "cus_missing", "name": "n", "other": cell}], on_missing="skip", rejected_path=str(path))
    assert json.loads(path.read_text())["id"] == "cus_missing"


def test_records_may_go_to_a_file_instead_of_xcom(connected, tmp_path) -> None:
    path = tmp_path / "records.jsonl"
    uri, _ = run([{"id": "cus_1LABA", "name": "Alicia"}], records_path=f"file://{path}")
    assert uri == f"file://{path}"
    assert json.loads(path.read_text())["name"] == "Alicia"


def test_neither_values_nor_the_key_are_logged(connected, logged) -> None:
    planted = {
        "name": "PLANTED-name",
        "email": "planted@example.com",
        "country": "de",
        "stripe_customer_id": "PLANTED-id",
    }
    rows = [
        {"id": "cus_1LABA", **planted},
        {"id": "cus_missing", **planted},
        {"id": "cus_1LABB", **planted},
        {"id": "cus_1LABD", **planted, "email": "PLANTED bad"},
    ]
    message, summary = run(rows, fails=AirflowException)
    shown = logged() + message + json.dumps(summary)
    assert "PLANTED" not in shown
    assert "planted@" not in shown
    assert "dub_TESTKEY" not in shown


def test_outcomes_are_counted_as_airflow_metrics(connected, monkeypatch) -> None:
    counted = {}
    monkeypatch.setattr(
        "airflow_provider_dub.operators.base.Stats.incr", lambda name, count: counted.update({name: count})
    )
    run([{"id": "cus_1LABA", "name": "n"}, {"id": "cus_missing", "name": "n"}, {"id": "cus_1LABB"}], on_missing="skip")
    assert counted == {"dub.customers.updated": 1, "dub.customers.missing": 1, "dub.customers.unchanged": 1}


def test_two_files_are_two_paths(connected, tmp_path) -> None:
    with pytest.raises(DubFixSetupError, match="two files"):
        run([{"id": "cus_1LABA"}], rejected_path=str(tmp_path / "x"), records_path=str(tmp_path / "x"))


def test_one_file_in_two_spellings_is_one_file(connected, tmp_path) -> None:
    paths = {"rejected_path": str(tmp_path / "x"), "records_path": f"file://{tmp_path}/y/../x"}
    with pytest.raises(DubFixSetupError, match="two files"):
        run([{"id": "cus_1LABA"}], **paths)


def test_a_file_of_rejected_rows_can_be_sent_again_by_its_name(connected, tmp_path) -> None:
    path = tmp_path / "rejected.jsonl"
    run(
        [{"id": "cus_1LABA", "email": "bad"}, {"id": "cus_1LABB", "name": "Bo"}],
        rejected_path=str(path),
        max_failures=1,
    )
    path.write_text(path.read_text().replace('"bad"', '"good@example.com"'))
    for name in (str(path), f"file://{path}", ObjectStoragePath(f"file://{path}")):
        records, _ = run(name)
        assert [record["email"] for record in records] == ["good@example.com"]


@pytest.mark.parametrize("option", ["rejected_path", "records_path"])
def test_the_file_that_is_read_is_not_written(connected, tmp_path, option) -> None:
    path = tmp_path / "customers.jsonl"
    path.write_text('{"id": "cus_1LABA", "name": "n"}\n')
    with pytest.raises(DubFixSetupError, match=f"{option} must not be the file of customers"):
        run(str(path), **{option: f"file://{path}"})
    assert path.read_text()


def test_a_file_that_is_not_there_fails_without_retries(connected, tmp_path) -> None:
    with pytest.raises(DubFixSetupError, match=r"nothing\.csv"):
        run(str(tmp_path / "nothing.csv"))


def test_a_dry_run_leaves_the_records_of_the_last_run_alone(connected, tmp_path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("old\n")
    assert run([{"id": "cus_1LABA", "name": "n"}], dry_run=True, records_path=str(path))[0] == []
    assert path.read_text() == "old\n"


def test_a_column_that_looks_like_data_is_not_named(connected, logged) -> None:
    with pytest.raises(ValueError, match="not shown") as refused:
        run([{"ada@secret.example": 1}])
    run([{"id": "cus_1LABA", "name": "n", "ada@secret.example": 1}])
    assert "secret" not in str(refused.value) + logged()


def test_a_line_break_in_an_id_starts_no_log_line(connected, logged) -> None:
    message, _ = run([{"id": "ext_a\nFORGED", "name": "n"}], fails=DubFixRowsError)
    assert "\nFORGED" not in message + logged()


@responses.activate
def test_a_foreign_page_in_mid_run_ends_it_and_leaves_it_to_airflows_retries(connect) -> None:
    def wall(request) -> tuple[int, dict, str]:
        if len(responses.calls) < 20:
            return 200, {}, json.dumps({"id": request.url.rpartition("/")[2], "externalId": "e", "name": "n"})
        return 403, {}, "<html>Who are you?</html>"

    responses.add_callback("PATCH", re.compile("https://api.dub.co/customers/.*"), wall)
    connect("https://api.dub.co")
    rows = [{"id": "cus_1LABA", "name": "n"}] + [{"id": f"cus_{n}", "name": "n"} for n in range(500)]
    _, summary = run(rows, fails=DubRetryLaterError)
    assert summary["not_attempted"] > 400


@pytest.mark.parametrize("to_file", [False, True])
def test_what_comes_back_with_nul_is_replaced_and_said_so(connected, tmp_path, logged, to_file) -> None:
    connected.reset(setup_customers=[{"id": "cus_N", "externalId": "n", "name": "n", "email": None, "country": "a\0b"}])
    path = tmp_path / "records.jsonl"
    returned, _ = run([{"id": "cus_N", "name": "new"}], **({"records_path": str(path)} if to_file else {}))
    (record,) = [json.loads(path.read_text())] if to_file else returned
    assert "\0" not in record["country"]
    assert "1 customer came back with characters" in logged()


def test_nul_in_a_key_or_a_value_is_rejected_before_it_is_sent(connected) -> None:
    rows = [{"key": "a\0b", "name": "n"}, {"key": "user_1", "name": "n\0"}]
    _, summary = run(rows, external_id_column="key", check_external_ids=False, max_failures=2)
    assert summary["rejected"] == 2
    assert connected.requests == []
    assert "\\u0000" not in json.dumps(summary)


@pytest.mark.parametrize("one_first", [True, False])
def test_one_row_and_whole_inputs_may_stand_in_one_list_in_any_order(connected, one_first: bool) -> None:
    one, several = {"id": "cus_1LABA", "name": "Alicia"}, [{"id": "cus_1LABB", "name": "Robert"}]
    _, summary = run([one, several] if one_first else [several, one])
    assert (summary["total"], summary["updated"]) == (2, 2)
    frame = pd.DataFrame(several)
    _, summary = run([one, frame] if one_first else [frame, one])
    assert (summary["total"], summary["unchanged"] + summary["updated"]) == (2, 2)


def test_a_flag_that_is_no_bool_is_an_error_of_the_dag() -> None:
    with pytest.raises(ValueError, match="resume must be True or False"):
        DubUpdateCustomersOperator(task_id="update", customers=[], resume="False")  # type: ignore[arg-type]


def test_an_operator_can_be_pickled() -> None:
    operator = DubUpdateCustomersOperator(task_id="update", customers=[{"id": "cus_1LABA"}])
    assert pickle.loads(pickle.dumps(operator)).task_id == "update"  # noqa: S301 - it is ours


@pytest.mark.parametrize(
    ("rows", "requests"),
    [
        ([{"id": f"ext_u{n}", "email": "no e-mail"} for n in range(40)], 0),
        ([{"id": f"ext_u{n}", "email": None} for n in range(40)], 0),
        ([{"id": f"ext_u{n % 2}", "email": "ada@example.com"} for n in range(40)], 0),
        ([{"id": f"ext_u{n}", "email": None if n else "ada@example.com"} for n in range(40)], 2),
    ],
    ids=["refused", "nothing to send", "duplicates", "one to send"],
)
def test_ids_are_not_listed_for_rows_that_are_not_sent(connected, rows, requests) -> None:
    connected.reset(setup_customers=[{"id": f"cus_9{n:02}", "externalId": f"u{n}"} for n in range(40)])
    _, summary = run(rows, max_failures=40)
    assert summary["requests_sent"] == len(connected.requests) == requests
