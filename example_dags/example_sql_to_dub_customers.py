"""A query to Dub, again and again: each run sends only what changed since the one before.

    fill_warehouse -> first_run -> edit_three_rows -> second_run -> third_run -> show_runs

Usually this is one task in a DAG with a schedule. Here it runs three times in a row, to show what each of them sends.
Needs two connections: ``dub_default`` and ``example_warehouse``, as `example_dub_update_customers` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import dag, task  # in DAGs of your own: from airflow.sdk

WAREHOUSE = "example_warehouse"
RUNS = ("first_run", "second_run", "third_run")


def sync(task_id: str) -> SqlToDubCustomersOperator:
    # The state table is created by the first run. It is yours to look into: what was applied when, what was refused
    # and why. The database compares the query with it, so a large table with few changes costs few requests.
    return SqlToDubCustomersOperator(
        task_id=task_id,
        sql_conn_id=WAREHOUSE,
        sql="SELECT external_id, name, email, country FROM dub_example_sync",
        external_id_column="external_id",
        state_table="dub_example_sync_state",
        on_missing="skip",
    )


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_sql_to_dub_customers():
    # Only so that the example runs anywhere, and begins anew each time.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_sync_state",
            "DROP TABLE IF EXISTS dub_example_sync_state_lease",
            "DROP TABLE IF EXISTS dub_example_sync",
            "CREATE TABLE dub_example_sync (external_id TEXT, name TEXT, email TEXT, country TEXT)",
            """INSERT INTO dub_example_sync VALUES
                ('airflow-example-ada', 'Ada Lovelace', 'ada@lovelace.example', 'GB'),
                ('airflow-example-grace', 'Grace Hopper', NULL, 'us'),
                ('airflow-example/katherine', 'Katherine J.', 'kj@nasa.example', 'US'),
                ('airflow-example-日本', '鈴木 花子', 'hanako@suzuki.example', 'JP'),
                ('airflow-example-nobody', 'Not in Dub', 'nobody@nowhere.example', 'DE')""",
        ],
    )

    edit_three_rows = SQLExecuteQueryOperator(
        task_id="edit_three_rows",
        conn_id=WAREHOUSE,
        sql=[
            "UPDATE dub_example_sync SET name = 'Ada, Countess of Lovelace' WHERE external_id = 'airflow-example-ada'",
            "UPDATE dub_example_sync SET email = 'grace@hopper.example' WHERE external_id = 'airflow-example-grace'",
            "UPDATE dub_example_sync SET country = 'GB' WHERE external_id = 'airflow-example/katherine'",
        ],
    )

    @task
    def show_runs(ti: Any = None) -> None:
        import pandas as pd
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        summaries = {run: ti.xcom_pull(task_ids=run, key="summary") for run in RUNS}
        runs = [
            {"run": run, **{name: summary[name] for name in ("updated", "missing", "requests_sent")}}
            | {"rows": sum(summary["plan"][status] for status in ("new", "changed", "unchanged", "missing"))}
            for run, summary in summaries.items()
        ]
        print(pd.DataFrame(runs)[["run", "rows", "updated", "missing", "requests_sent"]].to_string(index=False))
        by_outcome = """
            SELECT outcome, code, count(*) AS customers, max(last_applied_at) AS last_applied
            FROM dub_example_sync_state
            GROUP BY outcome, code
        """
        print("\nThe state table:")
        grouped = DbApiHook.get_hook(WAREHOUSE).get_df(by_outcome, df_type="pandas")
        print(grouped.fillna("-").to_string(index=False))

    first, second, third = map(sync, RUNS)
    fill_warehouse >> first >> edit_three_rows >> second >> third >> show_runs()


example_sql_to_dub_customers()
