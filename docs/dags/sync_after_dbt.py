from datetime import datetime

from airflow.sdk import Asset, dag

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator

#: The table that the dbt model writes: host, database, schema and model, as Cosmos names it on Airflow 3.
CUSTOMERS = Asset("postgres://warehouse.example:5432/analytics/public/customers")


@dag(schedule=[CUSTOMERS], start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def sync_after_dbt():
    SqlToDubCustomersOperator(
        task_id="sync_customers",
        sql_conn_id="warehouse",
        sql="SELECT user_id, email, name, country FROM customers",
        external_id_column="user_id",
        state_table="dub_state_dbt",
        on_missing="skip",
    )


sync_after_dbt()
