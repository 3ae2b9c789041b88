"""The customers of a database that may only be read; what was applied is kept in another one."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import dag

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def sync_read_only_source():
    SqlToDubCustomersOperator(
        task_id="sync_customers",
        sql_conn_id="warehouse",  # any SQL connection of Airflow's; the query is all that is run there
        sql="SELECT user_id, email, name, country FROM customers",
        state_conn_id="state",  # PostgreSQL, for instance
        state_table="dub_state",  # in the database of state_conn_id
        external_id_column="user_id",
        on_missing="skip",
        retries=2,
    )


sync_read_only_source()
