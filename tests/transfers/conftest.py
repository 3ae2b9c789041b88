"""Databases that hold customers, each behind its own Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.warehouse import dialects
from tests.engines.stand_ins import installed
from tests.support import mariadb
from tests.support.database import Database, connect_empty
from tests.support.transfer import Transfer


@pytest.fixture(scope="session")
def mariadb_socket() -> Iterator[str]:
    """The socket of a MariaDB server of this session; tests clear what they make."""
    pytest.importorskip("MySQLdb")
    if not mariadb.is_installed():
        pytest.skip("no MariaDB server on this machine")
    with mariadb.mariadb_socket() as socket:
        yield socket


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mysql", *installed()])
def database(request, tmp_path, monkeypatch) -> Database:
    """An empty database of each engine."""
    return connect_empty(_database_of(request.param, request, tmp_path), monkeypatch)


@pytest.fixture
def sqlite(request, tmp_path, monkeypatch) -> Database:
    """An empty SQLite database."""
    return connect_empty(_database_of("sqlite", request, tmp_path), monkeypatch)


def _database_of(engine: str, request, tmp_path) -> Database:
    if engine == "sqlite":
        return Database("sqlite", conn_type="sqlite", host=str(tmp_path / "warehouse.sqlite"))
    if engine == "duckdb":
        pytest.importorskip("duckdb")
        return Database("duckdb", conn_type="duckdb", host=str(tmp_path / "warehouse.duckdb"))
    if engine == "postgres":
        socket = request.getfixturevalue("postgres_socket")
        return Database("postgres", conn_type="postgres", host=socket, login="postgres", schema="postgres")
    if engine == "mysql":
        extra = {"unix_socket": request.getfixturevalue("mariadb_socket"), "charset": "utf8mb4"}
        return Database("mysql", conn_type="mysql", host="localhost", login="root", schema="warehouse", extra=extra)
    return request.getfixturevalue(engine)  # that of its stand-in


@pytest.fixture
def change_dialect(request, monkeypatch):
    """Change fields of the dialect of the test's database. A lease is four times ``renew_every``, unless given, too."""

    def change_dialect(**fields: Any) -> None:
        used = [name for name in ("database", "sqlite") if name in request.fixturenames]
        name = request.getfixturevalue(used[0]).engine
        if "renew_every" in fields:
            fields.setdefault("lease_length", 4 * fields["renew_every"])
        monkeypatch.setitem(dialects.DIALECTS, name, replace(dialects.DIALECTS[name], **fields))

    return change_dialect


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
def sync() -> Transfer:
    """Run the operator and return its summary."""
    return Transfer()
