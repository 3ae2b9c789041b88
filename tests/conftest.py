"""A home for Airflow that is nobody's, a local Dub, and a connection to it."""

from __future__ import annotations

import json
import os
import tempfile

# Before anything imports Airflow, which reads them once.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-provider-dub-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]

import pytest  # noqa: E402

from airflow_provider_dub.emulator import DubEmulator  # noqa: E402


@pytest.fixture(scope="session")
def running_dub():
    with DubEmulator() as dub:
        yield dub


@pytest.fixture
def dub(running_dub):
    """A local Dub in the state of the seed: user_1 (cus_1LABA), user_2 (cus_1LABB), ext_weird (cus_1LABD)."""
    running_dub.reset()
    return running_dub


@pytest.fixture
def connect(monkeypatch):
    """Set the connection dub_default."""

    def connect(host: str | None, password: str | None = "dub_TESTKEY", **extra: object) -> None:
        connection = {"conn_type": "dub", "host": host, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_DUB_DEFAULT", json.dumps(connection))

    return connect


@pytest.fixture
def connected(dub, connect):
    """The connection dub_default leads to the local Dub."""
    connect(dub.url)
    return dub


@pytest.fixture
def logged(capfd, caplog):
    """Return all that was logged or printed so far: Airflow 3 logs past the standard library's handlers."""
    caplog.set_level("DEBUG")
    text = ""

    def logged() -> str:
        nonlocal text
        text += "".join(capfd.readouterr()) + caplog.text
        caplog.clear()
        return text

    return logged


def stored(dub: DubEmulator, **where: object) -> dict:
    """The one stored customer with this value."""
    ((name, value),) = where.items()
    (found,) = [customer for customer in dub.customers if customer[name] == value]
    return found
