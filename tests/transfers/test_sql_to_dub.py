"""What the state table remembers, and what a run makes of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import (
    DubCustomersNotUpdatedError,
    DubCustomersRefusedError,
    DubStateTableClaimedError,
    DubSyncImpossibleError,
)
from tests.conftest import stored


@pytest.fixture
def warehouse(sqlite, connected):
    """user_1 and user_2 are in Dub, user_9 is not."""
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT, email TEXT, country TEXT, signed_up TEXT)")
    sqlite.insert(("user_1", "Ada", "ada@b.co", "GB", "x"), ("user_2", "Bob", "bob@b.co", "US", "x"))
    return sqlite


def requests(dub) -> int:
    return len(dub.requests)


def test_without_a_state_table_every_row_is_sent(warehouse, connected, sync) -> None:
    for _ in range(2):
        summary = sync(state_table=None)
        assert (summary["plan"]["new"], summary["updated"]) == (2, 2)


def test_the_state_table_tells_the_fate_of_every_row(warehouse, connected, sync) -> None:
    warehouse.insert(("user_9", "Nobody", None, None, None), ("user_3", "n", "no e-mail", None, None))
    with pytest.raises(DubCustomersRefusedError):
        sync()
    fates = warehouse.state("outcome", "code", "dub_id", "run")
    assert fates["user_1"] == ("updated", None, "cus_1LABA", "dag/run/sync")
    assert fates["user_9"][:2] == ("failed", "not_found")
    assert fates["user_3"][:2] == ("rejected", "rejected")
    assert "e-mail" in warehouse.state("message")["user_3"]
    applied = warehouse.state("first_applied_at", "last_applied_at", "last_tried_at")
    assert all(applied["user_1"])
    assert applied["user_9"][:2] == (None, None)


def test_a_refused_row_is_not_sent_again_until_it_changes(warehouse, connected, sync, logged) -> None:
    warehouse.run("UPDATE customers SET name = 'x', email = 'no e-mail' WHERE user_id = 'user_1'")
    with pytest.raises(DubCustomersRefusedError):
        sync()
    again = sync()
    assert (again["plan"]["refused"], again["total"]) == (1, 0)
    assert "1 rows are as they were when Dub refused them" in logged()
    with pytest.raises(DubCustomersRefusedError):
        sync(retry_rejected=True)
    warehouse.run("UPDATE customers SET email = 'ada@b.co' WHERE user_id = 'user_1'")
    assert sync()["updated"] == 1
    assert warehouse.state("outcome")["user_1"] == "updated"


@pytest.mark.parametrize("ids", [{"external_id_column": "user_id"}, {"external_id_column": None, "id_column": "ext"}])
def test_a_customer_that_dub_has_shown_before_costs_one_request(warehouse, connected, sync, ids) -> None:
    sql = "SELECT *, 'ext_' || user_id AS ext FROM customers"
    sync(sql, **ids)
    warehouse.run("UPDATE customers SET name = 'Countess'")
    sent = requests(connected)
    assert sync(sql, **ids)["updated"] == 2
    assert [request["method"] for request in connected.requests[sent:]] == ["PATCH", "PATCH"]


@pytest.mark.parametrize("baseline", ["source", "dub", None])
def test_a_customer_that_dub_has_not_shown_is_looked_up(warehouse, connected, sync, baseline) -> None:
    warehouse.run("UPDATE customers SET user_id = 'USER_1' WHERE user_id = 'user_1'")
    with suppress(DubCustomersRefusedError):
        sync(baseline=baseline)
    warehouse.run("UPDATE customers SET name = 'Countess'")
    with pytest.raises(DubCustomersRefusedError, match="1 updated, 1 failed"):
        sync()
    assert stored(connected, id="cus_1LABA")["name"] != "Countess"


def test_a_refusal_does_not_forget_when_the_customer_was_last_applied(warehouse, connected, sync) -> None:
    sync()
    before = warehouse.state("first_applied_at", "last_applied_at")["user_1"]
    warehouse.run("UPDATE customers SET email = 'no e-mail' WHERE user_id = 'user_1'")
    with pytest.raises(DubCustomersRefusedError):
        sync()
    assert warehouse.state("first_applied_at", "last_applied_at")["user_1"] == before


def test_a_missing_customer_is_tried_again_after_a_while(warehouse, connected, sync) -> None:
    warehouse.insert(("user_9", "Nobody", None, None, None))
    assert sync(on_missing="skip")["missing"] == 1
    sent = requests(connected)
    assert sync(on_missing="skip")["plan"]["missing"] == 1
    assert requests(connected) == sent
    later = sync(on_missing="skip", retry_missing_after=timedelta(0))
    assert (later["plan"]["retried"], later["missing"]) == (1, 1)


def test_a_failure_that_may_pass_is_not_remembered(sqlite, connect, sync) -> None:
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Ada"))
    with DubEmulator(faults=["error=1.0"]) as dub:
        connect(dub.url, max_retries=0)
        with pytest.raises(DubCustomersNotUpdatedError):
            sync()
        assert sqlite.state("outcome") == {}
    # A Dub at another address must not be taken for one that has these rows.
    with DubEmulator() as other:
        connect(other.url)
        with pytest.raises(ValueError, match="is about"):
            sync()


def test_a_refused_key_is_no_fate_of_a_row(warehouse, connected, connect, sync) -> None:
    connect(connected.url, password="dub_NOBODY")
    with pytest.raises(DubSyncImpossibleError):
        sync()
    assert warehouse.state("outcome") == {}


def test_another_field_makes_the_rows_differ_that_have_a_value_there(warehouse, connected, sync) -> None:
    warehouse.run("UPDATE customers SET country = NULL WHERE user_id = 'user_2'")
    sync(columns={"name": "name"})
    assert sync(columns={"name": "name", "country": "country"})["plan"]["changed"] == 1


def test_another_null_policy_makes_the_rows_differ_that_have_an_empty_cell(warehouse, connected, sync) -> None:
    warehouse.run("UPDATE customers SET email = NULL WHERE user_id = 'user_2'")
    sync()
    summary = sync(null_policy={"email": "clear"})
    assert (summary["plan"]["changed"], summary["updated"]) == (1, 1)
    assert stored(connected, id="cus_1LABB")["email"] is None
    assert sync(null_policy={"email": "clear"})["plan"]["to_send"] == 0


def test_a_plan_writes_and_sends_nothing(warehouse, connected, sync) -> None:
    warehouse.insert(("user_3", "n", "no e-mail", None, None), (None, "n", None, None, None))
    with pytest.raises(DubCustomersRefusedError):
        sync(dry_run=True)
    plan = sync.summary
    assert (plan["plan"]["new"], plan["plan"]["no_key"], plan["would_update"], plan["rejected"]) == (3, 1, 2, 2)
    assert plan["plan"]["minutes_at_limit"] == {"1200": 0.0, "3000": 0.0}
    assert requests(connected) == 0
    assert warehouse.run("SELECT name FROM sqlite_master WHERE name LIKE 'dub_%'") == []


def test_a_plan_is_what_the_run_then_does(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    plan = sync(dry_run=True)
    run = sync()
    assert plan["plan"] == run["plan"]
    assert plan["would_update"] == run["updated"] == 1


def test_a_baseline_from_the_source_sends_nothing(warehouse, connected, sync) -> None:
    assert sync(baseline="source")["baseline"] == 2
    assert requests(connected) == 0
    assert set(warehouse.state("outcome").values()) == {"baseline"}
    warehouse.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    assert sync()["updated"] == 1


def test_a_baseline_from_dub_sends_only_what_differs_there(warehouse, connected, sync) -> None:
    alice = stored(connected, id="cus_1LABA")
    warehouse.run("DELETE FROM customers")
    warehouse.insert(("user_1", alice["name"], alice["email"], None, None), ("user_2", "Robert", None, None, None))
    summary = sync(baseline="dub")
    assert (summary["baseline"], summary["updated"]) == (1, 1)
    assert warehouse.state("outcome", "dub_id") == {
        "user_1": ("baseline", "cus_1LABA"),
        "user_2": ("updated", "cus_1LABB"),
    }


def test_an_avatar_is_never_taken_for_the_same(warehouse, connected, sync) -> None:
    alice = stored(connected, id="cus_1LABA")
    warehouse.run("DELETE FROM customers", "ALTER TABLE customers ADD avatar TEXT")
    warehouse.insert(("user_1", alice["name"], None, None, None, "https://x.test/a.png"))
    assert (sync(baseline="dub")["updated"]) == 1


def test_two_runs_never_work_with_one_state_table_at_once(warehouse, connected, sync, monkeypatch) -> None:
    from airflow_provider_dub.hooks.dub import DubHook
    from tests.transfers.conftest import TaskInstance

    original = DubHook.update_customers

    def meanwhile(self, *args, **options):
        monkeypatch.setattr(DubHook, "update_customers", original)
        monkeypatch.setattr(TaskInstance, "run_id", "another")
        with pytest.raises(DubStateTableClaimedError, match="dag/run/sync"):
            sync()
        monkeypatch.setattr(TaskInstance, "run_id", "run")
        return original(self, *args, **options)

    monkeypatch.setattr(DubHook, "update_customers", meanwhile)
    assert sync()["updated"] == 2
    monkeypatch.setattr(TaskInstance, "run_id", "another")
    assert sync()["plan"]["unchanged"] == 2  # the claim ended with the run


def test_the_claim_of_a_run_that_crashed_expires(warehouse, connected, sync, monkeypatch) -> None:

    sync()
    warehouse.run("UPDATE dub_state_claim SET task = 'crashed', holder = 'h', expires_at = 99999999999")
    with pytest.raises(DubStateTableClaimedError, match="in the hands of crashed"):
        sync()
    warehouse.run("UPDATE dub_state_claim SET expires_at = 1")
    assert sync()["plan"]["unchanged"] == 2


def test_a_run_that_was_not_heard_of_writes_nothing_more(warehouse, connected, sync, monkeypatch) -> None:
    from airflow_provider_dub.hooks.dub import DubHook

    original = DubHook.update_customers

    def overtaken_meanwhile(self, *args, **options):
        monkeypatch.setattr(DubHook, "update_customers", original)
        warehouse.run("UPDATE dub_state_claim SET expires_at = 1")
        assert sync()["updated"] == 2
        return original(self, *args, **options)

    monkeypatch.setattr(DubHook, "update_customers", overtaken_meanwhile)
    with pytest.raises(DubStateTableClaimedError, match="taken over"):
        sync()
    assert warehouse.state("outcome") == {"user_1": "updated", "user_2": "updated"}


def test_a_run_shows_signs_of_life_while_no_answer_comes(sqlite, connect, sync, monkeypatch) -> None:
    from airflow_provider_dub.warehouse import claim

    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Ada"))
    monkeypatch.setattr(claim, "RENEWAL", 0)
    renewals = []
    monkeypatch.setattr(claim.Claim, "verify", lambda self, cursor: renewals.append(1))
    with DubEmulator(latency_ms=800) as dub:
        connect(dub.url)
        sync()
    assert len(renewals) > 3


def test_a_later_try_waits_until_the_earlier_one_is_surely_over(
    warehouse, connected, sync, monkeypatch, logged
) -> None:
    from airflow_provider_dub.warehouse import claim

    sync()
    warehouse.run("UPDATE dub_state_claim SET task = 'dag/run/sync', holder = 'h', expires_at = 99999999999")
    monkeypatch.setattr(claim.time, "sleep", lambda _: warehouse.run("UPDATE dub_state_claim SET expires_at = 1"))
    assert sync()["plan"]["unchanged"] == 2
    assert "waiting for it to end" in logged()


def test_a_waiting_run_begins_when_the_other_ends(warehouse, connected, sync, monkeypatch) -> None:
    from airflow_provider_dub.warehouse import claim

    sync()
    warehouse.run("UPDATE dub_state_claim SET task = 'another', holder = 'h', expires_at = 99999999999")
    monkeypatch.setattr(
        claim.time, "sleep", lambda _: warehouse.run("UPDATE dub_state_claim SET task = NULL, expires_at = 0")
    )
    assert sync(on_claimed="wait")["plan"]["unchanged"] == 2


def test_columns_are_found_whatever_their_case(warehouse, connected, sync) -> None:
    summary = sync(sql='SELECT user_id AS "USER_ID", name AS "NAME", email AS "eMail" FROM customers')
    assert summary["fields"] == {"name": 2, "email": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"external_id_column": "nothing"}, 'has 0 columns "nothing"'),
        ({"columns": {"name": "nom"}}, "no Dub field"),
        ({"on_duplicate": "last"}, "latest_by"),
        ({"baseline": "everything"}, "baseline"),
        ({"baseline": "source", "state_table": None}, "state_table"),
        ({"on_claimed": "steal"}, "on_claimed"),
        ({"batch_size": 0}, "batch_size"),
        ({"dialect": "cobol"}, "dialect"),
        ({"sql_conn_id": "dub_default"}, "no"),
    ],
)
def test_an_impossible_argument_says_what_to_do(warehouse, connected, sync, options, message: str) -> None:
    with pytest.raises(Exception, match=message):
        sync(**options)
    assert requests(connected) == 0


def test_rejected_rows_are_written_with_their_values(warehouse, connected, sync, tmp_path) -> None:
    warehouse.insert(("user_3", "n", "no e-mail", None, None), ("user_1", "twice", None, None, None))
    with pytest.raises(DubCustomersRefusedError):
        sync(rejected_path=str(tmp_path / "rejected.jsonl"))
    written = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert sorted('"user_1"' in line for line in written) == [False, True, True]


def test_no_value_reaches_a_log(warehouse, connected, sync, logged) -> None:
    warehouse.insert(("user_3", "planted-name", "planted e-mail", None, None))
    with pytest.raises(DubCustomersRefusedError) as error:
        sync()
    assert "planted" not in logged() + str(error.value)
