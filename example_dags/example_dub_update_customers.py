"""Warehouse to Dub: the main job of this provider.

    fill_warehouse -> read_warehouse -> read_dub -> update_customers -> show_changes

Needs two connections: ``dub_default`` (password: an API key of the workspace) and ``example_warehouse`` (any database
of Airflow's SQL providers; the quick start uses a SQLite file). The examples create and drop tables there, all of them
with names that begin with ``dub_example``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task  # in DAGs of your own: from airflow.sdk

if TYPE_CHECKING:
    import pandas as pd

WAREHOUSE = "example_warehouse"
FIELDS = ["name", "email", "country"]


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_dub_update_customers():
    # Only so that the example runs anywhere. Your warehouse has its table already.
    fill_warehouse = SQLExecuteQueryOperator(
        task_id="fill_warehouse",
        conn_id=WAREHOUSE,
        sql=[
            "DROP TABLE IF EXISTS dub_example_customers",
            """CREATE TABLE dub_example_customers
                (external_id TEXT, name TEXT, email TEXT, country TEXT, lifetime_value REAL)""",
            """INSERT INTO dub_example_customers VALUES
                ('airflow-example-ada', 'Ada Lovelace', 'ada@lovelace.example', 'GB', 120.5),
                ('airflow-example-grace', 'Grace Hopper', NULL, 'us', 80),
                ('airflow-example/katherine', 'Katherine J.', 'kj@nasa.example', 'US', 99.9),
                ('airflow-example-日本', '鈴木 花子', 'hanako@suzuki.example', 'JP', 10),
                ('airflow-example-nobody', 'Not in Dub', 'nobody@nowhere.example', 'DE', 0)""",
        ],
    )

    # These are people. Airflow logs what a task returns unless it is told not to, and shows what a task is given as an
    # argument; so the tasks below fetch their XCom themselves. The operator hides its rows on its own.
    @task(show_return_value_in_logs=False)
    def read_warehouse() -> pd.DataFrame:
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        return DbApiHook.get_hook(WAREHOUSE).get_df("SELECT * FROM dub_example_customers", df_type="pandas")

    # Not needed for the sync: it lets the last task tell what was before.
    @task(show_return_value_in_logs=False)
    def read_dub(ti: Any = None) -> list[dict[str, Any]]:
        from airflow_provider_dub.exceptions import DubCustomerNotFoundError

        found, dub = [], DubHook()
        for external_id in ti.xcom_pull(task_ids="read_warehouse")["external_id"]:
            try:
                found.append(dub.get_customer(f"ext_{external_id}"))
            except DubCustomerNotFoundError:
                print(f"Dub has no customer {external_id}.")
        return found

    customers = read_warehouse()

    # Columns that are named like a field of Dub are sent, `lifetime_value` is not. An empty cell (Grace's e-mail) is
    # left alone in Dub; null_policy="clear" would empty it there. A customer that signed up nowhere yet is no reason
    # to fail: on_missing="skip" counts it apart.
    update_customers = DubUpdateCustomersOperator(
        task_id="update_customers",
        customers=customers,
        external_id_column="external_id",
        on_missing="skip",
    )

    # Downstream tasks get the customers as Dub has them now, and the counts as XCom `summary`.
    @task
    def show_changes(ti: Any = None) -> None:
        import pandas as pd

        after = ti.xcom_pull(task_ids="update_customers")
        summary = ti.xcom_pull(task_ids="update_customers", key="summary")
        old = {customer["id"]: customer for customer in ti.xcom_pull(task_ids="read_dub")}
        changes = [
            {"customer": new["externalId"], "field": field, "before": old[new["id"]][field], "after": new[field]}
            for new in after
            for field in FIELDS
            if old[new["id"]][field] != new[field]
        ]
        table = pd.DataFrame(changes).fillna("(empty)").to_string(index=False)
        print(table if changes else "Nothing changed in Dub.")
        print(f"\n{summary['updated']} of {summary['total']} customers updated, {summary['missing']} not in Dub.")

    fill_warehouse >> customers >> read_dub() >> update_customers >> show_changes()


example_dub_update_customers()
