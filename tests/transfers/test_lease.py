"""One run at a time works with a state table."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.exceptions import AirflowRescheduleException

from airflow_provider_dub import version_compat
from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubFixSetupError, DubRetryLaterError, DubStateTableLockedError
from airflow_provider_dub.version_compat import AirflowSkipException, BaseHook
from airflow_provider_dub.warehouse import lease
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.cursors import connect
from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import dialect_named
from airflow_provider_dub.warehouse.process import this_process
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements
from tests.support.stored import sent
from tests.support.task_instance import TaskInstance

pytestmark = pytest.mark.slow  # leases end, and processes are killed


@pytest.fixture
def warehouse(sqlite, connected):
    """user_1 and user_2, who are in Dub."""
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Ada"), ("user_2", "Bob"))
    return sqlite


def test_two_runs_never_work_with_one_state_table_at_once(
    warehouse, connected, sync, while_sending, monkeypatch
) -> None:
    def another_run() -> None:
        monkeypatch.setattr(TaskInstance, "run_id", "another")
        with pytest.raises(DubStateTableLockedError, match="dag/run/sync"):
            sync()
        monkeypatch.setattr(TaskInstance, "run_id", "run")

    while_sending(another_run)
    assert sync()["updated"] == 2
    monkeypatch.setattr(TaskInstance, "run_id", "another")
    assert sync()["plan"]["unchanged"] == 2  # the lease ended with the run


def test_the_lease_of_a_run_that_crashed_expires(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("UPDATE dub_state_lease SET task = 'crashed', attempt = 'h', expires_at = 99999999999")
    with pytest.raises(DubStateTableLockedError, match=r'locked by crashed.*on_locked="wait"'):
        sync()
    warehouse.run("UPDATE dub_state_lease SET expires_at = 1")
    assert sync()["plan"]["unchanged"] == 2


def test_a_run_that_lost_its_lease_writes_nothing_more(warehouse, connected, sync, while_sending) -> None:
    def overtaken() -> None:
        warehouse.run("UPDATE dub_state_lease SET expires_at = 1")
        assert sync()["updated"] == 2

    while_sending(overtaken)
    with pytest.raises(DubStateTableLockedError, match="taken over"):
        sync()
    assert warehouse.state("outcome") == {"user_1": "updated", "user_2": "updated"}


def hold(warehouse) -> None:
    """Let another task have the lease."""
    warehouse.run("UPDATE dub_state_lease SET task = 'another', attempt = 'h', expires_at = 99999999999")


def reschedules(monkeypatch, airflow: str) -> None:
    """Let the task instance be as that of this version of Airflow."""
    monkeypatch.setattr(version_compat, "version", lambda _: airflow)
    monkeypatch.setattr(TaskInstance, "get_first_reschedule_date", lambda self, context: None, raising=False)


def meanwhile(monkeypatch, happens) -> None:
    """Let something happen when a run waits for the lease, and then only."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: happens())
    monkeypatch.setattr(lease, "time", clock)  # the module itself belongs to all threads


def test_a_later_try_waits_until_the_earlier_one_is_surely_over(
    warehouse, connected, sync, monkeypatch, logged
) -> None:
    sync()
    warehouse.run("UPDATE dub_state_lease SET task = 'dag/run/sync', attempt = 'h', expires_at = 99999999999")
    meanwhile(monkeypatch, lambda: warehouse.run("UPDATE dub_state_lease SET expires_at = 1"))
    assert sync()["plan"]["unchanged"] == 2
    assert "waiting for it to end" in logged()


@pytest.mark.parametrize("airflow", [None, "3.0.6", "3.1.7"])
def test_a_waiting_run_begins_when_the_other_ends_where_airflow_does_not_reschedule(
    warehouse, connected, sync, monkeypatch, airflow
) -> None:
    sync()
    if airflow:
        reschedules(monkeypatch, airflow)
    hold(warehouse)
    meanwhile(monkeypatch, lambda: warehouse.run("UPDATE dub_state_lease SET task = NULL, expires_at = 0"))
    assert sync(on_locked="wait")["plan"]["unchanged"] == 2


def test_a_locked_table_skips_the_task_if_the_user_wants_it(warehouse, connected, sync) -> None:
    sync()
    hold(warehouse)
    with pytest.raises(AirflowSkipException, match="locked by another"):
        sync(on_locked="skip")


@pytest.mark.parametrize("airflow", ["3.1.8", "3.3.2", "3.4.0b2", "4.0.0"])
def test_a_waiting_task_leaves_its_worker_where_airflow_can_reschedule(
    warehouse, connected, sync, monkeypatch, logged, airflow
) -> None:
    sync()
    hold(warehouse)
    reschedules(monkeypatch, airflow)
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        sync(on_locked="wait")
    assert "on_locked" not in logged()  # it waits already
    assert rescheduled.value.reschedule_date > datetime.now(UTC)
    warehouse.run("UPDATE dub_state_lease SET task = NULL, expires_at = 0")
    assert sync(on_locked="wait")["plan"]["unchanged"] == 2


