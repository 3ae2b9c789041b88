"""A DAG whose tasks have outlets, links and lineage, so that a test can look where they turn up. Not an example."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_dub.assets.dub import dub_customers
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import dag, task


def planted(row: dict[str, str]) -> dict[str, str]:
    return {"id": "cus_1LABA", "name": "-".join(["PLANTED", "lineage"]), **row}


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def lineage_probe():
    @task(show_return_value_in_logs=False)
    def read_chunks():
        return [[planted({})], [planted({"id": "cus_missing"}), planted({})]]

    @task
    def hook():
        DubHook("dub_slug").update_customer("cus_1LABA", {"country": "GB"})

    chunks = read_chunks()
    outlet = dub_customers("lab-main")
    whole = DubUpdateCustomersOperator(
        task_id="whole",
        dub_conn_id="dub_slug",
        customers=[planted({}), planted({"id": "cus_missing"})],
        on_missing="skip",
        outlets=[outlet],
    )
    mapped = DubUpdateCustomersOperator.partial(
        task_id="mapped", dub_conn_id="dub_slug", on_missing="skip", outlets=[outlet]
    ).expand(customers=chunks)
    linked = DubUpdateCustomersOperator(task_id="linked", dub_conn_id="dub_acme", customers=[planted({})], dry_run=True)
    linked_mapped = DubUpdateCustomersOperator.partial(
        task_id="linked_mapped", dub_conn_id="dub_acme", dry_run=True, on_duplicate="last"
    ).expand(customers=chunks)
    fails = DubUpdateCustomersOperator(
        task_id="fails", customers=[planted({}), planted({"id": "cus_missing"})], retries=0
    )
    chunks >> hook() >> whole >> mapped >> linked >> linked_mapped >> fails


lineage_probe()
