"""A sync that a trigger form can hold back: look first, send a few, allow only so many changes, send everything again.

    fill_warehouse -> sync_customers -> show_plan

It has no schedule; if you give it one, its runs use the defaults below. Whoever triggers the DAG by hand sees them in a
form, and may change them for that run. Needs two connections: ``dub_default`` and ``example_warehouse``, as
`example_dub_update_customers` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import Param, dag, task  # in DAGs of your own: from airflow.sdk

WAREHOUSE = "example_warehouse"
PARAMS = {
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Read, check and count the rows. Nothing is sent."
    ),
    "full_refresh": Param(
        False,
        type="boolean",
        title="Full refresh",
        description="Send all rows, also those that did not change.",
    ),
    "limit": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Limit",
        description="Send only so many rows. The others stay as they are for the next run.",
    ),
    "max_changes": Param(
        1000,
        type=["null", "integer"],
        minimum=0,
        title="Most changes",
        description="Send nothing at all if there are more rows to send than this.",
    ),
}


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, params=PARAMS, tags=["dub", "example"])
def example_sql_to_dub_form():
    # Only so that the example runs anywhere, and begins anew each time.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_form_state",
            "DROP TABLE IF EXISTS dub_example_form_state_lease",
            "DROP TABLE IF EXISTS dub_example_form",
            "CREATE TABLE dub_example_form (external_id TEXT, name TEXT)",
            "INSERT INTO dub_example_form VALUES ('airflow-example-ada', 'Ada of the form')",
            "INSERT INTO dub_example_form VALUES ('airflow-example-grace', 'Grace of the form')",
        ],
    )

    # What the form gives is text by the time the operator reads it. It is read strictly: "False" is false, "None" is
    # no limit, and anything that is neither a flag nor a number is an error.
    sync_customers = SqlToDubCustomersOperator(
        task_id="sync_customers",
        sql_conn_id=WAREHOUSE,
        sql="SELECT external_id, name FROM dub_example_form",
        external_id_column="external_id",
        state_table="dub_example_form_state",
        dry_run="{{ params.dry_run }}",
        full_refresh="{{ params.full_refresh }}",
        limit="{{ params.limit }}",
        max_changes="{{ params.max_changes }}",
    )

    @task
    def show_plan(ti: Any = None) -> None:
        summary = ti.xcom_pull(task_ids="sync_customers", key="summary")
        counts = ("updated", "would_update", "over_limit")
        print(f"{summary['plan']['to_send']} to send:", *(f"{summary[name]} {name}" for name in counts))

    fill_warehouse >> sync_customers >> show_plan()


example_sql_to_dub_form()