def test_a_run_that_was_not_heard_of_sends_nothing_that_it_read_before(warehouse, connected, sync, monkeypatch) -> None:
    counts = Changes.counts

    def overtaken_meanwhile(self):
        monkeypatch.setattr(Changes, "counts", counts)
        found = counts(self)
        warehouse.run("UPDATE dub_state_lease SET expires_at = 1")
        sync()
        return found

    monkeypatch.setattr(Changes, "counts", overtaken_meanwhile)
    with pytest.raises(DubStateTableLockedError, match="taken over by a run that has ended"):
        sync()
    assert len(sent(connected)) == 2


def never(self, warehouse=None) -> None:
    raise RuntimeError("no renewal")


def test_a_run_that_cannot_renew_its_lease_sends_nothing_more(
    sqlite, connect, sync, change_dialect, monkeypatch
) -> None:
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(*((str(n), "new") for n in range(40)))
    with DubEmulator(latency_ms=100) as dub:
        dub.reset(setup_customers=[{"id": f"cus_9{n}", "externalId": str(n)} for n in range(40)])
        connect(dub.url)
        change_dialect(renew_every=0.5)
        with monkeypatch.context() as patch:
            patch.setattr(lease.Lease, "renew", never)
            with pytest.raises(DubRetryLaterError, match="not attempted"):
                sync(max_workers=1)
        updates = len(sent(dub))
        assert sync.summary["updated"] == updates < 20
        assert sync.summary["total"] == 40
        # The lease may be another's by now, so the next run merges what this one has appended.
        assert sqlite.run("SELECT COUNT(*) FROM dub_state_history WHERE outcome = 'updated'") == [(updates,)]
        assert sqlite.state("outcome") == {}
        assert sync()["plan"]["unchanged"] == updates


def test_a_run_renews_its_lease_while_no_response_comes(sqlite, connect, sync, change_dialect, monkeypatch) -> None:
    sqlite.run("CREATE TABLE customers (user_id TEXT, name TEXT)")
    sqlite.insert(("user_1", "Ada"))
    change_dialect(renew_every=0.1)
    renewals, renew = [], lease.Lease.renew
    monkeypatch.setattr(lease.Lease, "renew", lambda self, warehouse=None: renewals.append(renew(self, warehouse)))
    with DubEmulator(latency_ms=800) as dub:
        connect(dub.url)
        sync()
    assert len(renewals) > 3


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_a_slow_query_does_not_cost_a_run_its_lease(database, connected, sync, change_dialect) -> None:
    change_dialect(renew_every=0.3)
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20))")
    database.insert(("user_1", "Ada"))
    sleep = "pg_sleep(5)::text <> ''" if database.engine == "postgres" else "SLEEP(5)"
    slow = f"SELECT user_id, name FROM customers WHERE NOT ({sleep})"
    over, refused = threading.Event(), []

    def intrude() -> None:
        table = state_table(database, "another", target)
        while not over.wait(0.4):
            try:
                table.lease.acquire(wait=False)
            except lease.LockedError:
                refused.append(time.monotonic())

    sync(sql="SELECT user_id, name FROM customers WHERE 1 = 0")  # creates the tables
    ((target,),) = database.run("SELECT target FROM dub_state_lease")
    intruder = threading.Thread(target=intrude)
    threading.Timer(0.5, intruder.start).start()
    try:
        assert sync(sql=slow)["updated"] == 1
    finally:
        over.set()
        intruder.join()
    assert refused[-1] - refused[0] > 2 * 4 * 0.3


def state_table(database, name: str, target: str = "dub") -> StateTable:
    warehouse = Warehouse(BaseHook.get_connection("warehouse").get_hook())
    statements = Statements(dialect_named(database.engine), "dub_state")
    return StateTable(warehouse, statements, lease.Owner(target, name, name))


def test_a_lease_that_cannot_be_released_is_logged_and_does_not_change_how_the_run_ends(
    warehouse, connected, sync, while_sending, logged
) -> None:
    while_sending(lambda: warehouse.run("DROP TABLE dub_state_lease"))
    assert sync()["updated"] == 2
    assert "The lease on the table dub_state could not be released." in logged()
    assert sync()["updated"] == 2  # that a table is gone harms no row: it is sent again


def test_a_worker_whose_clock_is_ahead_takes_no_lease_of_a_living_run(warehouse, connected, sync, monkeypatch) -> None:
    sync()
    in_a_while = "CAST(strftime('%s', 'now') AS INTEGER) + 30"
    warehouse.run(f"UPDATE dub_state_lease SET task = 'alive', attempt = 'h', expires_at = {in_a_while}")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    with pytest.raises(DubStateTableLockedError, match="locked by alive"):
        sync()


def test_a_database_in_which_nobody_can_acquire_the_lease_is_not_waited_for(warehouse, connected, sync) -> None:
    sync()
    warehouse.run(
        "CREATE TRIGGER no BEFORE UPDATE ON dub_state_lease BEGIN SELECT RAISE(FAIL, 'not allowed here'); END"
    )
    with pytest.raises(Exception, match="statement about the state table failed"):
        sync(on_locked="wait")


