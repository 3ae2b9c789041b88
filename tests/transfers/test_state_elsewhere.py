"""With its state elsewhere a transfer needs nothing of the query's database but the right to SELECT."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from datetime import timedelta

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError, DubReviewChangesError
from airflow_provider_dub.version_compat import BaseHook
from tests.support.hostile import HOSTILE, HOSTILE_IN_DUB
from tests.support.stored import sent, stored
from tests.transfers import sources

pytestmark = pytest.mark.engines

SOURCES = {
    "sqlite": sources.ReadOnlySQLite,
    "duckdb": sources.ReadOnlyDuckDB,
    "made_up": sources.MadeUp,
    "clickhouse": sources.ClickHouse,
    "postgres": sources.ReadOnlyPostgres,
}


def opened(kind: str, request, tmp_path, monkeypatch) -> sources.Source:
    """Return a database of a kind, behind the Airflow connection ``source``."""
    place = request.getfixturevalue("postgres_socket") if kind == "postgres" else tmp_path / "source"
    source = SOURCES[kind](place)
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", source.connection)
    connection_class = type(BaseHook.get_connection("source"))  # Airflow has several
    get_hook = sources.get_hook_of_any_type(connection_class.get_hook)
    monkeypatch.setattr(connection_class, "get_hook", get_hook)
    return source


@pytest.fixture(params=SOURCES)
def source(request, tmp_path, monkeypatch) -> sources.Source:
    """A database of each kind that can only be read."""
    return opened(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def made_up(request, tmp_path, monkeypatch) -> sources.Source:
    """A database with a driver that knows the least."""
    return opened("made_up", request, tmp_path, monkeypatch)


@pytest.fixture
def known(connected):
    """Dub knows the hostile customers, and c_1 to c_3."""
    others = [{"id": f"cus_8{n}", "externalId": f"c_{n}", "name": "before", "email": None} for n in (1, 2, 3)]
    connected.reset(setup_customers=HOSTILE_IN_DUB + others)
    return connected


@pytest.fixture
def elsewhere(sync):
    """Run the operator with its state in the database of the test."""

    def elsewhere(**options):
        sql = options.pop("sql", "SELECT * FROM customers")
        return sync(sql, **({"sql_conn_id": "source", "state_conn_id": "warehouse"} | options))

    return elsewhere


def staged(database) -> int:
    return database.run("SELECT COUNT(*) FROM dub_state_staging")[0][0]


@pytest.fixture
def customers(source):
    """c_1 to c_3 with a name, an e-mail address, a time and a number each."""
    source.run(
        f"CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), email VARCHAR(200), "
        f"canceled {source.timestamp}, stamp INTEGER)"
    )
    source.insert(
        ("c_1", "Ada", "ada@b.co", "2026-03-01 12:30:15", 1),
        ("c_2", "Bob", None, None, 1),
        ("c_3", "Cyd", "cyd@b.co", None, 1),
    )
    return source


COLUMNS = {"name": "name", "email": "email", "canceled": "subscriptionCanceledAt"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_source_that_can_be_read_is_enough(customers, database, known, elsewhere) -> None:
    planned = elsewhere(columns=COLUMNS, dry_run=True)
    assert (planned["plan"]["new"], len(sent(known))) == (3, 0)
    assert elsewhere(columns=COLUMNS)["updated"] == 3
    assert stored(known, id="cus_81")["subscriptionCanceledAt"] == "2026-03-01T12:30:15.000Z"
    for _ in range(2):
        before = len(known.requests)
        assert elsewhere(columns=COLUMNS)["plan"]["unchanged"] == 3
        assert len(known.requests) == before
    customers.run("DELETE FROM customers WHERE user_id = 'c_1'")
    customers.insert(("c_1", "Countess", "ada@b.co", "2026-03-01 12:30:15", 1))
    assert elsewhere(columns=COLUMNS, dry_run=True)["plan"]["changed"] == 1
    before = len(sent(known))
    assert elsewhere(columns=COLUMNS)["plan"]["changed"] == 1
    assert sent(known)[before:] == ["ext_c_1"]
    assert stored(known, id="cus_81")["name"] == "Countess"
    assert elsewhere(columns=COLUMNS)["plan"]["to_send"] == 0
    assert staged(database) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("without_end", ["infinity", "-infinity"])
def test_a_timestamp_without_end_is_rejected_also_where_its_driver_knows_none(
    database, known, elsewhere, request, tmp_path, monkeypatch, column: str, without_end: str
) -> None:
    source = opened("duckdb", request, tmp_path, monkeypatch)
    source.run(f"CREATE TABLE customers (user_id VARCHAR(200), canceled {column})")
    source.insert(("c_1", without_end))
    with pytest.raises(DubFixRowsError, match="1 rejected"):
        elsewhere(columns={"canceled": "subscriptionCanceledAt"})
    assert not sent(known)


@pytest.fixture
def run(made_up, database, known, elsewhere):
    """Run the operator with names and e-mail addresses of the made-up source, which has a table for them."""
    made_up.run("CREATE TABLE customers (user_id, name, email, stamp)")
    return lambda **options: elsewhere(columns={"name": "name", "email": "email"}, **options)


def test_hostile_values_arrive_and_a_second_run_sends_nothing(made_up, database, known, elsewhere) -> None:
    made_up.run("CREATE TABLE customers (user_id, name)")
    made_up.insert(*HOSTILE.items())
    first = elsewhere()
    assert (first["updated"], first["unchanged"]) == (8, 1)
    for n, name in enumerate(HOSTILE.values()):
        assert stored(known, id=f"cus_9{n}")["name"] == (name or "before")
    before = len(known.requests)
    assert elsewhere()["plan"]["unchanged"] == 9
    assert len(known.requests) == before


def test_text_that_databases_refuse_is_that_rows_failure_alone(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1))
    made_up.run("INSERT INTO customers VALUES ('c_2', 'B' || char(0) || 'b', NULL, 1)")
    with pytest.raises(DubFixRowsError, match="1 updated, 1 rejected"):
        run()
    plan = run()["plan"]
    assert (plan["unchanged"], plan["refused"]) == (1, 1)


def test_an_id_that_is_too_long_is_that_rows_failure_alone(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1), ("x" * 300, "Bob", None, 1))
    with pytest.raises(DubFixRowsError, match="1 updated, 1 rejected"):
        run()
    assert run(max_failures=1)["plan"]["unchanged"] == 1


def test_blanks_of_every_kind_around_an_id_do_not_count_if_the_user_says_so(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1))
    assert run(strip=True)["updated"] == 1
    made_up.insert(("c_1\u200b", "Mallory", None, 1))
    with pytest.raises(DubFixRowsError, match="2 rejected"):
        run(strip=True)
    assert stored(known, id="cus_81")["name"] == "Ada"


@pytest.mark.parametrize(("before", "after"), [("Ada", "ADA"), ("Ada", "Ada "), ("Ada", "Adá"), ("Ada", ""), ("1", 1)])
def test_the_smallest_change_is_one(run, made_up, database, known, before, after) -> None:
    made_up.insert(("c_1", before, None, 1), ("c_2", "b", None, 1))
    run()
    made_up.run("DELETE FROM customers WHERE user_id = 'c_1'")
    made_up.insert(("c_1", after, None, 1))
    assert run(dry_run=True)["plan"]["changed"] == (before != str(after))


def test_refused_and_missing_rows_are_left_until_they_change(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", "no e-mail", 1), ("nobody", "No", None, 1), ("c_2", "Bob", None, 1))
    with pytest.raises(DubFixRowsError):
        run()
    before = len(known.requests)
    plan = run()["plan"]
    assert (plan["refused"], plan["missing"], plan["unchanged"]) == (1, 1, 1)
    assert len(known.requests) == before
    later = run(on_missing="skip", retry_missing_after=timedelta(0))
    assert (later["plan"]["retried"], later["missing"]) == (1, 1)
    made_up.run("UPDATE customers SET email = 'ada@b.co' WHERE user_id = 'c_1'")
    assert run()["updated"] == 1


@pytest.mark.parametrize("baseline", ["source", "dub"])
def test_baselines_record_without_sending(run, made_up, database, known, baseline: str) -> None:
    made_up.insert(("c_1", "before", None, 1), ("c_2", "Bob", None, 1))
    summary = run(baseline=baseline)
    assert (summary["baseline"], len(sent(known))) == ((2, 0) if baseline == "source" else (1, 1))
    assert run()["plan"]["unchanged"] == 2


def test_duplicates_are_found_and_the_latest_wins(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "old", None, 9), ("c_2", "b", None, 1), ("c_1", "new", None, 10))
    made_up.insert(("c_1", "older", None, None))
    with pytest.raises(DubFixRowsError, match="3 rows of the query name this customer"):
        run()
    assert stored(known, id="cus_81")["name"] == "before"
    for dry_run in (True, False):
        last = run(on_duplicate="last", latest_by="stamp", dry_run=dry_run)
        assert last["plan"]["superseded"] == 2
    assert stored(known, id="cus_81")["name"] == "new"
    assert run(on_duplicate="last", latest_by="stamp")["plan"]["to_send"] == 0


def test_a_column_of_several_types_has_no_latest(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "old", None, 9), ("c_1", "new", None, "tomorrow"))
    with pytest.raises(DubFixSetupError, match=r'"stamp" of latest_by holds a number and text'):
        run(on_duplicate="last", latest_by="stamp")
    assert (len(sent(known)), staged(database)) == (0, 0)


def test_an_empty_cell_clears_what_the_policy_says(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", "ada@b.co", 1), ("c_2", "Bob", "bob@b.co", 1))
    run(null_policy="clear")
    made_up.run("UPDATE customers SET email = ' ' WHERE user_id = 'c_1'")
    assert run(null_policy="clear")["plan"]["changed"] == 1
    assert stored(known, id="cus_81")["email"] is None
    assert run(null_policy="clear")["plan"]["to_send"] == 0


def test_a_limit_sends_the_first_by_key_and_a_full_refresh_all(run, made_up, database, known) -> None:
    made_up.insert(("c_3", "Cyd", None, 1), ("c_1", "Ada", None, 1), ("c_2", "Bob", None, 1))
    assert run(limit=1)["over_limit"] == 2
    assert [stored(known, id=f"cus_8{n}")["name"] for n in (1, 2, 3)] == ["Ada", "before", "before"]
    assert run()["updated"] == 2
    made_up.run("UPDATE customers SET name = name || '.'")
    assert (run(limit=1)["updated"], stored(known, id="cus_82")["name"]) == (1, "Bob")
    assert run(full_refresh=True)["updated"] == 3


def test_too_many_changes_send_and_record_nothing_and_leave_nothing_staged(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1), ("c_2", "Bob", None, 1))
    with pytest.raises(DubReviewChangesError):
        run(max_changes=1)
    assert (len(sent(known)), database.state("outcome"), staged(database)) == (0, {}, 0)
    run()
    made_up.run("UPDATE customers SET name = name || '.'")
    with pytest.raises(DubReviewChangesError, match="max_change_rate"):
        run(max_change_rate=0.5)


def test_a_dry_run_writes_nothing(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", "ada@b.co", 1), ("c_2", "Bob", None, 1))
    run()
    made_up.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'c_1'")
    tables = ("dub_state", "dub_state_lease", "dub_state_history", "dub_state_staging")
    before = [database.run(f"SELECT * FROM {table}") for table in tables]
    plan = run(dry_run=True)["plan"]
    assert (plan["changed"], plan["unchanged"]) == (1, 1)
    assert [database.run(f"SELECT * FROM {table}") for table in tables] == before


def test_what_a_run_that_crashed_had_staged_is_not_compared(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1))
    run()
    database.run("INSERT INTO dub_state_staging (position, customer_key, name, attempt) VALUES (0, 'c_2', 'x', 'y')")
    assert run()["plan"]["unchanged"] == 1
    assert staged(database) == 0


def test_a_staging_table_of_an_older_version_is_made_anew(run, made_up, database, known) -> None:
    made_up.insert(("c_1", "Ada", None, 1))
    database.run("CREATE TABLE dub_state_staging (position BIGINT, customer_key VARCHAR(255), attempt VARCHAR(255))")
    assert run()["updated"] == 1


@pytest.mark.parametrize("columns", ["precious VARCHAR(20)", "position BIGINT, attempt VARCHAR(255)"])
def test_a_table_of_somebody_else_is_not_taken_for_the_staging_table(run, made_up, database, known, columns) -> None:
    made_up.insert(("c_1", "Ada", None, 1))
    database.run(f"CREATE TABLE dub_state_staging ({columns})")
    with pytest.raises(DubFixSetupError, match="is a table, but not one of airflow-provider-dub's"):
        run()
    assert staged(database) == 0


@pytest.mark.parametrize("options", [{}, {"state_table": None, "state_conn_id": None}], ids=["beside", "without_state"])
def test_rows_that_do_not_all_arrive_are_not_compared(run, made_up, database, known, monkeypatch, options) -> None:
    from airflow_provider_dub.exceptions import DubIncompleteRowsError
    from airflow_provider_dub.warehouse.staging import Staging

    made_up.insert(("c_1", "Ada", None, 1), ("c_2", "Bob", None, 1))
    insert = Staging.insert
    monkeypatch.setattr(Staging, "insert", lambda staging, columns, rows: insert(staging, columns, [*rows][1:]))
    with pytest.raises(DubIncompleteRowsError, match="gave 2 rows, and 1 of them arrived"):
        run(**options)
    assert len(sent(known)) == 0


ROWS, BATCH = 200, 20


def test_a_killed_run_is_continued(made_up, database, connected, elsewhere) -> None:
    connected.reset(
        setup_customers=[{"id": f"cus_9{n:04}", "externalId": str(n), "name": "b", "email": None} for n in range(ROWS)]
    )
    made_up.run("CREATE TABLE customers (user_id, name)")
    made_up.run(*(f"INSERT INTO customers VALUES ('{n}', 'name {n}')" for n in range(ROWS)))
    chance = random.Random(f"{os.environ.get('DUB_TEST_SEED', '1')} {database.engine}")
    for most in (1, ROWS // 2, ROWS // 4):
        until = len(connected.requests) + chance.randrange(most)
        run = multiprocessing.get_context("fork").Process(target=elsewhere, kwargs={"commit_every": BATCH})
        run.start()
        while run.is_alive() and len(connected.requests) < until:
            time.sleep(0.002)
        if run.pid and run.is_alive():
            os.kill(run.pid, signal.SIGKILL)
        run.join()
    elsewhere(commit_every=BATCH)
    names = {str(n): f"name {n}" for n in range(ROWS)}
    in_dub = {one["externalId"]: one["name"] for one in connected.customers}
    assert {key: in_dub[key] for key in names} == names == database.state("name")
    assert elsewhere()["plan"]["unchanged"] == ROWS
    assert staged(database) == 0


def test_without_a_state_table_an_unknown_engine_is_compared_on_the_worker(made_up, known, sync) -> None:
    made_up.run("CREATE TABLE customers (user_id, name, stamp)")
    made_up.insert(("c_1", "Ada", 1), ("c_1", "Countess", 2), ("c_2", "Bob", 1))
    options = {"sql_conn_id": "source", "state_table": None, "columns": {"name": "name"}}
    with pytest.raises(DubFixRowsError, match="1 updated, 2 rejected"):
        sync(**options)
    assert sync(**options, on_duplicate="last", latest_by="stamp")["updated"] == 2
    assert stored(known, id="cus_81")["name"] == "Countess"
    assert sync(**options, on_duplicate="last", latest_by="stamp", limit=1)["over_limit"] == 1


def test_a_state_table_in_an_unknown_engine_says_where_else_it_can_be(made_up, known, sync) -> None:
    with pytest.raises(DubFixSetupError, match="state_conn_id"):
        sync(sql_conn_id="source")
    with pytest.raises(DubFixSetupError, match="state_conn_id needs a state_table"):
        sync(sql_conn_id="source", state_conn_id="warehouse", state_table=None)


def test_no_value_is_shown_when_the_query_fails(made_up, sqlite, known, elsewhere) -> None:
    from airflow_provider_dub.exceptions import DubUnreadableRowsError

    made_up.run("CREATE TABLE customers (user_id, name)")
    with pytest.raises(DubUnreadableRowsError) as error:
        elsewhere(sql="SELECT user_id, CAST(x'ff706c616e746564' AS TEXT) AS name FROM (SELECT 'u' AS user_id)")
    assert "planted" not in str(error.value)


def test_parameters_reach_the_query_as_they_are(database, known, elsewhere, request, tmp_path, monkeypatch) -> None:
    source = opened("sqlite", request, tmp_path, monkeypatch)
    source.run("CREATE TABLE customers (user_id, name)")
    source.insert(("c_1", "100%"), ("c_2", "Bob"))
    assert (
        elsewhere(sql="SELECT * FROM customers WHERE name LIKE '%' AND user_id = ?", parameters=["c_1"])["updated"] == 1
    )
    assert stored(known, id="cus_81")["name"] == "100%"
