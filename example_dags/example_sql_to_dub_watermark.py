"""A query that reads only rows that are new in the warehouse; how far it came is kept with the asset. Airflow 3.3.

    fill_warehouse -> read_watermarks -> update_customers -> move_watermark -> show_watermark

The state table already keeps unchanged rows from being sent. A watermark also spares the warehouse reading them, which
is worth it for a large table with a column such as `updated_at`. Needs two connections: ``dub_default`` and
``example_warehouse``, as `example_dub_update_customers` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import Asset, dag, task  # in DAGs of your own: from airflow.sdk

WAREHOUSE = "example_warehouse"
CUSTOMERS = Asset("example_warehouse_people")


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_sql_to_dub_watermark():
    # Only so that the example runs anywhere: two people, edited just now, and a Dub that is a new one each time.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_people_state",
            "DROP TABLE IF EXISTS dub_example_people_state_lease",
            "CREATE TABLE IF NOT EXISTS dub_example_people (external_id TEXT, name TEXT, updated_at TEXT)",
            "DELETE FROM dub_example_people",
            """INSERT INTO dub_example_people VALUES
                ('airflow-example-ada', 'Ada of the watermark', CURRENT_TIMESTAMP),
                ('airflow-example-grace', 'Grace of the watermark', CURRENT_TIMESTAMP)""",
        ],
    )

    # Both ends are read before the sync: a row that is edited meanwhile belongs to the next run, and so does one of the
    # same second that is seen only later. That run reads the last second again, which costs no request.
    @task(inlets=[CUSTOMERS])
    def read_watermarks(asset_state_store: Any = None) -> dict[str, str]:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        since = asset_state_store[CUSTOMERS].get("synced_until", default="")
        newest = DbApiHook.get_hook(WAREHOUSE).get_first("SELECT max(updated_at) FROM dub_example_people")[0]
        return {"since": since, "until": newest or since}

    # A text with Jinja in it, such as `{{ data_interval_start }}`, would do in the query as well.
    update_customers = SqlToDubCustomersOperator(
        task_id="update_customers",
        sql_conn_id=WAREHOUSE,
        sql="SELECT external_id, name FROM dub_example_people WHERE updated_at >= :since AND updated_at <= :until",
        parameters={
            "since": "{{ ti.xcom_pull(task_ids='read_watermarks')['since'] }}",
            "until": "{{ ti.xcom_pull(task_ids='read_watermarks')['until'] }}",
        },
        external_id_column="external_id",
        state_table="dub_example_people_state",
        max_failure_rate=0.01,
    )

    # It moves only past rows that Dub has. A run may be green and have left rows behind: by `max_failures`, by `limit`,
    # or since Dub does not know the customer yet. The next run would not read them, so the watermark waits for them;
    # what was applied is in the state table, and reading it again costs no request.
    @task(inlets=[CUSTOMERS])
    def move_watermark(ti: Any = None, asset_state_store: Any = None) -> None:
        summary = ti.xcom_pull(task_ids="update_customers", key="summary")
        plan = summary["plan"]
        left_behind = summary["total"] - summary["updated"] - summary["unchanged"] + plan["refused"] + plan["missing"]
        if left_behind:
            print(f"{left_behind} rows are not in Dub yet: the watermark stays where it is.")
            return
        until = ti.xcom_pull(task_ids="read_watermarks")["until"]
        asset_state_store[CUSTOMERS].set("synced_until", until)

    @task(inlets=[CUSTOMERS])
    def show_watermark(asset_state_store: Any = None) -> None:
        print(f"Synced until {asset_state_store[CUSTOMERS].get('synced_until')}.")

    fill_warehouse >> read_watermarks() >> update_customers >> move_watermark() >> show_watermark()


example_sql_to_dub_watermark()
