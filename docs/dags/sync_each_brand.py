from datetime import datetime

from airflow.sdk import dag

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator

BRANDS = ["acme", "beta"]


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def sync_each_brand():
    # Each task has its own rows and its own state table: one table for all would be locked by the first of them.
    SqlToDubCustomersOperator.partial(
        task_id="sync_brand",
        sql_conn_id="warehouse",
        sql="SELECT user_id, email, name, country FROM customers WHERE brand = %(brand)s",
        external_id_column="user_id",
        on_missing="skip",
        map_index_template="{{ task.parameters['brand'] }}",
    ).expand_kwargs([{"parameters": {"brand": brand}, "state_table": f"dub_state_{brand}"} for brand in BRANDS])


sync_each_brand()
