"""Many customers in mapped tasks, eight at a time; how many, and what their names begin with, comes with the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task

BATCH_SIZE = 50
MAX_WORKERS = 8


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
)
def scale_out():
    @task(show_return_value_in_logs=False)
    def read_chunks(dag_run: Any = None) -> list[list[dict[str, Any]]]:
        rows, size, name = (dag_run.conf[key] for key in ("rows", "size", "name"))
        customers = [{"id": f"cus_9{n:05}", "name": f"{name} {n}"} for n in range(rows)]
        return [customers[start : start + size] for start in range(0, rows, size)]

    DubUpdateCustomersOperator.partial(
        task_id="update_customers",
        checkpoint_every=BATCH_SIZE,
        max_workers=MAX_WORKERS,
        map_index_template="{{ task.customers.rows[0].id }} to {{ task.customers.rows[-1].id }}",
        max_active_tis_per_dagrun=8,
    ).expand(customers=read_chunks())


scale_out()
