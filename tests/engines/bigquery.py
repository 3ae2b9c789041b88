"""BigQuery, for which bqemulator stands in: a server that runs BigQuery's SQL on DuckDB, behind its REST API."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.servers import running
from tests.engines.stand_ins import StandIn
from tests.support.free_port import free_port

_DATA_SET = {"projectId": "project", "datasetId": "crm"}


@pytest.fixture(scope="session")
def bqemulator(tmp_path_factory) -> Iterator[str]:
    """The address of a bqemulator of this session, with a data set."""
    pytest.importorskip("bqemulator")
    import requests

    folder = tmp_path_factory.mktemp("bqemulator")
    _install_spatial(folder)

    def start(port: int) -> list[str]:
        ports = ["--rest-port", str(port), "--grpc-port", str(free_port())]
        return [sys.executable, "-m", "bqemulator", "start", *ports, "--project", "project"]

    with running(start, folder / "log", os.environ | {"HOME": str(folder)}) as port:
        address = f"http://127.0.0.1:{port}"
        created = requests.post(
            f"{address}/bigquery/v2/projects/project/datasets", json={"datasetReference": _DATA_SET}, timeout=30
        )
        created.raise_for_status()
        yield address


def _install_spatial(home: Path) -> None:
    """Install the extension of DuckDB that bqemulator needs, from a package rather than from DuckDB's site."""
    import duckdb
    import duckdb_extension_spatial

    (extension,) = Path(duckdb_extension_spatial.__file__).parent.rglob("*.duckdb_extension")
    with duckdb.connect(config={"extension_directory": str(home / ".duckdb" / "extensions")}) as connection:
        connection.execute(f"INSTALL '{extension}'")


@pytest.fixture(name="bigquery")
def bigquery_database(bqemulator, monkeypatch) -> StandIn:
    """A data set in bqemulator, through Airflow's hook and Google's clients."""
    from airflow.providers.google.cloud.hooks import bigquery
    from google.api_core.client_options import ClientOptions

    # The hook has two clients: one can be told an address by the environment, the other one only here.
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bqemulator)
    there = {"client_options": ClientOptions(api_endpoint=f"{bqemulator}/bigquery/v2/")}
    build = bigquery.build
    monkeypatch.setattr(bigquery, "build", lambda *names, **options: build(*names, **options | there))
    extra = {
        "project": "project",
        "is_anonymous": True,
        "api_resource_configs": {"query": {"defaultDataset": _DATA_SET}},
    }
    return StandIn("bigquery", conn_type="gcpbigquery", extra=extra)
