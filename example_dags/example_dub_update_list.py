"""A list of dicts from a TaskFlow task, with the policies that a careful sync wants.

Needs the connection ``dub_default``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task  # in DAGs of your own: from airflow.sdk


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["dub", "example"])
def example_dub_update_list():
    @task(show_return_value_in_logs=False)
    def cancelled_subscriptions() -> list[dict[str, Any]]:
        # Plain JSON values: a list of dicts with NaN or Timestamp does not go through XCom, ISO text does.
        return [
            {"customer": "ext_airflow-example-ada", "ended_at": "2026-11-01T00:00:00Z", "plan_name": None},
            {"customer": "ext_airflow-example-grace", "ended_at": None, "plan_name": None},
        ]

    DubUpdateCustomersOperator(
        task_id="update_customers",
        customers=cancelled_subscriptions(),
        id_column="customer",
        # Names of your own for Dub's fields. What is not named here is not sent.
        columns={"ended_at": "subscriptionCanceledAt"},
        # None in `ended_at` says "not cancelled": tell Dub so, rather than leaving an old date there.
        null_policy={"subscriptionCanceledAt": "clear"},
        on_missing="skip",
        # Up to 1 % of the rows may fail; they are kept, ready to be sent again.
        max_failure_rate=0.01,
        rejected_path="file:///tmp/airflow-example-dub/rejected-{{ run_id }}.jsonl",
    )


example_dub_update_list()
