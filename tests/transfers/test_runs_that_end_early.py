"""A run that ends early leaves to the next one what is left, and no more: neither guards nor edits in Dub are lost."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.exceptions import (
    DubFixSetupError,
    DubRetryLaterError,
    DubReviewChangesError,
    DubServerError,
)
from airflow_provider_dub.warehouse import drivers
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.cursors import Connection, Cursor
from airflow_provider_dub.warehouse.lease import Lease
from tests.support.stored import edit, sent, stored
from tests.support.task_instance import TaskInstance

ROWS = 100


@pytest.fixture
def warehouse(sqlite, connected):
    """As many customers, who are in Dub."""
    names = [f"u{n:03}" for n in range(ROWS)]
    connected.reset(
        setup_customers=[
            {"id": f"cus_9{name}", "externalId": name, "name": "before", "email": f"{name}@b.co"} for name in names
        ]
    )
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50), email VARCHAR(50), country VARCHAR(50))")
    sqlite.insert(*((name, "before", f"{name}@b.co", "GB") for name in names))
    return sqlite


@pytest.fixture
def is_down(monkeypatch) -> Callable[..., Any]:
    """Return what lets Dub be down for all customers, or for one."""
    update = DubClient.update_customer

    @contextmanager
    def is_down(only: str | None = None) -> Iterator[list[str]]:
        tried: list[str] = []

        def updated(self: DubClient, customer_id: str, *arguments: Any, **options: Any) -> Any:
            if only is None or customer_id == f"ext_{only}":
                tried.append(customer_id)
                error = DubServerError("The server failed.", status=503)
                error.maybe_applied = True
                raise error
            return update(self, customer_id, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(DubClient, "update_customer", updated)
            yield tried

    return is_down


def test_rows_that_were_not_attempted_keep_what_was_edited_in_dub(warehouse, connected, sync, is_down) -> None:
    sync()
    for n in range(0, ROWS, 10):
        edit(connected, f"u{n:03}", email="edited@dub.co")
    warehouse.run("UPDATE customers SET name = 'after'")
    with is_down() as tried, pytest.raises(DubRetryLaterError):
        sync()
    summary = sync()
    assert (summary["plan"]["pending"], summary["plan"]["changed"]) == (len(tried), ROWS - len(tried))
    assert summary["fields"] == {"name": ROWS, "email": len(tried), "country": len(tried)}
    edited = [f"u{n:03}" for n in range(0, ROWS, 10) if f"ext_u{n:03}" not in tried]
    assert {stored(connected, externalId=name)["email"] for name in edited} == {"edited@dub.co"}


def test_a_guard_counts_rows_that_an_earlier_run_did_not_attempt(warehouse, connected, sync, is_down, monkeypatch):
    clear = {"null_policy": {"name": "clear", "email": "clear"}, "max_workers": 2}
    sync(**clear)
    warehouse.run("UPDATE customers SET country = 'DE'")
    with is_down(), pytest.raises(DubRetryLaterError):
        sync(**clear)
    warehouse.run("UPDATE customers SET name = NULL, email = NULL")
    monkeypatch.setattr(TaskInstance, "run_id", "tomorrow")
    with pytest.raises(DubReviewChangesError, match="max_change_rate"):
        sync(**clear, max_change_rate=0.1)
    assert all(customer["email"] for customer in connected.customers)


def test_rows_that_were_not_attempted_and_change_back_are_not_sent(warehouse, connected, sync, is_down) -> None:
    sync()
    warehouse.run("UPDATE customers SET name = 'broken'")
    with is_down() as tried, pytest.raises(DubRetryLaterError):
        sync()
    warehouse.run("UPDATE customers SET name = 'before'")
    assert sync(max_change_rate=0)["plan"]["unchanged"] == ROWS - len(tried)


def test_what_a_guard_stops_after_rows_became_pending_is_as_it_was(
    warehouse, connected, sync, change_dialect, monkeypatch
) -> None:
    change_dialect(temporary_table="")  # so that the difference is computed more than once
    sync(baseline="dub")
    before, state = len(sent(connected)), warehouse.state("outcome")
    counts = Changes.counts

    def counted_before_the_model_breaks(self: Changes) -> Any:
        found = counts(self)
        warehouse.run("UPDATE customers SET name = 'broken'")
        return found

    for guard, match in (({"max_changes": 1}, "max_changes=1"), ({"max_change_rate": 0.1}, "max_change_rate=0.1")):
        warehouse.run("UPDATE customers SET name = 'right' WHERE user_id = 'u000'")
        with monkeypatch.context() as patch:
            patch.setattr(Changes, "counts", counted_before_the_model_breaks)
            with pytest.raises(DubReviewChangesError, match=match):
                sync(**guard)
        assert len(sent(connected)) == before
        assert set(warehouse.state("outcome").values()) == set(state.values())
        warehouse.run("UPDATE customers SET name = 'before'")
        assert sync(dry_run=True)["plan"]["unchanged"] == ROWS


def test_a_retry_of_a_full_refresh_sends_what_is_left(
    warehouse, connected, sync, is_down, no_back_off, monkeypatch
) -> None:
    sync()
    before = len(sent(connected))
    with is_down("u042"), pytest.raises(DubRetryLaterError):
        sync(full_refresh=True)
    assert len(sent(connected)) == before + ROWS - 1
    monkeypatch.setattr(TaskInstance, "try_number", 2)
    sync(full_refresh=True)
    assert sent(connected)[before + ROWS - 1 :] == ["ext_u042"]
    monkeypatch.setattr(TaskInstance, "max_tries", 2)  # the task is cleared
    assert sync(full_refresh=True)["updated"] == ROWS


def test_a_retry_does_not_ask_again_for_customers_that_its_run_did_not_find(
    warehouse, connected, sync, is_down, no_back_off, monkeypatch
) -> None:
    warehouse.run(
        "UPDATE customers SET user_id = 'nobody' WHERE user_id = 'u001'", "DELETE FROM customers WHERE user_id > 'u001'"
    )
    retried = {"retry_missing_after": timedelta(0), "retry_rejected": True}
    with is_down("u000"), pytest.raises(DubRetryLaterError):
        sync(**retried)
    monkeypatch.setattr(TaskInstance, "try_number", 2)
    before = len(connected.requests)
    with suppress(Exception):
        sync(**retried)
    assert (sync.summary["updated"], sync.summary["failed"], sync.summary["resumed"]) == (1, 1, 1)
    assert not any("nobody" in request["path"] for request in connected.requests[before:])


def test_a_lost_response_to_the_last_commit_is_no_failure(warehouse, connected, sync, monkeypatch) -> None:
    ended: list[Lease] = []
    end, transaction = Lease.end, Connection.transaction

    def end_it(self: Lease, cursor: Cursor) -> None:
        end(self, cursor)
        ended.append(self)

    @contextmanager
    def loses_a_response(self: Connection, **options: bool) -> Iterator[Cursor]:
        before = len(ended)
        with transaction(self, **options) as cursor:
            yield cursor
        if len(ended) > before:
            raise OSError("lost")

    monkeypatch.setattr(Lease, "end", end_it)
    monkeypatch.setattr(Connection, "transaction", loses_a_response)
    assert sync()["updated"] == ROWS
    assert len(ended) == 1
    assert set(warehouse.state("outcome").values()) == {"updated"}


def test_a_heartbeat_does_not_take_back_a_lease_that_was_released(
    warehouse, connected, sync, change_dialect, monkeypatch
) -> None:
    change_dialect(renew_every=0.05, lease_length=300)
    release = Lease.release

    def released_slowly(lease: Lease) -> None:
        release(lease)
        with suppress(Exception):
            lease.renew()

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "release", released_slowly)
        patch.setattr(Lease, "begin_requests", kill)
        with pytest.raises(KeyboardInterrupt):
            sync()
    assert warehouse.run("SELECT task FROM dub_state_lease") == [(None,)]
    monkeypatch.setattr(TaskInstance, "run_id", "another")
    assert sync()["updated"] == ROWS


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_state_table_that_was_copied_without_its_lease_is_not_believed(
    warehouse, connected, sync, dry_run: bool
) -> None:
    sync()
    warehouse.run("DROP TABLE dub_state_lease", "DROP TABLE dub_state_history")
    connected.reset()  # another workspace
    with pytest.raises(DubFixSetupError, match="If they are of another Dub, as in a copy, give state_table another"):
        sync(dry_run=dry_run)


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside", "elsewhere"])
@pytest.mark.parametrize("transactions", ["connection", "none"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_at_any_statement_is_made_whole_by_the_next(
    warehouse, connected, sync, change_dialect, monkeypatch, transactions, when, elsewhere
) -> None:
    if transactions == "none":

        def prepare(connection: Any) -> None:
            connection.isolation_level = None

        driver = replace(drivers.DRIVERS["sqlite3"](None), transactions="none", prepare=prepare)
        monkeypatch.setitem(drivers.DRIVERS, "sqlite3", lambda _: driver)
        change_dialect(has_transactions=False, temporary_table="")
    options: dict[str, Any] = {"commit_every": 5}
    if elsewhere:
        monkeypatch.setenv("AIRFLOW_CONN_SOURCE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
        options |= {"sql_conn_id": "source", "state_conn_id": "warehouse"}
    warehouse.run("DELETE FROM customers WHERE user_id >= 'u012'")
    sync(**options)
    statement, exit_code = 0, 1
    while exit_code:
        statement += 1
        name = f"edit {statement}"
        warehouse.run(f"UPDATE customers SET name = '{name}', country = 'DE' WHERE user_id < 'u009'")
        exit_code = _killed(lambda: sync(**options), at=statement, when=when)
        recorded = warehouse.run(
            f"SELECT customer_key FROM dub_state_history WHERE name = '{name}' AND outcome = 'updated'"
        )
        before = len(sent(connected))
        sync(**options)
        assert not {f"ext_{key}" for (key,) in recorded} & {*sent(connected)[before:]}
        wanted = dict(warehouse.run("SELECT user_id, name FROM customers"))
        assert {key: stored(connected, externalId=key)["name"] for key in wanted} == wanted
        assert sorted(warehouse.run("SELECT customer_key, name FROM dub_state")) == sorted(wanted.items())
        assert sync(**options)["plan"]["unchanged"] == len(wanted)
    assert statement > 20


def _killed(run: Callable[[], object], *, at: int, when: str) -> int | None:
    """Return the exit code of a process that is killed at a statement: 0 if it had fewer."""

    def child() -> None:
        count = 0
        for name in ("execute", "execute_as_given", "insert_rows"):
            original = getattr(Cursor, name)

            def counted(self: Cursor, *arguments: Any, original: Any = original, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == at and when == "before":
                    os._exit(7)
                result = original(self, *arguments, **options)
                if count == at:
                    os._exit(7)
                return result

            setattr(Cursor, name, counted)
        for output in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        run()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    return process.exitcode
