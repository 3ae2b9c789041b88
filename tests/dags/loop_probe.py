"""The transfer in a loop of tasks, where this Airflow has loops (3.4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import dag

try:
    from airflow.sdk import task_group
except ImportError:  # Airflow 2.11
    from airflow.decorators import task_group


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def loop_probe():
    fill = SQLExecuteQueryOperator(
        task_id="fill",
        conn_id="example_warehouse",
        sql=[
            "CREATE TABLE loop_customers (external_id TEXT, country TEXT)",
            "INSERT INTO loop_customers VALUES ('airflow-example-grace', 'US')",
        ],
    )

    @task_group
    def body():
        sync = SqlToDubCustomersOperator(
            task_id="sync",
            sql_conn_id="example_warehouse",
            sql="SELECT * FROM loop_customers",
            external_id_column="external_id",
            state_table="loop_state",
        )
        edit = SQLExecuteQueryOperator(
            task_id="edit", conn_id="example_warehouse", sql="UPDATE loop_customers SET country = 'GB'"
        )
        sync >> edit

    looped: Any = body
    fill >> looped.loop(max_iterations=2)


if hasattr(task_group(lambda: None), "loop"):
    loop_probe()
