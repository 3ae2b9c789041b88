"""What the state table remembers, and what a run makes of it."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import (
    DubFixRowsError,
    DubFixSetupError,
    DubIncompleteRowsError,
    DubRetryLaterError,
    DubReviewChangesError,
    DubUnreadableRowsError,
)
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import AirflowSkipException, BaseHook
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.query_rows import WarehouseRows
from tests.support.stored import edit, stored
from tests.support.task_instance import TaskInstance
from tests.support.watched_connection import watch_warehouse


@pytest.fixture
def warehouse(sqlite, connected):
    """user_1 and user_2 are in Dub, user_9 is not."""
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT, email TEXT, country TEXT, signed_up TEXT)")
    sqlite.insert(("user_1", "Ada", "ada@b.co", "GB", "x"), ("user_2", "Bob", "bob@b.co", "US", "x"))
    return sqlite


def requests(dub, method: str | None = None) -> int:
    return sum(method in (None, request["method"]) for request in dub.requests)


def test_without_a_state_table_every_row_is_sent(warehouse, connected, sync, logged) -> None:
    for _ in range(2):
        summary = sync(state_table=None)
        assert (summary["plan"]["new"], summary["updated"]) == (2, 2)
    assert "temporary table" not in logged()  # none is tried


def test_the_state_table_has_the_outcome_of_every_row(warehouse, connected, sync) -> None:
    warehouse.insert(("user_9", "Nobody", None, None, None), ("user_3", "n", "no e-mail", None, None))
    with pytest.raises(DubFixRowsError):
        sync()
    outcomes = warehouse.state("outcome", "code", "dub_id", "run")
    assert outcomes["user_1"] == ("updated", None, "cus_1LABA", "dag/run/sync")
    assert outcomes["user_9"][:2] == ("missing", "not_found")
    assert outcomes["user_3"][:2] == ("rejected", "rejected")
    assert warehouse.state("message")["user_3"].startswith("email: ")
    applied = warehouse.state("first_applied_at", "last_applied_at", "last_tried_at")
    assert all(applied["user_1"])
    assert applied["user_9"][:2] == (None, None)


def test_a_refused_row_is_not_sent_again_until_it_changes(warehouse, connected, sync, logged) -> None:
    warehouse.run("UPDATE customers SET name = 'x', email = 'no e-mail' WHERE user_id = 'user_1'")
    with pytest.raises(DubFixRowsError):
        sync()
    again = sync()
    assert (again["plan"]["refused"], again["total"]) == (1, 0)
    assert "Not sent again: 1 row (refused" in logged()
    assert "The table dub_state says why. retry_rejected=True sends" in logged()
    with pytest.raises(DubFixRowsError):
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
    with suppress(DubFixRowsError):
        sync(baseline=baseline)
    warehouse.run("UPDATE customers SET name = 'Countess'")
    with pytest.raises(DubFixRowsError, match="1 updated, 1 failed"):
        sync()
    assert stored(connected, id="cus_1LABA")["name"] != "Countess"


def test_a_refusal_does_not_forget_when_the_customer_was_last_applied(warehouse, connected, sync) -> None:
    sync()
    before = warehouse.state("first_applied_at", "last_applied_at")["user_1"]
    warehouse.run("UPDATE customers SET email = 'no e-mail' WHERE user_id = 'user_1'")
    with pytest.raises(DubFixRowsError):
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


def test_a_missing_customer_that_counts_as_failed_is_tried_again_as_well(warehouse, connected, sync) -> None:
    warehouse.insert(("user_9", "Nobody", None, None, None))
    with pytest.raises(DubFixRowsError, match="1 failed"):
        sync()
    assert sync()["plan"]["missing"] == 1
    with pytest.raises(DubFixRowsError, match="1 failed"):
        sync(retry_missing_after=timedelta(0))


@pytest.fixture
def retried(monkeypatch):
    """The runs of now on are later tries of the task instance."""

    def retried(**changes: object) -> None:
        for name, value in {"try_number": 2, **changes}.items():
            monkeypatch.setattr(TaskInstance, name, value)

    return retried


def test_a_retry_does_not_forget_what_failed_in_the_try_before(warehouse, connected, sync, retried, tmp_path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    warehouse.insert(("user_9", "Nobody", None, None, None), ("user_3", "n", "no e-mail", None, None))
    with pytest.raises(DubFixRowsError, match="2 updated, 1 rejected, 1 failed"):
        sync(rejected_path=str(rejected))
    first, sent = rejected.read_text(), requests(connected)
    retried()
    with pytest.raises(DubFixRowsError, match=r"1 rejected, 1 failed \(2 of them by an earlier try"):
        sync(rejected_path=str(rejected))
    assert requests(connected) == sent
    anew = dict.fromkeys(("dub_row", "dub_field", "dub_reason"))
    shown = [{**json.loads(line), **anew} for line in rejected.read_text().splitlines()]
    assert shown == [{**json.loads(line), **anew} for line in first.splitlines()]
    assert sync(on_missing="skip", max_failures=1)["missing"] == 1


def test_what_failed_in_another_run_is_in_the_plan_alone(warehouse, connected, sync, retried) -> None:
    warehouse.insert(("user_3", "n", "no e-mail", None, None))
    with pytest.raises(DubFixRowsError):
        sync()
    retried(run_id="tomorrow")
    summary = sync()
    assert (summary["plan"]["refused"], summary["total"]) == (1, 0)


def test_a_failure_that_may_pass_is_not_remembered(sqlite, connect, sync) -> None:
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Ada"))
    with DubEmulator(faults=["error=1.0"]) as dub:
        connect(dub.url, max_retries=0)
        with pytest.raises(DubRetryLaterError):
            sync()
        assert sqlite.state("outcome") == {}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_dub_at_another_address_is_not_taken_for_the_one_that_has_the_rows(
    warehouse, connected, connect, sync, dry_run: bool
) -> None:
    sync()
    with DubEmulator() as other:
        connect(other.url)
        with pytest.raises(DubFixSetupError, match="is about"):
            sync(dry_run=dry_run)
        assert other.requests == []


def test_after_a_wrong_workspace_another_state_table_is_the_way_on(sqlite, connected, connect, sync) -> None:
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Countess"), ("user_2", "Admiral"))
    connect(connected.url, workspace_slug="mistyped")
    with pytest.raises(DubFixSetupError):
        sync()
    connect(connected.url)
    with pytest.raises(ValueError, match="If it is right, give state_table another name"):
        sync()
    assert sync(state_table="dub_state_again")["updated"] == 2
    assert sqlite.state("outcome") == {}


def test_a_bug_is_no_outcome_of_a_row(warehouse, connected, sync, monkeypatch) -> None:
    sync()
    warehouse.run("UPDATE customers SET name = 'Countess'")
    with monkeypatch.context() as patch:
        patch.setattr(DubClient, "update_customer", lambda *_, **__: {}["planted"])
        with pytest.raises((DubRetryLaterError, DubFixRowsError), match="KeyError at"):
            sync()
    assert "pending" in warehouse.state("outcome").values()
    assert sync()["updated"] == 2


@pytest.mark.parametrize("baseline", [None, "dub"])
def test_a_refused_key_is_no_outcome_of_a_row(warehouse, connected, connect, sync, baseline) -> None:
    connect(connected.url, password="dub_NOBODY")
    with pytest.raises(DubFixSetupError, match="connection dub_default"):
        sync(baseline=baseline)
    assert warehouse.state("outcome") == {}


@pytest.mark.parametrize("state_table", [None, "dub_state"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_connection_that_cannot_work_is_not_retried(
    warehouse, connected, connect, sync, state_table, dry_run: bool
) -> None:
    connect(connected.url, requests_per_minute="many")
    with pytest.raises(DubFixSetupError, match="requests_per_minute"):
        sync(state_table=state_table, dry_run=dry_run)


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
    plan = sync(dry_run=True)
    assert (plan["plan"]["new"], plan["plan"]["no_key"], plan["would_update"], plan["rejected"]) == (3, 1, 2, 2)
    assert (plan["plan"]["to_send"], plan["plan"]["look_ups"]) == (3, 3)
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


def test_what_is_merged_is_not_merged_again(warehouse, connected, sync, monkeypatch) -> None:
    statements: list[str] = []
    watch_warehouse(monkeypatch, statements.append)
    for options in ({"baseline": "source"}, {}):
        statements.clear()
        sync(**options)
        merges = [one for one in statements if 'INSERT INTO "dub_state" ' in one]
        # One is the trial of two lines before each run.
        assert len(merges) == (2 if options else 1)


def test_a_baseline_is_recorded_as_the_rows_are_read(warehouse, connected, sync) -> None:
    assert sync(baseline="source", commit_every=1)["baseline"] == 2
    assert set(warehouse.state("outcome").values()) == {"baseline"}


def test_the_state_table_says_what_dub_dropped_and_what_was_left_out(warehouse, connect, sync) -> None:
    warehouse.run("UPDATE customers SET email = 'PLANTED' WHERE user_id = 'user_2'")
    with DubEmulator(ignore_fields=["country"]) as older:
        connect(older.url)
        sync(on_invalid="omit_field")
        sync(on_invalid="omit_field", columns={"name": "name", "email": "email"})
    messages = warehouse.state("message")
    assert messages["user_1"] is None
    assert messages["user_2"].startswith("Not sent: email ")
    assert "PLANTED" not in messages["user_2"]
    dropped = warehouse.run("SELECT DISTINCT message FROM dub_state_history WHERE customer_key = 'user_1'")
    assert ("Dub accepted but did not apply: country",) in dropped


def test_a_baseline_from_the_source_refuses_what_has_no_place_and_forgets_refusals(warehouse, connected, sync) -> None:
    warehouse.insert(("user_3", "n", "no e-mail", None, None), ("u" * 192, "n", None, None, None))
    with pytest.raises(DubFixRowsError, match="2 updated, 2 rejected"):
        sync()
    with pytest.raises(DubFixRowsError, match="1 row: 1 rejected"):
        sync(baseline="source")
    assert warehouse.state("outcome") == {"user_1": "updated", "user_2": "updated", "user_3": "baseline"}


def test_a_baseline_from_the_source_sends_nothing_even_if_the_source_moves(
    warehouse, connected, sync, monkeypatch
) -> None:
    in_temporary_table = Changes.in_temporary_table

    def edited_meanwhile(self):
        warehouse.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
        return in_temporary_table(self)

    monkeypatch.setattr(Changes, "in_temporary_table", edited_meanwhile)
    assert sync(baseline="source")["would_update"] == 1
    assert requests(connected) == 0


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


def test_a_first_run_is_exempt_from_the_share_also_after_its_own_baseline(warehouse, connected, sync) -> None:
    edit(connected, "user_1", name="Ada", email="ada@b.co", country="GB")
    summary = sync(baseline="dub", max_change_rate=0.1)
    assert (summary["baseline"], summary["updated"]) == (1, 1)


def test_after_a_baseline_from_dub_rows_that_differ_are_not_looked_up_again(warehouse, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": f"cus_9{n:03}", "externalId": f"u{n}", "name": "old"} for n in range(50)])
    warehouse.run("DELETE FROM customers")
    warehouse.insert(*((f"u{n}", "new", None, None, None) for n in range(50)))
    assert sync(baseline="dub")["updated"] == 50
    assert requests(connected, "PATCH") == 50
    assert requests(connected, "GET") <= 6  # pages of the list
    assert set(warehouse.state("dub_id").values()) == {f"cus_9{n:03}" for n in range(50)}


def test_a_row_that_is_rejected_keeps_the_dub_id_that_is_known(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE customers SET email = 'no e-mail' WHERE user_id = 'user_1'")
    with pytest.raises(DubFixRowsError):
        sync()
    assert warehouse.state("outcome", "dub_id")["user_1"] == ("rejected", "cus_1LABA")


def test_an_avatar_is_never_taken_for_the_same(warehouse, connected, sync) -> None:
    alice = stored(connected, id="cus_1LABA")
    warehouse.run("DELETE FROM customers", "ALTER TABLE customers ADD avatar TEXT")
    warehouse.insert(("user_1", alice["name"], None, None, None, "https://x.test/a.png"))
    assert (sync(baseline="dub")["updated"]) == 1


def test_the_order_of_the_columns_makes_no_row_differ(warehouse, connected, sync) -> None:
    warehouse.run("UPDATE customers SET email = NULL, name = NULL WHERE user_id = 'user_1'")
    clear = {"email": "clear", "name": "clear"}
    sync(sql="SELECT user_id, name, email FROM customers", null_policy=clear)
    again = sync(sql="SELECT user_id, email, name FROM customers", null_policy=clear)
    assert again["plan"]["unchanged"] == 2


@pytest.mark.parametrize("end", [";", " ; ;", "; -- the end", ";\n/* really; */ -- yes"])
def test_what_ends_the_query_is_left_out(warehouse, connected, sync, end: str) -> None:
    assert sync(sql=f"SELECT user_id, 'a;b' AS name FROM customers{end}")["updated"] == 2
    assert stored(connected, id="cus_1LABA")["name"] == "a;b"


def test_numbers_that_are_one_id_are_one_customer(sqlite, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": "cus_9", "externalId": "7", "name": "before"}])
    sqlite.run("CREATE TABLE customers (user_id, name TEXT)")
    sqlite.insert((7, "seven"), (7.0, "7.0"))
    with pytest.raises(DubFixRowsError, match="2 rejected"):
        sync()
    assert stored(connected, id="cus_9")["name"] == "before"
    sqlite.run("DELETE FROM customers WHERE name = '7.0'")
    assert sync()["updated"] == 1  # its refusal was about two rows


def test_the_state_table_may_be_in_a_schema(warehouse, connected, sync) -> None:
    assert sync(state_table="main.dub_state")["updated"] == 2
    assert sync(state_table="main.dub_state")["plan"]["unchanged"] == 2


def test_a_plan_says_when_there_is_no_state_table(warehouse, connected, sync, logged) -> None:
    assert sync(dry_run=True)["plan"]["new"] == 2
    assert "no state table dub_state yet" in logged()


def test_columns_are_found_whatever_their_case(warehouse, connected, sync) -> None:
    summary = sync(sql='SELECT user_id AS "USER_ID", name AS "NAME", email AS "eMail" FROM customers')
    assert summary["fields"] == {"name": 2, "email": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"external_id_column": "nothing"}, 'has no column "nothing"'),
        ({"columns": {"name": "nom"}}, "not a Dub field"),
        ({"on_duplicate": "last"}, "needs latest_by"),
        ({"latest_by": "name"}, "needs on_duplicate"),
        ({"baseline": "source", "state_table": None}, "state_table"),
        ({"baseline": "source", "dry_run": True}, "no dry_run"),
        ({"baseline": "dub", "full_refresh": "true"}, "exclude each other"),
        ({"state_table": " "}, "state_table is empty"),
        ({"state_table": "None"}, "state_table is empty or None"),
        ({"state_conn_id": ""}, "state_conn_id is empty or None"),
        ({"state_table": 5}, "state_table must be the name of a table"),
        ({"sql": None}, "sql must be a query"),
        ({"sql": " \n"}, "sql is empty"),
        ({"allow_untested_dialect": "False"}, "must be True or False"),
        ({"state_table": "a.b.c.d"}, "state_table must be a name"),
        ({"state_table": "a" * 45}, "at most 44 characters"),
        ({"state_table": "a%"}, "without %"),
        ({"retry_missing_after": None}, "retry_missing_after"),
        ({"retry_missing_after": timedelta.max}, "retry_missing_after"),
        ({"on_duplicate": "first"}, "on_duplicate"),
        ({"on_locked": "steal"}, "on_locked"),
        ({"state_table": "a, b"}, "state_table must be a name"),
        ({"state_table": "(select 1)"}, "state_table must be a name"),
        ({"state_table": "a b"}, "state_table must be a name"),
        ({"state_table": "a; drop table b"}, "state_table must be a name"),
        ({"commit_every": 0}, "commit_every"),
        ({"dialect": "cobol"}, "dialect"),
        ({"sql_conn_id": "dub_default"}, "is not to an SQL database"),
    ],
)
def test_an_impossible_argument_says_what_to_do(warehouse, connected, sync, options, message: str) -> None:
    with pytest.raises(Exception, match=message):
        sync(**options)
    assert requests(connected) == 0


@pytest.mark.parametrize("name", ["state_table", "state_conn_id"])
def test_a_template_that_renders_to_none_does_not_send_every_row(warehouse, connected, name) -> None:
    options = {"state_table": "dub_state", "state_conn_id": "warehouse"}
    task = SqlToDubCustomersOperator(
        task_id="sync",
        sql="SELECT * FROM customers",
        sql_conn_id="warehouse",
        external_id_column="user_id",
        **(options | {name: "{{ ti.xcom_pull('nobody') }}"}),
    )
    setattr(task, name, None)  # as a DAG with render_template_as_native_obj renders it
    with pytest.raises(DubFixSetupError, match=f"{name} is empty or None"):
        task.execute({"ti": TaskInstance()})
    assert requests(connected) == 0


def test_the_connection_is_looked_up_once_by_the_thread_of_the_task(warehouse, connected, sync, monkeypatch) -> None:
    look_up, threads = BaseHook.get_connection, []

    def counted(conn_id: str):
        if conn_id == "warehouse":
            threads.append(threading.current_thread())
        return look_up(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(counted))
    assert sync()["updated"] == 2
    assert threads == [threading.main_thread()]


@pytest.mark.slow
def test_sql_that_was_never_run_fails_before_the_first_statement_unless_it_is_allowed(
    warehouse, connected, sync, monkeypatch
) -> None:
    statements: list[str] = []
    watch_warehouse(monkeypatch, statements.append)
    with pytest.raises(DubFixSetupError, match=r"state_conn_id.*sqlite.*allow_untested_dialect=True"):
        sync(dialect="tsql")
    assert statements == []
    with pytest.raises(DubFixSetupError, match=r"sqlite3\.OperationalError"):  # SQLite is no SQL Server
        sync(dialect="tsql", allow_untested_dialect=True)
    assert statements


def test_rejected_rows_are_written_with_their_values(warehouse, connected, sync, tmp_path) -> None:
    warehouse.insert(("user_3", "n", "no e-mail", None, None), ("user_1", "twice", None, None, None))
    with pytest.raises(DubFixRowsError):
        sync(rejected_path=str(tmp_path / "rejected.jsonl"))
    written = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert sorted('"user_1"' in line for line in written) == [False, True, True]


def test_a_file_that_cannot_be_written_is_found_before_dub_and_the_database_are_asked(
    warehouse, connected, sync, tmp_path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((FileExistsError, NotADirectoryError)):
        sync(baseline="dub", rejected_path=tmp_path / "file" / "rows.jsonl")
    assert requests(connected) == 0
    with pytest.raises(Exception, match="no such table"):
        warehouse.state("outcome")


def test_no_value_reaches_a_log(warehouse, connected, sync, logged) -> None:
    warehouse.insert(("user_3", "planted-name", "planted e-mail", None, None))
    with pytest.raises(DubFixRowsError) as error:
        sync()
    assert "planted" not in logged() + str(error.value)


def test_a_run_for_which_the_database_gives_fewer_rows_than_it_counts_sends_nothing(
    warehouse, connected, sync, monkeypatch
) -> None:
    add = WarehouseRows.add
    with monkeypatch.context() as limited:  # as Snowflake does with ROWS_PER_RESULTSET
        limited.setattr(WarehouseRows, "add", lambda rows, batch: add(rows, batch[:1]))
        with pytest.raises(DubIncompleteRowsError, match="1 more rows than it gave"):
            sync()
    assert requests(connected) == 0
    assert sync()["updated"] == 2


def test_no_value_is_shown_when_the_query_fails_amid_its_rows(warehouse, connected, sync) -> None:
    with pytest.raises(DubUnreadableRowsError, match=r"sqlite3\.OperationalError") as error:
        sync(sql="SELECT user_id, CAST(x'ff706c616e746564' AS TEXT) AS name FROM customers")
    assert "planted" not in str(error.value)
    assert error.value.__suppress_context__


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_no_value_is_shown_when_the_database_reads_rows_to_know_the_columns(database, connected, sync) -> None:
    database.run("CREATE TABLE traits (user_id TEXT, trait TEXT, value TEXT)")
    database.run("INSERT INTO traits VALUES ('user_1', 'name', 'planted')")
    pivot = "PIVOT (SELECT * FROM traits WHERE CAST(value AS DATE) > '2026-01-01') ON trait USING any_value(value)"
    with pytest.raises(DubUnreadableRowsError) as error:
        sync(sql=f"SELECT * FROM ({pivot})")
    assert "planted" not in str(error.value)
    with pytest.raises(Exception, match="no_such_column"):  # what it says of the statement stays
        sync(sql="SELECT user_id, no_such_column AS name FROM traits")


def test_more_changes_than_allowed_stop_the_run_before_anything_is_sent_or_recorded(warehouse, connected, sync) -> None:
    with pytest.raises(
        DubReviewChangesError, match=r"2 rows of 2 would be sent, and max_changes=1 .* 2 rows in the query \(2 new\)"
    ):
        sync(max_changes=1)
    assert (requests(connected), warehouse.state("outcome")) == (0, {})
    assert sync.summary["plan"]["to_send"] == 2
    assert sync(max_changes=1, limit=1)["over_limit"] == 1
    assert sync(max_changes=1)["updated"] == 1


def test_an_empty_query_is_what_the_user_says(warehouse, connected, sync) -> None:
    warehouse.run("DELETE FROM customers")
    assert sync()["total"] == 0
    with pytest.raises(AirflowSkipException):
        sync(on_empty="skip")
    with pytest.raises(DubFixRowsError, match="on_empty"):
        sync(on_empty="fail")


def test_a_customer_without_external_id_does_not_end_a_baseline_from_dub(warehouse, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": "cus_1LABC", "externalId": None, "name": "n", "email": None}])
    sync(baseline="dub")
    sent = requests(connected)
    sync()
    assert requests(connected) == sent
