"""A DAG whose tasks fail, so that a test can see when they are tried again. Not an example."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import AirflowOptionalProviderFeatureException, can_reschedule_failures, dag

try:
    from airflow_provider_dub.retry_policy import DubRetryPolicy
except AirflowOptionalProviderFeatureException:  # before Airflow 3.3
    DubRetryPolicy = None


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def retry_probe():
    settings = {
        "customers": [{"id": "cus_1LABA", "country": "GB"}],
        "retries": 1,
        # The test ends long before an hour; but when a policy may reschedule no more, Airflow 3.4 waits so long.
        "retry_delay": timedelta(seconds=1) if can_reschedule_failures() else timedelta(hours=1),
        "retry_policy": DubRetryPolicy(outage=timedelta(seconds=1)),
    }
    DubUpdateCustomersOperator(task_id="outage", dub_conn_id="dub_gone", **settings)
    DubUpdateCustomersOperator(task_id="wrong_key", dub_conn_id="dub_wrong_key", **settings)


if DubRetryPolicy:
    retry_probe()
