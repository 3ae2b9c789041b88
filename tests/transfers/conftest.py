"""Databases that hold customers, each behind its own Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.warehouse import dialects
from tests.engines.stand_ins import STAND_INS, installed
from tests.support import mariadb
from tests.support.database import Database
from tests.support.task_instance import TaskInstance


@pytest.fixture(scope="session")
def mariadb_socket() -> Iterator[str]:
    """A MariaDB server of this session; tests clear what they make."""
    pytest.importorskip("MySQLdb")
    if not mariadb.is_installed():
        pytest.skip("no MariaDB server on this machine")
    with mariadb.mariadb_socket() as socket:
        yield socket


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mysql", *installed()])
def database(request, tmp_path, monkeypatch) -> Database:
    """An empty database of each engine."""
    return _empty_database(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def sqlite(request, tmp_path, monkeypatch) -> Database:
    """An empty SQLite database."""
    return _empty_database("sqlite", request, tmp_path, monkeypatch)


def _empty_database(engine: str, request, tmp_path, monkeypatch) -> Database:
    if engine in STAND_INS:
        return empty(request.getfixturevalue(engine), monkeypatch)
    return empty(getattr(_Databases, engine)(request, tmp_path), monkeypatch)


def empty(database: Database, monkeypatch) -> Database:
    """Set the connection ``warehouse``, and drop what an earlier test left there."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.connection)
    for table in ("customers", "dub_state", "dub_state_lease", "dub_state_history", "dub_state_staging"):
        database.run(f"DROP TABLE IF EXISTS {table}")
    return database


class _Databases:
    @staticmethod
    def sqlite(request, tmp_path) -> Database:
        return Database("sqlite", conn_type="sqlite", host=str(tmp_path / "warehouse.sqlite"))

    @staticmethod
    def duckdb(request, tmp_path) -> Database:
        pytest.importorskip("duckdb")
        return Database("duckdb", conn_type="duckdb", host=str(tmp_path / "warehouse.duckdb"))

    @staticmethod
    def postgres(request, tmp_path) -> Database:
        socket = request.getfixturevalue("postgres_socket")
        return Database("postgres", conn_type="postgres", host=socket, login="postgres", schema="postgres")

    @staticmethod
    def mysql(request, tmp_path) -> Database:
        socket = request.getfixturevalue("mariadb_socket")
        extra = {"unix_socket": socket, "charset": "utf8mb4"}
        return Database("mysql", conn_type="mysql", host="localhost", login="root", schema="warehouse", extra=extra)


@pytest.fixture
def engine(request, monkeypatch):
    """Give the engine of the database other ways. A lease is four times ``renew_every``, unless that is given, too."""

    def engine(**ways: Any) -> None:
        used = [name for name in ("database", "sqlite") if name in request.fixturenames]
        name = request.getfixturevalue(used[0]).engine
        if "renew_every" in ways:
            ways.setdefault("lease_length", 4 * ways["renew_every"])
        monkeypatch.setitem(dialects.DIALECTS, name, replace(dialects.DIALECTS[name], **ways))

    return engine


@pytest.fixture
def while_sending(monkeypatch):
    """Let something happen, once, when the first update of a run is about to leave."""

    def while_sending(happens: Callable[[], object]) -> None:
        update, is_first = DubClient.update_customer, threading.Lock()

        def updated(self: DubClient, *arguments: Any, **options: Any) -> Any:
            with is_first:
                if DubClient.update_customer is updated:
                    monkeypatch.setattr(DubClient, "update_customer", update)
                    happens()
            return update(self, *arguments, **options)

        monkeypatch.setattr(DubClient, "update_customer", updated)

    return while_sending


@pytest.fixture
def sync():
    """Run the operator and return its summary."""

    def sync(sql: str = "SELECT * FROM customers", **options: Any) -> dict[str, Any]:
        options = {"external_id_column": "user_id", "state_table": "dub_state", "sql_conn_id": "warehouse"} | options
        ti = TaskInstance()
        try:
            # As Airflow's task runner calls it, which 2.11 asks of every thread but the main one.
            caller = {"SqlToDubCustomersOperator__sentinel": object()}
            SqlToDubCustomersOperator(task_id="sync", sql=sql, **options).execute({"ti": ti}, **caller)
        finally:
            sync.summary = ti.xcoms.get("summary")  # also of a run that failed
        return sync.summary

    return sync
