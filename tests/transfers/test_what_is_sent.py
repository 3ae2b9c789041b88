"""Which rows a run sends at all, and which of their fields: guards, a full refresh, and only what changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError, DubReviewChangesError
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.warehouse.changes import Changes
from tests.support.stored import edit, sent, stored
from tests.support.task_instance import TaskInstance

CREATE = "CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50), email VARCHAR(50), country VARCHAR(50))"
ADA, BOB, NOBODY = "user_1", "user_2", "user_9"


@pytest.fixture
def warehouse(sqlite):
    """user_1 and user_2 are in Dub, user_9 is not."""
    sqlite.run(CREATE)
    sqlite.insert((ADA, "Ada", "ada@b.co", "GB"), (BOB, "Bob", "bob@b.co", "US"))
    return sqlite


@pytest.fixture
def on_every_engine(database):
    """The same on each engine."""
    database.run(CREATE)
    database.insert((ADA, "Ada", "ada@b.co", "GB"), (BOB, "Bob", "bob@b.co", "US"))
    return database


def test_a_model_that_broke_stops_before_it_changes_every_customer(on_every_engine, connected, sync, logged) -> None:
    options = {"null_policy": {"name": "clear", "email": "clear"}, "max_change_rate": 0.5}
    assert sync(**options)["updated"] == 2  # a first run is exempt
    before = len(sent(connected))
    on_every_engine.run("UPDATE customers SET name = NULL, email = NULL, country = NULL")
    with pytest.raises(
        DubReviewChangesError,
        match=r"2 rows would be sent, 100.0% of the 2 in the state table.* 2 rows in the query \(2 changed\)",
    ):
        sync(**options)
    assert sync.summary["plan"]["changed"] == 2
    assert (sync.summary["total"], sync.summary["not_attempted"]) == (2, 2)
    assert len(sent(connected)) == before
    assert set(on_every_engine.state("outcome").values()) == {"updated"}
    assert sync(**options | {"max_change_rate": 1})["updated"] == 2


def test_a_share_as_high_as_allowed_is_sent(warehouse, connected, sync) -> None:
    sync()
    warehouse.run(f"UPDATE customers SET name = 'x' WHERE user_id = '{ADA}'")
    assert sync(max_change_rate="0.5")["updated"] == 1


def test_rows_whose_keys_are_all_new_are_changes_too(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE customers SET user_id = 'other_' || user_id")
    with pytest.raises(DubReviewChangesError, match="max_change_rate"):
        sync(max_change_rate=0.9)


def test_a_retry_of_a_first_run_sends_what_is_left(warehouse, connected, sync, monkeypatch) -> None:
    sync(limit=1)
    with pytest.raises(DubReviewChangesError, match=r"100\.0% of the 1 in the state table"):
        sync(max_change_rate=0.2)
    monkeypatch.setattr(TaskInstance, "try_number", 2)
    assert sync(max_change_rate=0.2)["updated"] == 1


def test_what_an_earlier_run_began_to_send_is_no_change(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE dub_state SET outcome = 'pending'")
    assert sync(max_change_rate=0.2)["updated"] == 2


def test_no_row_behind_a_limit_is_sent_without_being_pending(warehouse, connected, sync) -> None:
    sync()
    first, second = sorted((ADA, BOB))
    warehouse.run(
        f"UPDATE customers SET email = 'no e-mail' WHERE user_id = '{first}'",
        f"UPDATE customers SET name = 'x' WHERE user_id = '{second}'",
    )
    before = len(sent(connected))
    with pytest.raises(DubFixRowsError, match="1 rejected"):
        sync(limit=1)
    assert (sync.summary["over_limit"], len(sent(connected))) == (1, before)
    assert warehouse.state("outcome") == {first: "rejected", second: "updated"}
    assert sync(limit=1)["updated"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("temporary_table", [True, False])
@pytest.mark.parametrize("options", [{}, {"full_refresh": True}, {"dry_run": True}])
def test_changed_rows_behind_a_limit_are_counted_whatever_the_engine(
    warehouse, connected, sync, change_dialect, options, temporary_table
) -> None:
    if not temporary_table:
        change_dialect(temporary_table="")
    sync()
    warehouse.run("UPDATE customers SET name = 'x'")
    summary = sync(limit=1, **options)
    assert (summary["total"], summary["over_limit"]) == (2, 1)
    assert sync()["plan"]["changed"] == (2 if "dry_run" in options else 1)


def test_a_row_that_changes_when_others_are_pending_already_is_left_behind_a_limit(
    warehouse, connected, sync, change_dialect, monkeypatch
) -> None:
    change_dialect(temporary_table="")
    sync()
    first, second = sorted((ADA, BOB))
    warehouse.run(f"UPDATE customers SET name = 'x' WHERE user_id = '{second}'")
    set_pending = Changes.set_pending

    def edited_meanwhile(self: Changes, *arguments: Any) -> Any:
        statuses = set_pending(self, *arguments)
        warehouse.run(f"UPDATE customers SET name = 'y' WHERE user_id = '{first}'")
        return statuses

    with monkeypatch.context() as patch:
        patch.setattr(Changes, "set_pending", edited_meanwhile)
        summary = sync(limit=2)
    assert (summary["updated"], summary["over_limit"]) == (1, 1)
    assert sync()["updated"] == 1


def test_a_row_with_nothing_to_send_keeps_the_dub_id_that_is_known(warehouse, connected, sync) -> None:
    sync()
    known = warehouse.state("dub_id")
    warehouse.run("UPDATE customers SET name = NULL, email = NULL")
    assert sync()["unchanged"] == 2
    assert warehouse.state("dub_id") == known


def test_a_limit_limits_the_look_ups_too(warehouse, connected, sync) -> None:
    others = [{"id": f"cus_8{n:05}", "externalId": f"other_{n}", "name": "n"} for n in range(3000)]
    connected.reset(setup_customers=[{"id": "cus_9", "externalId": "a_1", "name": "n"}, *others])
    warehouse.run("DELETE FROM customers")
    warehouse.insert(*((f"a_{n}", "x", None, None) for n in range(1, 1001)))
    assert sync(limit=1)["updated"] == 1
    assert len(connected.requests) == 2  # a look-up, and the update


def test_a_limit_counts_for_the_share_that_is_sent(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE customers SET name = 'x'")
    assert sync(max_change_rate=0.5, limit=1)["updated"] == 1


def test_rows_beyond_a_limit_stay_as_they_are_for_the_next_run(on_every_engine, connected, sync) -> None:
    on_every_engine.insert(("new_1", "n", None, None), ("a_new", "n", None, None))
    sync(on_missing="skip")
    on_every_engine.run("UPDATE customers SET name = 'x'")
    on_every_engine.insert(("b_new", "n", None, None))
    sync(on_missing="skip", limit=3)  # by key: a_new, b_new, new_1
    assert [sync.summary[outcome] for outcome in ("missing", "updated")] == [3, 0]
    assert {user: on_every_engine.state("outcome")[user] for user in (ADA, BOB)} == {ADA: "updated", BOB: "updated"}
    assert sync(on_missing="skip", limit=1)["updated"] == 1
    assert on_every_engine.state("name")[ADA] == "x"
    assert on_every_engine.state("outcome", "name")[BOB] == ("updated", "Bob")
    summary = sync(on_missing="skip", limit=5)
    assert (summary["plan"]["changed"], summary["fields"]) == (1, {"name": 1})


def test_a_plan_obeys_the_share_too_and_a_full_refresh_is_no_change(warehouse, connected, sync) -> None:
    sync()
    assert sync(max_change_rate=0, full_refresh=True)["updated"] == 2
    warehouse.run("UPDATE customers SET name = 'x'")
    with pytest.raises(DubReviewChangesError):
        sync(max_change_rate=0.5, dry_run=True)


@pytest.mark.parametrize("share", [-0.1, 1.1, "20%", True, "nan", [0.1]])
def test_a_share_that_is_none_is_an_error_of_the_dag(share) -> None:
    with pytest.raises(ValueError, match="max_change_rate must be a share from 0 to 1"):
        SqlToDubCustomersOperator(task_id="t", sql="s", sql_conn_id="c", max_change_rate=share)


def test_a_share_needs_a_state_table(warehouse, connected, sync) -> None:
    with pytest.raises(DubFixSetupError, match="max_change_rate needs a state_table"):
        sync(max_change_rate=0.5, state_table=None)


def test_a_full_refresh_sends_all_rows_with_all_fields_and_keeps_the_table(on_every_engine, connected, sync) -> None:
    on_every_engine.insert((NOBODY, "Nobody", "no@b.co", "FR"), ("user_3", "n", "no e-mail", "FR"))
    with pytest.raises(DubFixRowsError):
        sync()
    applied = on_every_engine.state("first_applied_at")
    with pytest.raises(DubFixRowsError):
        sync(full_refresh="true")
    plan = sync.summary["plan"]
    assert (plan["refreshed"], plan["to_send"], plan["unchanged"]) == (4, 4, 0)
    assert sync.summary["fields"] == {"name": 2, "email": 2, "country": 2}
    assert (sync.summary["updated"], sync.summary["failed"], sync.summary["rejected"]) == (2, 1, 1)
    assert on_every_engine.state("first_applied_at") == applied
    assert on_every_engine.state("outcome") == {ADA: "updated", BOB: "updated", NOBODY: "missing", "user_3": "rejected"}
    assert sync(full_refresh=False)["plan"]["to_send"] == 0


def test_rows_refused_before_are_sent_again_where_a_form_says_so(warehouse, connected, sync) -> None:
    warehouse.run(f"UPDATE customers SET email = 'none' WHERE user_id = '{ADA}'")
    with pytest.raises(DubFixRowsError):
        sync()
    assert sync(retry_rejected="False")["plan"]["refused"] == 1
    with pytest.raises(DubFixRowsError):
        sync(retry_rejected="True")
    assert sync.summary["plan"]["retried"] == 1


@pytest.mark.parametrize("name", ["full_refresh", "retry_rejected"])
def test_a_flag_that_says_neither_is_an_error_of_the_dag(name) -> None:
    with pytest.raises(ValueError, match=f"{name} must be true or false"):
        SqlToDubCustomersOperator(task_id="t", sql="s", sql_conn_id="c", **{name: "yes"})


def test_the_plan_of_a_changed_row_names_only_the_fields_that_changed(on_every_engine, connected, sync) -> None:
    sync()
    on_every_engine.run(f"UPDATE customers SET name = 'Countess' WHERE user_id = '{ADA}'")
    assert sync(dry_run=True)["fields"] == {"name": 1}
    on_every_engine.run(f"UPDATE customers SET name = 'bob', country = 'DE' WHERE user_id = '{BOB}'")
    assert sync(dry_run=True)["fields"] == {"name": 2, "country": 1}


def test_only_the_fields_that_changed_are_sent_and_what_was_edited_in_dub_stays(
    on_every_engine, connected, sync
) -> None:
    sync()
    edit(connected, ADA, email="edited@dub.co", country="FR")
    on_every_engine.run(f"UPDATE customers SET name = 'Countess' WHERE user_id = '{ADA}'")
    assert sync()["fields"] == {"name": 1}
    customer = stored(connected, externalId=ADA)
    assert [customer[name] for name in ("name", "email", "country")] == ["Countess", "edited@dub.co", "FR"]
    assert sync(full_refresh=True)["fields"] == {"name": 2, "email": 2, "country": 2}
    assert stored(connected, externalId=ADA)["email"] == "ada@b.co"


def test_a_cell_that_is_cleared_clears_its_field_alone(on_every_engine, connected, sync) -> None:
    policy = {"name": "clear", "email": "clear"}
    on_every_engine.run(f"UPDATE customers SET email = NULL WHERE user_id = '{ADA}'")
    sync(null_policy=policy)
    edit(connected, ADA, email="edited@dub.co")
    on_every_engine.run(f"UPDATE customers SET name = NULL WHERE user_id = '{ADA}'")
    assert sync(null_policy=policy)["fields"] == {"name": 1}
    assert stored(connected, externalId=ADA)["email"] == "edited@dub.co"
    on_every_engine.run(f"UPDATE customers SET email = 'new@b.co' WHERE user_id = '{ADA}'")
    assert sync(null_policy=policy)["fields"] == {"email": 1}


def test_a_row_that_dub_did_not_take_is_sent_with_all_fields_when_it_changes(warehouse, connected, sync) -> None:
    sync()
    warehouse.run(f"UPDATE customers SET email = 'none' WHERE user_id = '{ADA}'")
    with pytest.raises(DubFixRowsError):
        sync()
    warehouse.run(f"UPDATE customers SET email = 'ok@b.co' WHERE user_id = '{ADA}'")
    assert sync()["fields"] == {"name": 1, "email": 1, "country": 1}


def test_a_row_with_an_omitted_field_is_sent_with_all_fields_when_it_changes(warehouse, connected, sync) -> None:
    warehouse.run(f"UPDATE customers SET email = 'none' WHERE user_id = '{ADA}'")
    sync(on_invalid="omit_field")
    warehouse.run(f"UPDATE customers SET country = 'DE' WHERE user_id = '{ADA}'")
    assert sync(on_invalid="omit_field")["fields"] == {"name": 1, "country": 1}


VALUES = {
    "name": st.sampled_from(["Ada", "ada", "Ada ", "", "  ", None]),
    "email": st.sampled_from(["a@b.co", "A@b.co", " a@b.co", "", None]),
    "country": st.sampled_from(["GB", "gb", "DE", None]),
}


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(*VALUES.values()), min_size=2, max_size=5),
    policy=st.sampled_from(["omit", {"name": "clear"}, {"name": "clear", "email": "clear"}]),
    blanks=st.sampled_from(["missing", "keep"]),
)
def test_after_any_changes_dub_is_as_if_every_row_were_sent_whole(warehouse, connected, sync, rows, policy, blanks):
    warehouse.run("DROP TABLE IF EXISTS dub_state", "DROP TABLE IF EXISTS dub_state_lease")
    warehouse.run("DROP TABLE IF EXISTS dub_state_history")
    options = {"null_policy": policy, "blanks": blanks, "max_failures": 1}
    for user in (ADA, BOB):
        edit(connected, user, name="n", email="n@b.co", country="FR")
    for row in rows:
        for user in (ADA, BOB):  # one by its changes, one whole
            warehouse.run(f"DELETE FROM customers WHERE user_id = '{user}'")
            warehouse.insert((user, *row))
        sync(f"SELECT * FROM customers WHERE user_id = '{ADA}'", **options)
        sync(f"SELECT * FROM customers WHERE user_id = '{BOB}'", **options, state_table=None)
    by_changes, whole = (stored(connected, externalId=user) for user in (ADA, BOB))
    assert {name: by_changes[name] for name in VALUES} == {name: whole[name] for name in VALUES}


def test_another_customer_under_the_id_gets_all_fields_by_the_next_run(warehouse, connected, sync) -> None:
    sync()
    edit(connected, ADA, externalId="gone")
    edit(connected, BOB, externalId=ADA)
    warehouse.run(f"UPDATE customers SET name = 'Countess' WHERE user_id = '{ADA}'")
    assert sync()["fields"] == {"name": 1}
    assert warehouse.state("outcome")[ADA] == "pending"
    assert sync()["fields"] == {"name": 1, "email": 1, "country": 1}
    assert stored(connected, id="cus_1LABB")["email"] == "ada@b.co"
    assert sync()["plan"]["to_send"] == 0


def test_two_rows_of_the_state_table_for_one_customer_are_refused(on_every_engine, connected, sync) -> None:
    sync()
    on_every_engine.run(f"INSERT INTO dub_state SELECT * FROM dub_state WHERE customer_key = '{ADA}'")
    on_every_engine.run("UPDATE customers SET name = 'x'")
    before = len(sent(connected))
    with pytest.raises(DubFixSetupError, match=r"more than one row for 1 of its keys.*last_tried_at"):
        sync()
    assert len(sent(connected)) == before
    assert on_every_engine.run("SELECT task FROM dub_state_lease") == [(None,)]


def test_the_plan_of_a_limited_run_is_limited(sqlite, connected, sync) -> None:
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    sqlite.insert((ADA, "Ada"), (BOB, "Bob"))
    plan = sync(limit=1, dry_run=True)["plan"]
    assert (plan["new"], plan["to_send"], plan["look_ups"]) == (2, 1, 1)


def test_a_baseline_of_the_source_has_no_limit(sqlite, connected, sync) -> None:
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    with pytest.raises(DubFixSetupError, match="excludes limit"):
        sync(baseline="source", limit=1)


def test_a_baseline_of_another_name_is_an_error_of_the_dag() -> None:
    with pytest.raises(ValueError, match="baseline must be 'source' or 'dub', not 'none at all'"):
        SqlToDubCustomersOperator(task_id="t", sql="", sql_conn_id="w", state_table="s", baseline="none at all")


@pytest.mark.parametrize("nothing", ["None", "", " none "])
def test_a_form_without_a_choice_makes_no_baseline(sqlite, connected, sync, nothing: str) -> None:
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    sqlite.insert((ADA, "Ada"))
    assert sync(baseline=nothing)["updated"] == 1
