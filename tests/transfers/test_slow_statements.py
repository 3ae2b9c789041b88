"""A database that renews the lease too late pauses a run, and does not make it pause for ever."""

from __future__ import annotations

import json
import time

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubRetryLaterError, DubUnreadableRowsError
from airflow_provider_dub.warehouse import dialects
from tests.support.watched_connection import watch_warehouse

ROWS = 60


@pytest.fixture
def slow_dub(database, connect):
    """A local Dub that takes a tenth of a second for each request, and knows all customers of the database."""
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    values = ", ".join(f"('{n}', 'new')" for n in range(ROWS))
    database.run(f"INSERT INTO customers VALUES {values}")
    with DubEmulator(latency_ms=100) as dub:
        dub.reset(setup_customers=[{"id": f"cus_9{n}", "externalId": str(n)} for n in range(ROWS)])
        connect(dub.url)
        yield dub


def slow_down(monkeypatch, seconds) -> None:
    """Let each statement take so many seconds longer."""
    watch_warehouse(monkeypatch, lambda sql: time.sleep(seconds(sql)))


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_run_whose_renewals_are_always_too_late_ends_and_says_why(
    slow_dub, sync, change_dialect, monkeypatch, caplog
) -> None:
    change_dialect(renew_every=0.25)
    slow_down(monkeypatch, lambda sql: 1.2 if sql.startswith("UPDATE") and "expires_at" in sql else 0)
    with pytest.raises(DubRetryLaterError, match="not attempted"):
        sync(max_workers=1)
    assert sync.summary["updated"] < ROWS
    assert caplog.text.count("Sending pauses") == 1
    assert caplog.text.count("Sending was paused for 2 s: the run ends.") == 1


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_pause_that_ends_is_logged(slow_dub, sync, change_dialect, monkeypatch, caplog) -> None:
    caplog.set_level("INFO")
    change_dialect(renew_every=0.5)
    left = [1]

    def seconds(sql: str) -> float:
        is_meant = sql.startswith("UPDATE") and "expires_at" in sql and len(slow_dub.requests) > 10
        return 1.6 if is_meant and left and left.pop() else 0

    slow_down(monkeypatch, seconds)
    assert sync(max_workers=1)["updated"] == ROWS
    assert caplog.text.count("Sending pauses") == 1
    assert caplog.text.count("Sending goes on") == 1


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_run_keeps_its_lease_and_sends_on_while_every_statement_takes_a_minute(
    slow_dub, sync, change_dialect, monkeypatch, caplog
) -> None:
    # Everything takes a sixtieth of its time.
    lease = dialects.DIALECTS["postgres"]
    sixtieth = {name: getattr(lease, name) / 60 for name in ("renew_every", "lease_length", "append_every")}
    change_dialect(**sixtieth)
    slow_down(monkeypatch, lambda sql: 1)
    assert sync(max_workers=1)["updated"] == ROWS
    assert "Sending pauses" not in caplog.text
    assert sync()["plan"]["unchanged"] == ROWS


@pytest.mark.parametrize("database", ["duckdb", "postgres"], indirect=True)
def test_a_merge_that_takes_longer_than_a_renewal_needs_no_certain_isolation(
    database, slow_dub, sync, change_dialect, monkeypatch
) -> None:
    change_dialect(renew_every=0.3, lease_length=60)
    sync(baseline="source")
    database.run("UPDATE customers SET name = 'newer'")
    if database.engine == "postgres":  # DuckDB has no other isolation
        database.run("ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'")
    try:
        slow_down(monkeypatch, lambda sql: 1 if sql.startswith("DELETE") else 0)
        assert sync()["updated"] == ROWS
    finally:
        if database.engine == "postgres":
            database.run("ALTER DATABASE postgres RESET default_transaction_isolation")
    assert set(database.state("outcome").values()) == {"updated"}
    assert sync()["plan"]["unchanged"] == ROWS


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_time_limit_that_ends_the_query_is_named(slow_dub, database, sync, monkeypatch, tmp_path, elsewhere) -> None:
    state = {"conn_type": "sqlite", "host": str(tmp_path / "state.sqlite")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    limited = json.loads(database.connection) | {"extra": {"options": "-c statement_timeout=300"}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(limited))
    slow = "SELECT customers.* FROM customers, (SELECT pg_sleep(2)) AS slow"
    with pytest.raises(DubUnreadableRowsError, match=r"57014\. A time limit .* raise the limit"):
        sync(slow, state_conn_id="state" if elsewhere else None)
    assert not slow_dub.requests
