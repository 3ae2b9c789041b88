"""The full round: all that a state table is for, on every engine that a stand-in shows.

Once with the state beside the customers, and once with it elsewhere, where the engine is only read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import timedelta

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError
from tests.support.database import Database
from tests.support.hostile import HOSTILE, HOSTILE_IN_DUB
from tests.support.stored import sent, stored
from tests.support.task_instance import TaskInstance
from tests.support.watched_connection import watch_warehouse

pytestmark = pytest.mark.engines

ROWS = 20
#: Dub takes no e-mail address like that of this row, and does not know that customer.
REFUSED, MISSING = "cust_5", "cust_7"
TAKEN = ROWS - 2
#: Of runs that go on with what cannot be sent.
TOLERANT = {"on_missing": "skip", "max_failures": 1}
#: Types of columns, each with the field that it is for, two values of it as SQL, and what Dub gets of them.
TYPES = {
    "VARCHAR(200)": ("name", ("'Ada'", "'ada'"), ("Ada", "ada")),
    "INTEGER": ("stripeCustomerId", ("7", "8"), ("7", "8")),
    "DECIMAL(18, 0)": (
        "stripeCustomerId",
        ("9007199254740993", "9007199254740995"),
        ("9007199254740993", "9007199254740995"),
    ),
    "TIMESTAMP": (
        "subscriptionCanceledAt",
        ("CAST('2026-03-01 12:30:15.123' AS TIMESTAMP)", "CAST('2026-03-01 12:30:15.124' AS TIMESTAMP)"),
        ("2026-03-01T12:30:15.123Z", "2026-03-01T12:30:15.124Z"),
    ),
    "TIMESTAMPTZ": (
        "subscriptionCanceledAt",
        (
            "CAST('2026-03-01 12:30:15.123+00:00' AS TIMESTAMPTZ)",
            "CAST('2026-03-01 12:30:15.124+00:00' AS TIMESTAMPTZ)",
        ),
        ("2026-03-01T12:30:15.123Z", "2026-03-01T12:30:15.124Z"),
    ),
    "DATE": (
        "subscriptionCanceledAt",
        ("CAST('2026-03-01' AS DATE)", "CAST('2026-03-02' AS DATE)"),
        ("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z"),
    ),
}


@pytest.fixture(params=["beside", "elsewhere"])
def state(request, database, tmp_path, monkeypatch) -> Database:
    """The database that has the state table: that of the customers, or another one."""
    if request.param == "beside":
        return database
    sqlite = Database("sqlite", conn_id="state", conn_type="sqlite", host=str(tmp_path / "state.sqlite"))
    monkeypatch.setenv("AIRFLOW_CONN_STATE", sqlite.connection)
    return sqlite


@pytest.fixture
def sync(sync, database, state, monkeypatch):
    """Run the operator, and see that a database without the state table is asked for nothing but the query."""
    if state is database:
        yield sync
        return
    queries, asked = set(), []

    def and_watch(sql: str = "SELECT * FROM customers", **options):
        queries.add(sql)
        with monkeypatch.context() as watching:
            watch_warehouse(watching, asked.append)
            return sync(sql, state_conn_id="state", **options)

    yield and_watch
    assert {*asked} == queries


@pytest.fixture
def customers(database, connected):
    """The customers cust_0 to cust_19, and a Dub that knows them but one."""
    connected.reset(
        setup_customers=[
            {"id": f"cus_9{n:03}", "externalId": f"cust_{n}", "name": "before", "email": None}
            for n in range(ROWS)
            if f"cust_{n}" != MISSING
        ]
    )
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), email VARCHAR(200), stamp INTEGER)")
    emails = ("no e-mail" if f"cust_{n}" == REFUSED else f"u{n}@example.com" for n in range(ROWS))
    database.insert(*((f"cust_{n}", f"Name {n}", email, 1) for n, email in enumerate(emails)))
    return database


@pytest.fixture
def run(sync):
    """Run the operator with the columns of these customers, and return its summary."""
    return lambda **options: sync(columns={"name": "name", "email": "email"}, **TOLERANT | options)


def rename(database, name: str, *keys: str) -> None:
    listed = ", ".join(f"'{key}'" for key in keys)
    database.run(f"UPDATE customers SET name = '{name}' WHERE user_id IN ({listed})")


def test_a_plan_the_first_run_none_edited_refused_and_missing(customers, state, connected, run) -> None:
    plan = run(dry_run=True)["plan"]
    assert (plan["new"], plan["to_send"], sent(connected)) == (ROWS, ROWS, [])
    first = run()
    assert (first["updated"], first["rejected"], first["missing"]) == (TAKEN, 1, 1)
    assert stored(connected, externalId="cust_0")["name"] == "Name 0"
    assert state.state("outcome")[REFUSED] == "rejected"

    before = len(connected.requests)
    plan = run()["plan"]
    assert (plan["unchanged"], plan["refused"], plan["missing"], plan["to_send"]) == (TAKEN, 1, 1, 0)
    assert len(connected.requests) == before

    rename(customers, "Edited", "cust_1", "cust_2", "cust_3")
    assert run(dry_run=True)["plan"]["changed"] == 3
    assert run()["updated"] == 3
    assert {customer["name"] for customer in connected.customers if customer["externalId"] in ("cust_1", "cust_3")} == {
        "Edited"
    }

    assert run(retry_missing_after=timedelta(0))["missing"] == 1
    assert run(retry_rejected=True)["rejected"] == 1
    customers.run(f"UPDATE customers SET email = 'u5@example.com' WHERE user_id = '{REFUSED}'")
    assert run()["updated"] == 1
    assert run()["plan"]["to_send"] == 0


def test_a_limit_a_cleared_field_and_a_full_refresh(customers, connected, run) -> None:
    run()
    rename(customers, "Edited", "cust_1", "cust_2", "cust_3")
    assert run(limit=1)["updated"] == 1
    assert stored(connected, externalId="cust_1")["name"] == "Edited"
    assert run()["updated"] == 2
    customers.run("UPDATE customers SET name = NULL WHERE user_id = 'cust_4'")
    assert run(null_policy={"name": "clear"})["updated"] == 1
    assert stored(connected, externalId="cust_4")["name"] is None
    assert run(null_policy={"name": "clear"})["plan"]["to_send"] == 0
    assert run(null_policy={"name": "clear"}, full_refresh=True)["plan"]["to_send"] == ROWS


def test_a_run_that_was_killed_is_continued(customers, state, connected, run, monkeypatch) -> None:
    run()
    edited = [f"cust_{n}" for n in range(ROWS) if f"cust_{n}" not in (REFUSED, MISSING)]
    rename(customers, "Killed", *edited)
    before = len(sent(connected))
    killed = multiprocessing.get_context("fork").Process(target=run, kwargs={"commit_every": 5, "max_workers": 1})
    killed.start()
    while killed.is_alive() and len(sent(connected)) < before + 12:
        time.sleep(0.002)
    assert killed.is_alive(), "the run was over before it could be killed"
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    recorded = {key for (key,) in state.run("SELECT customer_key FROM dub_state_history WHERE name = 'Killed'")}

    before = len(sent(connected))
    monkeypatch.setattr(TaskInstance, "try_number", 2)
    left = {f"ext_{key}" for key in {*edited} - recorded}
    assert run()["updated"] == len(left)
    assert {*sent(connected)[before:]} == left  # Dub may read only now what the killed run had sent last
    assert {stored(connected, externalId=key)["name"] for key in edited} == {"Killed"}
    assert run()["plan"]["unchanged"] == TAKEN


def test_a_baseline_from_the_source_sends_nothing(customers, connected, run) -> None:
    assert run(baseline="source")["baseline"] == ROWS
    assert sent(connected) == []
    assert run()["plan"]["unchanged"] == ROWS


def test_a_baseline_from_dub_sends_only_what_differs_there(customers, state, connected, run) -> None:
    run()
    state.run("DROP TABLE dub_state", "DROP TABLE dub_state_lease", "DROP TABLE dub_state_history")
    rename(customers, "Edited", "cust_1")
    before = len(sent(connected))
    summary = run(baseline="dub")
    assert (summary["baseline"], summary["updated"]) == (TAKEN - 1, 1)
    assert sent(connected)[before:] == ["ext_cust_1"]


def test_duplicates_are_found_before_anything_is_sent(customers, connected, run) -> None:
    customers.insert(("cust_1", "later", "u1@example.com", 2), ("cust_1", "earlier", "u1@example.com", 0))
    with pytest.raises(DubFixRowsError, match="3 rows of the query name this customer"):
        run()
    assert "ext_cust_1" not in sent(connected)
    last = run(on_duplicate="last", latest_by="stamp")
    assert (last["updated"], last["plan"]["superseded"]) == (1, 2)
    assert stored(connected, externalId="cust_1")["name"] == "later"


def test_hostile_values_arrive_as_they_are_and_make_no_row_differ(database, state, connected, sync) -> None:
    connected.reset(setup_customers=HOSTILE_IN_DUB)
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(*HOSTILE.items())
    first = sync()
    assert (first["updated"], first["unchanged"]) == (len(HOSTILE) - 1, 1)
    for key, name in HOSTILE.items():
        assert stored(connected, externalId=key)["name"] == (name or "before")
    assert state.state("name") == HOSTILE
    assert sync()["plan"]["unchanged"] == len(HOSTILE)
    database.run("UPDATE customers SET name = 'ADA' WHERE user_id = 'user_a'")
    assert sync()["updated"] == 1
    assert sync()["plan"]["unchanged"] == len(HOSTILE)


def test_a_blank_at_the_end_makes_another_key_and_another_value(database, state, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": "cus_9A", "externalId": "user_a", "name": "n", "email": None}])
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(("user_a", "Ada"), ("user_a ", "blank"))
    first = sync(max_failures=1)
    assert (first["updated"], first["failed"]) == (1, 1)
    assert state.state("outcome").keys() == {"user_a", "user_a "}
    database.run("UPDATE customers SET name = 'Ada ' WHERE name = 'Ada'")
    assert sync()["updated"] == 1
    assert stored(connected, externalId="user_a")["name"] == "Ada "
    assert state.state("name") == {"user_a": "Ada ", "user_a ": "blank"}
    assert sync()["plan"]["to_send"] == 0


@pytest.mark.parametrize("state", ["elsewhere"], indirect=True)
def test_a_value_of_any_type_is_sent_once_and_again_when_it_changes(database, state, connected, sync) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in zip("abcdef", TYPES, strict=True))
    database.run(f"CREATE TABLE customers (user_id VARCHAR(200), {columns})")

    def put(version: int) -> None:
        values = ", ".join(values[version] for _, values, _ in TYPES.values())
        database.run(
            "DELETE FROM customers WHERE user_id = 'user_1'", f"INSERT INTO customers VALUES ('user_1', {values})"
        )

    def sync_each() -> list[tuple[int, str]]:
        """Return, by column, how many rows were sent, and what Dub has."""
        results = []
        for name, (field, *_) in zip("abcdef", TYPES.values(), strict=True):
            plan = sync(columns={name: field}, state_table=f"dub_state_{name}")["plan"]
            results.append((plan["to_send"], stored(connected, externalId="user_1")[field]))
        return results

    put(0)
    assert sync_each() == [(1, sent[0]) for *_, sent in TYPES.values()]
    assert [to_send for to_send, _ in sync_each()] == [0] * len(TYPES)
    put(1)
    assert sync_each() == [(1, sent[1]) for *_, sent in TYPES.values()]


@pytest.mark.parametrize("state", ["elsewhere"], indirect=True)
def test_a_boolean_is_rejected_once_until_the_query_makes_text_of_it(database, state, connected, sync) -> None:
    database.run(
        "CREATE TABLE customers (user_id VARCHAR(200), name BOOLEAN)", "INSERT INTO customers VALUES ('user_1', TRUE)"
    )
    assert sync(max_failures=1)["rejected"] == 1
    assert "CAST(" in state.state("message")["user_1"]
    assert sync()["plan"]["refused"] == 1
    as_text = "SELECT user_id, CASE WHEN name THEN 'yes' ELSE 'no' END AS name FROM customers"
    assert sync(as_text)["updated"] == 1
    assert stored(connected, externalId="user_1")["name"] == "yes"
    assert sync(as_text)["plan"]["unchanged"] == 1
