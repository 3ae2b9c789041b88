"""Many customers, cut into chunks that mapped tasks update."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import dag, task

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def update_in_chunks():
    @task(show_return_value_in_logs=False)  # ids may be e-mail addresses
    def find_chunks():  # the first and the last id of each 10,000 rows
        return PostgresHook("warehouse").get_records("""
            SELECT min(user_id), max(user_id)
            FROM (
                SELECT user_id, (row_number() OVER (ORDER BY user_id) - 1) / 10000 AS chunk FROM customers
            ) AS numbered
            GROUP BY chunk ORDER BY chunk
        """)

    @task(show_return_value_in_logs=False)
    def read_chunk(first_and_last):
        sql = "SELECT user_id, email, country FROM customers WHERE user_id BETWEEN %s AND %s"
        return PostgresHook("warehouse").get_df(sql, tuple(first_and_last))

    DubUpdateCustomersOperator.partial(
        task_id="update_dub",
        external_id_column="user_id",
        on_missing="skip",
        map_index_template="{{ task.customers.rows.user_id.min() }} to {{ task.customers.rows.user_id.max() }}",
        pool="dub",
        retries=2,
    ).expand(customers=read_chunk.expand(first_and_last=find_chunks()))


update_in_chunks()
