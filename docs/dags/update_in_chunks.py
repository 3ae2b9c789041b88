"""Many customers, cut into chunks that mapped tasks update."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import dag, task

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def update_in_chunks():
    @task(show_return_value_in_logs=False)  # ids may be e-mail addresses
    def find_chunks():  # from the first id of each 10,000 rows to that of the next; None is open
        firsts = PostgresHook("warehouse").get_records("""
            SELECT user_id
            FROM (SELECT user_id, row_number() OVER (ORDER BY user_id) AS place FROM customers) AS numbered
            WHERE place % 10000 = 1 AND place > 1 AND user_id IS NOT NULL
            ORDER BY user_id
        """)
        return list(pairwise([None, *(first for (first,) in firsts), None]))

    @task(show_return_value_in_logs=False)
    def read_chunk(chunk):
        sql = """
            SELECT user_id, email, country FROM customers
            WHERE COALESCE(user_id, '') >= COALESCE(%s, '') AND (COALESCE(user_id, '') < %s) IS NOT FALSE
        """
        return PostgresHook("warehouse").get_df(sql, tuple(chunk))

    DubUpdateCustomersOperator.partial(
        task_id="update_dub",
        external_id_column="user_id",
        on_missing="skip",
        map_index_template="{{ task.customers.rows.user_id.min() }} to {{ task.customers.rows.user_id.max() }}",
        pool="dub",
        retries=2,
    ).expand(customers=read_chunk.expand(chunk=find_chunks()))


update_in_chunks()
