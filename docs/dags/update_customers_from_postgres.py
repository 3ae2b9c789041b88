"""Customers that changed in the last day, from PostgreSQL to Dub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import dag, task

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, default_args={"retries": 2})
def update_customers_from_postgres():
    @task(show_return_value_in_logs=False)  # Airflow logs what a task returns unless told not to
    def read_warehouse():
        since = datetime.now(UTC) - timedelta(days=1)
        sql = "SELECT user_id, email, name, country FROM customers WHERE updated_at > %s"
        return PostgresHook("warehouse").get_df(sql, (since,))

    update = DubUpdateCustomersOperator(
        task_id="update_dub",
        dub_conn_id="dub_default",
        customers=read_warehouse(),
        external_id_column="user_id",  # your own id, which Dub calls the external id
        on_missing="skip",  # a customer that Dub does not know is counted and does no harm
    )

    @task
    def count(updated, summary):
        print(f"{len(updated)} updated, {summary.get('missing', 0)} not in Dub, of {summary['total']} rows")

    count(update.output, update.output["summary"])


update_customers_from_postgres()
