"""Snowflake, for which fakesnow stands in: a server that runs Snowflake's SQL on DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.engines.servers import running
from tests.engines.stand_ins import StandIn


@pytest.fixture(scope="session")
def fakesnow(tmp_path_factory) -> Iterator[int]:
    """The port of a fakesnow of this session."""
    pytest.importorskip("fakesnow")
    log = tmp_path_factory.mktemp("fakesnow") / "log"
    server = [sys.executable, "-m", "tests.engines.fakesnow_server", "-s", "-p"]
    with running(lambda port: [*server, str(port)], log) as port:
        yield port


@pytest.fixture(name="snowflake")
def snowflake_database(fakesnow, monkeypatch) -> StandIn:
    """A database in fakesnow, through Airflow's hook and Snowflake's connector."""
    import snowflake.connector

    # The one thing that an Airflow connection cannot say.
    connect = partial(snowflake.connector.connect, protocol="http")
    monkeypatch.setattr(snowflake.connector, "connect", connect)
    extra = {"account": "fakesnow", "database": "crm", "host": "127.0.0.1", "port": fakesnow}
    return StandIn("snowflake", conn_type="snowflake", login="fake", password="snow", schema="public", extra=extra)
