"""Outcomes are appended to the history, and merged into the state table by few statements."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubFixRowsError, DubStateTableLockedError, DubUnrecordedOutcomesError
from airflow_provider_dub.warehouse import lease
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.lease import Lease
from airflow_provider_dub.warehouse.schema import state_columns
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements
from tests.support.task_instance import TaskInstance
from tests.support.watched_connection import watch_warehouse

ROWS = 10_000
DML = ("INSERT", "UPDATE", "DELETE", "MERGE")


@pytest.fixture
def customers(database, connected):
    """user_1 and user_2, who are in Dub, and user_9, who is not."""
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(("user_1", "Ada"), ("user_2", "Bob"), ("user_9", "Nobody"))
    return database


@pytest.fixture
def statements(database, monkeypatch) -> list[str]:
    """The first words of all statements that a run executes."""
    executed: list[str] = []
    watch_warehouse(monkeypatch, lambda sql: executed.append(sql.split(maxsplit=1)[0].upper()))
    return executed


@pytest.fixture
def fast_dub(connect):
    """A Dub without a rate limit that knows all customers, from 0 on."""
    with DubEmulator(requests_per_minute=10_000_000) as dub:
        dub.reset(
            setup_customers=[
                {"id": f"cus_9{n:05}", "externalId": str(n), "name": "n", "email": None} for n in range(ROWS)
            ]
        )
        connect(dub.url, requests_per_minute=10_000_000)
        yield dub


@pytest.mark.slow
def test_the_statements_of_a_run_do_not_grow_with_its_rows(
    database, fast_dub, sync, statements, change_dialect
) -> None:
    change_dialect(renew_every=600)  # those grow with minutes
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    for start in range(0, ROWS, 1000):
        values = ", ".join(f"('{n}', 'a')" for n in range(start, start + 1000))
        database.run(f"INSERT INTO customers VALUES {values}")
    assert sync(baseline="source")["baseline"] == ROWS
    database.run("UPDATE customers SET name = 'b'")
    statements.clear()
    summary = sync(check_external_ids=False)
    assert (summary["updated"], summary["plan"]["changed"]) == (ROWS, ROWS)
    kinds = Counter(statements)
    assert kinds.total() <= 25
    assert sum(kinds[kind] for kind in DML) <= 12
    assert set(database.state("name").values()) == {"b"}


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["in place", "elsewhere"])
def test_mariadb_is_given_no_statement_that_is_longer_than_it_takes(database, fast_dub, sync, elsewhere) -> None:
    ((packet,),) = database.run("SELECT @@global.max_allowed_packet")
    rows = ", ".join(f"('{n}', 'https://a.example/{'ä' * 400}\\\\')" for n in range(2000))
    database.run("CREATE TABLE customers (user_id VARCHAR(20), avatar VARCHAR(2000))")
    database.run(f"INSERT INTO customers VALUES {rows}")
    database.run(f"SET GLOBAL max_allowed_packet = {2**20}")
    try:
        options = {"state_conn_id": "warehouse"} if elsewhere else {}
        assert sync(baseline="source", **options)["baseline"] == len(database.state("avatar")) == 2000
    finally:
        database.run(f"SET GLOBAL max_allowed_packet = {packet}")


def test_what_a_crashed_run_has_appended_is_merged_by_the_next(customers, connected, sync, monkeypatch) -> None:
    def crash(self, *, end: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StateTable, "merge", crash)
        patch.setattr(lease.Lease, "release", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            sync(on_missing="skip")
    assert customers.state("outcome") == {}
    customers.run("UPDATE dub_state_lease SET expires_at = 1")
    plan = sync(on_missing="skip")["plan"]
    assert (plan["unchanged"], plan["missing"], plan["to_send"]) == (2, 1, 0)
    assert customers.state("outcome") == {"user_1": "updated", "user_2": "updated", "user_9": "missing"}
    assert sync(on_missing="skip")["plan"] == plan


def test_what_a_run_appends_after_it_lost_its_lease_is_never_merged(customers, connected, sync, while_sending) -> None:
    sync(on_missing="skip")
    customers.run("UPDATE customers SET name = 'old' WHERE user_id = 'user_1'")

    def overtaken() -> None:
        customers.run("UPDATE customers SET name = 'new' WHERE user_id = 'user_1'")
        customers.run("UPDATE dub_state_lease SET expires_at = 1")
        assert sync(on_missing="skip")["updated"] == 1

    while_sending(overtaken)
    with pytest.raises(DubStateTableLockedError, match="taken over"):
        sync(on_missing="skip")
    for _ in range(2):
        assert customers.state("name")["user_1"] == "new"
        sync(on_missing="skip")


def test_an_outcome_that_is_appended_twice_makes_one_row(customers, connected, sync, monkeypatch) -> None:
    append = StateTable.append

    def twice(self, lines):
        append(self, lines)
        append(self, lines)

    monkeypatch.setattr(StateTable, "append", twice)
    sync(on_missing="skip")
    assert customers.run("SELECT COUNT(*) FROM dub_state") == [(3,)]
    assert sync(on_missing="skip")["plan"]["to_send"] == 0


@pytest.mark.slow
def test_outcomes_that_cannot_be_merged_now_are_merged_by_the_next_run(customers, connected, sync, logged) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "end", lambda self, cursor: cursor.execute("no SQL"))
        sync(on_missing="skip")
    assert "the next run merges them" in logged()
    assert sync(on_missing="skip")["plan"]["unchanged"] == 2


def test_the_history_says_which_run_did_what(customers, connected, sync, monkeypatch) -> None:
    sync(on_missing="skip")
    monkeypatch.setattr(TaskInstance, "run_id", "tomorrow")
    customers.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    with suppress(DubFixRowsError):
        sync(retry_missing_after=timedelta(0))
    history = customers.run("SELECT run, customer_key, outcome, name FROM dub_state_history")
    assert sorted(history) == [
        ("dag/run/sync", "user_1", "updated", "Ada"),
        ("dag/run/sync", "user_2", "updated", "Bob"),
        ("dag/run/sync", "user_9", "missing", "Nobody"),
        ("dag/tomorrow/sync", "user_1", "updated", "Countess"),
        ("dag/tomorrow/sync", "user_9", "missing", "Nobody"),
    ]


def test_the_history_is_pruned_by_age(customers, connected, sync) -> None:
    sync(on_missing="skip")
    customers.run("UPDATE dub_state_history SET last_tried_at = '2026-01-01 00:00:00.000000'")
    sync(on_missing="skip")
    assert customers.run("SELECT COUNT(*) FROM dub_state_history") == [(0,)]
    assert sync(on_missing="skip")["plan"]["unchanged"] == 2


@pytest.mark.slow
def test_no_value_is_shown_when_the_database_takes_no_outcome(database, connected, sync, logged) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(("user_1", "planted"))
    sync(sql="SELECT * FROM customers WHERE 1 = 0")
    create = Statements(DIALECTS[database.engine], "dub_state").create_history()[0]
    narrow, checks = re.subn(r"(\Wname\W \w+)", r"\1 CHECK (name <> 'planted')", create)
    assert checks == 1
    database.run("DROP TABLE dub_state_history", narrow)
    with pytest.raises(DubUnrecordedOutcomesError, match="did not record the outcomes") as error:
        sync()
    assert "planted" not in str(error.value) + logged()
    assert error.value.__suppress_context__
    assert "planted" not in repr(error.value.__context__)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_postgres_counts_many_rows_before_it_plans_with_them(
    customers, connected, sync, statements, change_dialect
) -> None:
    sync(on_missing="skip")
    customers.run("UPDATE customers SET name = name || '.'")
    sync(on_missing="skip")
    assert "ANALYZE" not in statements  # of a few
    change_dialect(analyze_from=1)
    customers.run("UPDATE customers SET name = name || '.'")
    statements.clear()
    sync(on_missing="skip")
    not_reads = [statement for statement in statements if statement != "SELECT"]
    counted = [after for before, after in pairwise(not_reads) if before == "ANALYZE"]
    assert counted == ["UPDATE", "UPDATE"]  # rows become pending; the lease ends, and outcomes are merged


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_no_line_is_compared_with_every_other_while_they_are_merged(customers, connected, sync) -> None:
    sync(on_missing="skip")
    customers.run("ALTER TABLE dub_state_history SET (autovacuum_enabled = false)", "ANALYZE dub_state_history")
    # More than PostgreSQL knows of: nothing counts them between a run's last line and its merge.
    columns = ", ".join(state_columns())
    thousands = f"SELECT {columns}, 'other' FROM dub_state_history, generate_series(1, 1000) WHERE outcome = 'updated'"
    customers.run(f"INSERT INTO dub_state_history ({columns}, attempt) {thousands}")
    delete = Statements(DIALECTS["postgres"], "dub_state").merge()[0].replace("%s", "'other'")
    plan = [line for (line,) in customers.run(f"EXPLAIN {delete}")]
    assert not [line for line in plan if "Join Filter" in line], plan
