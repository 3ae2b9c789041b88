"""Many rows in chunks: one mapped task per chunk, spread over the workers by Airflow.

Tasks that share an API key share its limit of requests too, so more tasks do not make the sync faster than the key
allows. Chunks are worth it for their own logs, retries and progress. Needs the connection ``dub_default``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator

CHUNK = 2


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_dub_update_chunks():
    @task(show_return_value_in_logs=False)
    def read_chunks() -> list[list[dict[str, Any]]]:
        rows = [
            {"external_id": "airflow-example-ada", "country": "GB"},
            {"external_id": "airflow-example-grace", "country": "US"},
            {"external_id": "airflow-example-日本", "country": "JP"},
        ]
        return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]

    updates = DubUpdateCustomersOperator.partial(
        task_id="update_customers",
        external_id_column="external_id",
        on_missing="skip",
        max_active_tis_per_dagrun=4,
    ).expand(customers=read_chunks())

    @task
    def count(summaries: list[dict[str, Any]]) -> None:
        # Each mapped task pushes a summary of its own; together they are a sequence.
        print(sum(summary["updated"] for summary in summaries), "customers updated in", len(summaries), "chunks")

    count(updates.output["summary"])


example_dub_update_chunks()
