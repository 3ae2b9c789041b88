"""The customers of a table that changed since they were last applied."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def sync_warehouse_to_dub():
    SqlToDubCustomersOperator(
        task_id="sync_customers",
        sql_conn_id="warehouse",
        sql="SELECT user_id, email, name, country FROM customers",
        dub_conn_id="dub_default",
        external_id_column="user_id",
        state_table="dub_state",  # what was applied; created if it is not there
        on_missing="skip",
        max_change_rate=0.2,  # if more of them changed at once, the model broke: nothing is sent
        retries=2,
    )


sync_warehouse_to_dub()
