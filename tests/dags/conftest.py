"""One run of all DAGs of these tests on a real Airflow: database, task runner, XCom, listeners."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.version_compat import Context
from tests.support.airflow_commands import AirflowCommands
from tests.support.dub_connection import dub_connection
from tests.support.paths import ROOT

#: Those of the examples.
CUSTOMERS_IN_DUB = json.loads((ROOT / "example_dags" / "customers_in_dub.json").read_text(encoding="utf-8"))
EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("example_*.py"))
if "asset_state_store" not in Context.__annotations__:  # Airflow before 3.3
    EXAMPLES.remove("example_sql_to_dub_watermark")
try:
    import airflow.providers.standard.operators.hitl
except Exception:  # Airflow before 3.1 has nobody to ask
    EXAMPLES.remove("example_sql_to_dub_approval")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory):
    """The states of all DAG runs, everything that was printed or logged, what OpenLineage got, and the database."""
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    for dag in [
        *(ROOT / "example_dags" / f"{name}.py" for name in EXAMPLES),
        *Path(__file__).parent.glob("*_probe.py"),
    ]:
        shutil.copy(dag, dags)
    with DubEmulator() as dub:
        dub.reset(setup_customers=[{"id": f"cus_EX{n}", **customer} for n, customer in enumerate(CUSTOMERS_IN_DUB)])
        environment = {
            "AIRFLOW__OPENLINEAGE__TRANSPORT": _transport(home / "lineage.jsonl"),
            "AIRFLOW_CONN_DUB_DEFAULT": dub_connection(dub.url, dub.api_key),
            "AIRFLOW_CONN_DUB_SLUG": dub_connection(dub.url, dub.api_key, workspace_slug="lab-main"),
            "AIRFLOW_CONN_DUB_ACME": dub_connection(None, dub.api_key, workspace_slug="acme"),
            "AIRFLOW_CONN_DUB_GONE": dub_connection("http://127.0.0.1:9", dub.api_key, max_retries=0),
            "AIRFLOW_CONN_DUB_WRONG_KEY": dub_connection(dub.url, "dub_nope"),
            "AIRFLOW_CONN_EXAMPLE_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(home / "warehouse.db")}),
        }
        commands = AirflowCommands(home, environment)
        output = ""
        for command in (
            ["airflow", "db", "migrate"],
            ["airflow", "dags", "reserialize"],  # before Airflow 3.1 a test run does not register assets
            ["tests.dags.run_dags", str(home / "states.json")],
        ):
            done = commands.run(*command)
            output += done.stdout + done.stderr
        customers = {customer["id"]: customer for customer in dub.customers}
    logs = "".join(path.read_text(errors="replace") for path in (home / "logs").rglob("*") if path.is_file())
    return {
        **json.loads((home / "states.json").read_text()),
        "output": output + logs,
        "lineage": (home / "lineage.jsonl").read_text(),
        "database": home / "airflow.db",
        "customers": customers,
    }


def _transport(file: Path) -> str:
    return json.dumps({"type": "file", "log_file_path": str(file), "append": True})
