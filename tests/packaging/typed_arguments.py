"""What users write, as mypy and an IDE read it: not run, but checked with the package's types."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa

from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import ObjectStoragePath, task

ROWS = [{"id": "cus_1", "name": "Ada"}]
FILE = Path("/data/customers.parquet")


@task
def extract() -> list[dict[str, str]]:
    return ROWS


def inputs_of_the_operator() -> None:
    DubUpdateCustomersOperator(task_id="a", customers=pd.DataFrame(ROWS))
    DubUpdateCustomersOperator(task_id="b", customers=pl.DataFrame(ROWS))
    DubUpdateCustomersOperator(task_id="c", customers=pa.Table.from_pylist(ROWS))
    DubUpdateCustomersOperator(task_id="d", customers=ROWS)
    DubUpdateCustomersOperator(task_id="e", customers=ROWS[0])
    DubUpdateCustomersOperator(task_id="f", customers=FILE)
    DubUpdateCustomersOperator(task_id="g", customers="s3://warehouse@bucket/customers.csv")
    DubUpdateCustomersOperator(task_id="h", customers=ObjectStoragePath("s3://bucket/customers.csv"))
    DubUpdateCustomersOperator(task_id="i", customers=[FILE, "/data/more.csv"])


def files_and_templates() -> None:
    DubUpdateCustomersOperator(task_id="a", customers=ROWS, rejected_path=FILE, records_path="/data/records.jsonl")
    SqlToDubCustomersOperator(
        task_id="b",
        sql="SELECT id, name FROM customers",
        sql_conn_id="warehouse",
        state_table="dub_state",
        baseline="{{ params.baseline }}",
        limit="{{ params.limit }}",
        dry_run="{{ params.dry_run }}",
        max_change_rate="{{ params.max_change_rate }}",
        rejected_path=FILE,
    )


def inputs_of_the_hook() -> int:
    hook = DubHook()
    options = SyncOptions(null_policy={"name": "clear"}, on_missing="skip")
    results = [
        *hook.update_customers(pd.DataFrame(ROWS), options),
        *hook.update_customers(pl.DataFrame(ROWS), options),
        *hook.update_customers(ROWS, options),
        *hook.update_customers(iter(ROWS), options),
        *hook.update_customers(ROWS[0], options),
        *hook.update_customers(FILE, options),
        *hook.update_customers(str(FILE), options),
    ]
    return sum(result.outcome is Outcome.FAILED for result in results)


def customers_of_the_hook() -> list[str]:
    return [customer["id"] for customer in DubHook().list_customers(country="DE")]
