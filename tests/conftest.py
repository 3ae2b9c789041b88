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

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from airflow_provider_dub.emulator import DubEmulator  # noqa: E402

HERE = Path(__file__).parent
#: Folders and files of tests that need a whole Airflow, and databases that are servers.
WHOLE_AIRFLOW = [
    HERE / name for name in ("dags", "docs/test_dags.py", "packaging/test_quick_start.py", "resume", "scale_out")
]
SERVERS = {"postgres", "mysql"}
SERVER_FIXTURES = {"postgres_socket", "mariadb_socket"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs more than Python, so that ``-m "not airflow and not engines"`` is the quick inner loop."""
    for item in items:
        if any(item.path.is_relative_to(place) for place in WHOLE_AIRFLOW):
            item.add_marker("airflow")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if parameters.get("database") in SERVERS or SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("engines")


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
