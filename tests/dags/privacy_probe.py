"""A DAG whose rows are planted, so that a test can look where else they turn up. Not an example."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task


def planted(kind: str) -> dict[str, str]:
    # Put together here, so that not even the DAG's own source holds the whole value.
    return {"name": "-".join(["PLANTED", kind]), "email": "@".join([f"planted.{kind}", "example.com"])}


def rows(kind: str) -> list[dict[str, str]]:
    return [
        {"id": "cus_1LABA", **planted(kind)},
        {"id": "cus_missing", **planted(kind)},
        {"id": "cus_1LABB", **planted(kind), "stripeCustomerId": "cus_StripeA"},
        {"id": "cus_1LABD", **planted(kind), "email": "-".join(["PLANTED", kind, "bad"])},
        {"id": "cus_1LABD", "name": "{{ 6 * 7 }}"},
    ]


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def privacy_probe():
    @task(show_return_value_in_logs=False)
    def read(kind: str):
        return rows(kind)

    @task(show_return_value_in_logs=False)
    def read_frame(kind: str):
        import pandas as pd

        return pd.DataFrame(rows(kind))

    @task(show_return_value_in_logs=False)
    def read_chunks():
        return [rows("mapped"), rows("mapped")]

    policies = {"max_failure_rate": 1.0, "on_duplicate": "fail"}
    literal = DubUpdateCustomersOperator(task_id="literal", customers=rows("literal"), **policies)
    from_list = DubUpdateCustomersOperator(task_id="from_list", customers=read("list"), **policies)
    from_frame = DubUpdateCustomersOperator(task_id="from_frame", customers=read_frame("frame"), **policies)
    mapped = DubUpdateCustomersOperator.partial(task_id="mapped", **policies).expand(customers=read_chunks())
    literal >> from_list >> from_frame >> mapped


privacy_probe()
