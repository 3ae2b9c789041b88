"""Many rows in chunks: one mapped task per chunk, spread over the workers by Airflow.

    fill_warehouse -> find_chunks -> read_chunk [n] -> update_customers [n] -> count

The chunks are cut by the warehouse, as ranges of ids, so that no task and no XCom holds all rows. Needs the connections
``dub_default`` and ``example_warehouse`` (a database of Airflow's SQL providers; the quick start uses a SQLite file).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task  # in DAGs of your own: from airflow.sdk

if TYPE_CHECKING:
    import pandas as pd

WAREHOUSE = "example_warehouse"
#: Rows of a chunk. In earnest some thousands: a minute's worth at Dub's limit, or more.
CHUNK = 2


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_dub_update_chunks():
    # Only so that the example runs anywhere. Your warehouse has its table already.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_countries",
            "CREATE TABLE dub_example_countries (external_id TEXT, country TEXT)",
            "INSERT INTO dub_example_countries VALUES ('airflow-example-ada', 'GB')",
            "INSERT INTO dub_example_countries VALUES ('airflow-example-grace', 'US')",
            "INSERT INTO dub_example_countries VALUES ('airflow-example-日本', 'JP')",
        ],
    )

    # The first and the last id of each chunk. Ranges, not pages: OFFSET loses rows when the table changes meanwhile.
    find_chunks = SQLExecuteQueryOperator(
        task_id="find_chunks",
        conn_id=WAREHOUSE,
        sql="""
            SELECT min(external_id), max(external_id)
            FROM (
                SELECT external_id, (row_number() OVER (ORDER BY external_id) - 1) / {{ params.chunk }} AS chunk
                FROM dub_example_countries
            ) AS numbered
            GROUP BY chunk
            ORDER BY chunk
        """,
        params={"chunk": CHUNK},
    )

    @task(show_return_value_in_logs=False)
    def read_chunk(first_and_last: list[str]) -> pd.DataFrame:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        # "?" is SQLite's; most other databases want "%s".
        sql = "SELECT * FROM dub_example_countries WHERE external_id BETWEEN ? AND ?"
        return DbApiHook.get_hook(WAREHOUSE).get_df(sql, first_and_last, df_type="pandas")

    updates = DubUpdateCustomersOperator.partial(
        task_id="update_customers",
        external_id_column="external_id",
        on_missing="skip",
        # What Airflow's grid shows instead of 0, 1, 2...
        map_index_template="{{ task.customers.rows.external_id.min() }} to {{ task.customers.rows.external_id.max() }}",
        # Tasks with the same key share its limit of requests: a few reach it, more only wait for each other. A pool
        # (pool="dub") bounds them over all DAGs.
        max_active_tis_per_dagrun=4,
    ).expand(customers=read_chunk.expand(first_and_last=find_chunks.output))

    @task
    def count(summaries: list[dict[str, Any]]) -> None:
        # Each mapped task pushes a summary of its own; together they are a sequence.
        print(sum(summary["updated"] for summary in summaries), "customers updated in", len(summaries), "chunks")

    fill_warehouse >> find_chunks
    count(updates.output["summary"])


example_dub_update_chunks()