def test_a_state_table_without_its_lease_is_believed_when_an_admin_made_one(warehouse, connected, sync) -> None:
    sync()
    warehouse.run("DROP TABLE dub_state_lease")
    for _ in range(2):
        with pytest.raises(DubFixSetupError, match="which says of which Dub they are, is not there"):
            sync()
    warehouse.run(*Statements(dialect_named("sqlite"), "dub_state").create_lease())
    assert sync()["plan"]["unchanged"] == 2


def test_a_renewal_moves_the_end_of_the_lease_by_the_databases_clock(database, connected) -> None:
    table = state_table(database, "run")
    table.create()
    table.lease.acquire(wait=False)
    for expired in (0, 1):
        database.run(f"UPDATE dub_state_lease SET expires_at = {expired}")
        table.lease.renew()
        ((expires_at,),) = database.run("SELECT expires_at FROM dub_state_lease")
        assert abs(expires_at - (time.time() + table.lease.length)) < 60
    table.lease.release()
    assert database.run("SELECT task FROM dub_state_lease") == [(None,)]


def test_first_runs_that_begin_at_once_do_not_trip_over_each_other(database, connected) -> None:
    both = threading.Barrier(2)
    failed = []

    def create(name: str) -> None:
        table = state_table(database, name)
        both.wait()
        try:
            with closing(table.warehouse):
                table.create()
        except Exception as error:
            failed.append(error)

    for _ in range(5):
        runs = [threading.Thread(target=create, args=(name,)) for name in "ab"]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert not failed
        database.run("DROP TABLE dub_state", "DROP TABLE dub_state_lease", "DROP TABLE dub_state_history")


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_a_thread_connects_while_another_one_closes_the_same_file(database) -> None:
    hook = BaseHook.get_connection("warehouse").get_hook()
    both = threading.Barrier(2)
    last, failed = [], []

    def reconnect() -> None:
        both.wait()
        try:
            for _ in range(3):
                connect(hook).close()
            last.append(connect(hook))
        except Exception as error:
            failed.append(error)

    for _ in range(150):
        threads = [threading.Thread(target=reconnect) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        while last:
            last.pop().close()


@pytest.fixture
def crashed(warehouse, connected, sync):
    """Start a run in a process of its own, and return that once it has the lease; it does not end by itself."""
    sync(sql="SELECT * FROM customers WHERE 1 = 0")

    runs = []

    def start() -> multiprocessing.Process:
        context = multiprocessing.get_context("fork")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DubClient, "update_customer", lambda *_, **__: time.sleep(600))
            runs.append(context.Process(target=sync, daemon=True))
            runs[-1].start()
        while warehouse.run("SELECT task FROM dub_state_lease") == [(None,)]:
            time.sleep(0.05)
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.join()


@pytest.mark.parametrize("is_reaped", [True, False])
def test_a_run_whose_process_was_killed_is_not_waited_for(
    warehouse, connected, sync, crashed, logged, is_reaped
) -> None:
    run = crashed()
    os.kill(run.pid, signal.SIGKILL)
    if is_reaped:
        run.join()
    else:  # a zombie
        while Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
    began = time.monotonic()
    assert sync()["updated"] == 2
    assert time.monotonic() - began < 30  # the lease is five minutes
    assert "whose process is gone" in logged()


def test_a_run_whose_process_is_alive_is_not_overtaken(warehouse, connected, sync, crashed, monkeypatch) -> None:
    run = crashed()
    os.kill(run.pid, signal.SIGSTOP)  # it looks dead, but may go on at any time
    monkeypatch.setattr(TaskInstance, "run_id", "another")
    with pytest.raises(DubStateTableLockedError, match="locked by dag/run/sync"):
        sync()
    assert not sent(connected)


@pytest.mark.parametrize(
    "process",
    [
        pytest.param("another-boot vm pid:[1] 1 1", id="another machine, or another boot"),
        pytest.param(None, id="a worker without /proc"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_run_of_which_nothing_can_be_known_is_not_overtaken(
    warehouse, connected, sync, crashed, monkeypatch, process
) -> None:
    run = crashed()
    run.kill()
    run.join()
    warehouse.run("UPDATE dub_state_lease SET process = ?", parameters=(process,))
    monkeypatch.setattr(TaskInstance, "run_id", "another")
    with pytest.raises(DubStateTableLockedError, match="locked by dag/run/sync"):
        sync()


def test_a_process_id_that_was_given_to_another_process_is_no_life(warehouse, connected, sync) -> None:
    sync()
    place, pid, started_at = this_process().rsplit(" ", 2)
    earlier = f"{place} {pid} {int(started_at) - 1}"
    warehouse.run(
        "UPDATE dub_state_lease SET task = 'a', attempt = 'h', expires_at = 99999999999, process = ?",
        parameters=(earlier,),
    )
    assert sync()["plan"]["unchanged"] == 2
