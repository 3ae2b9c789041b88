"""DAGs that begin by themselves; each updates thousands of customers, and somebody kills its task. Not an example."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import DAG

BATCH_SIZE = 100
MAX_WORKERS = 8
#: Rows by DAG.
ROWS = {
    "killed_at_10_percent": 5_000,
    "killed_at_50_percent": 5_000,
    "killed_at_90_percent": 5_000,
    "supervisor_killed": 5_000,
    "killed_and_cleared": 1_000,
    "terminated": 5_000,
}
#: DAGs whose task is not tried again.
ONE_TRY = ("killed_and_cleared", "terminated")


def rows_of(dag_id: str) -> list[dict[str, str]]:
    return [{"id": f"cus_{dag_id}_{row:04}", "name": f"{dag_id} {row}"} for row in range(ROWS[dag_id])]


for dag_id in ROWS:
    with DAG(
        dag_id,
        schedule="@once",
        start_date=datetime(2026, 1, 1),
        catchup=False,
        is_paused_upon_creation=False,
        default_args={"retries": 0 if dag_id in ONE_TRY else 2, "retry_delay": timedelta(0)},
    ) as dag:
        DubUpdateCustomersOperator(
            task_id="update",
            customers=rows_of(dag_id),
            checkpoint_every=BATCH_SIZE,
            max_workers=MAX_WORKERS,
            rejected_path=f"{os.environ['AIRFLOW_HOME']}/{dag_id}.jsonl" if dag_id == "terminated" else None,
        )
    globals()[dag_id] = dag
