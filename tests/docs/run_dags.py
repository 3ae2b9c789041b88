"""Runs the DAGs of the documentation on a real Airflow in one process, and prints what Dub has after each, as JSON.

Before each, a customer's country changes in the warehouse, so that every DAG has something to send.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import requests
from airflow.providers.postgres.hooks.postgres import PostgresHook

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.1
    from airflow.models.dagbag import DagBag

COUNTRIES = ["AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO"]


def user_1() -> dict[str, Any]:
    host = json.loads(os.environ["AIRFLOW_CONN_DUB_DEFAULT"])["host"]
    customers = requests.get(f"{host}/_emulator/customers", timeout=30).json()
    (found,) = (customer for customer in customers if customer["externalId"] == "user_1")
    return dict(found)


def main(*dag_ids: str) -> None:
    warehouse = PostgresHook("warehouse")
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    seen = []
    for dag_id, country in zip(dag_ids, COUNTRIES[: len(dag_ids)], strict=True):
        warehouse.run("UPDATE customers SET country = %s WHERE user_id = 'user_1'", parameters=[country])
        state = str(bag.dags[dag_id].test().state)
        seen.append({"dag": dag_id, "state": state, "warehouse": country, "dub": user_1()["country"]})
    print("\n" + json.dumps({"import_errors": bag.import_errors, "runs": seen}))


if __name__ == "__main__":
    main(*sys.argv[1:])
