"""Nothing is sent before a person has seen how much it is: plan, approve, sync. Airflow 3.1.

    fill_warehouse -> plan -> approve -> sync_customers -> show_runs

Somebody answers in Airflow's UI, at *Required Actions*. Needs two connections: ``dub_default`` and
``example_warehouse``, as `example_dub_update_customers` does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import dag, task  # in DAGs of your own: from airflow.sdk

WAREHOUSE = "example_warehouse"
SYNC = {
    "sql_conn_id": WAREHOUSE,
    "sql": "SELECT external_id, name FROM dub_example_approval",
    "external_id_column": "external_id",
    "state_table": "dub_example_approval_state",
}
#: Markdown. The summary holds numbers and names of columns, and no value of a customer.
PLAN = """\
{% set summary = ti.xcom_pull(task_ids='plan', key='summary') %}{% set plan = summary['plan'] %}
| rows | |
| --- | --- |
| **to send** | **{{ '{:,}'.format(plan['to_send']) }}** |
| new | {{ '{:,}'.format(plan['new']) }} |
| changed | {{ '{:,}'.format(plan['changed']) }} |
| unchanged | {{ '{:,}'.format(plan['unchanged']) }} |
| of those to send, would be rejected | {{ '{:,}'.format(summary['rejected']) }} |
"""


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # a plan that waits for its answer would be out of date after the next run
    tags=["dub", "example"],
)
def example_sql_to_dub_approval():
    # Only so that the example runs anywhere.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_approval",
            "DROP TABLE IF EXISTS dub_example_approval_state",
            "DROP TABLE IF EXISTS dub_example_approval_state_lease",
            "CREATE TABLE dub_example_approval (external_id TEXT, name TEXT)",
            "INSERT INTO dub_example_approval VALUES ('airflow-example-ada', 'Ada, approved')",
            "INSERT INTO dub_example_approval VALUES ('airflow-example-grace', 'Grace, approved')",
        ],
    )

    # Reads, checks and counts, and sends nothing. Rows that would be rejected do not fail it: they are counted.
    plan = SqlToDubCustomersOperator(task_id="plan", dry_run=True, **SYNC)

    # A rejection skips what comes after. Without a response for a day the task fails.
    approve = ApprovalOperator(
        task_id="approve",
        subject="May this plan be sent to Dub?",
        body=PLAN,
        response_timeout=timedelta(days=1),
    )

    # More than what was approved is never sent: if the warehouse has changed meanwhile, this fails before its first
    # request. Rows that are rejected fail it after the others were sent, unless `max_failure_rate` allows them.
    sync_customers = SqlToDubCustomersOperator(
        task_id="sync_customers",
        max_changes="{{ ti.xcom_pull(task_ids='plan', key='summary')['plan']['to_send'] }}",
        **SYNC,
    )

    @task
    def show_runs(ti: Any = None) -> None:
        plan, summary = (ti.xcom_pull(task_ids=name, key="summary") for name in ("plan", "sync_customers"))
        print(f"{plan['would_update']} planned, {summary['updated']} updated.")

    fill_warehouse >> plan >> approve >> sync_customers >> show_runs()


example_sql_to_dub_approval()
