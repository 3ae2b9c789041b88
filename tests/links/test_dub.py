"""Links to Dub's app: to the right page, or none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_dub.links import dub as links
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from tests.support.task_instance import TaskInstance

PAGES = {
    "dub_customers_link": "https://app.dub.co/acme/customers",
    "dub_api_log_link": "https://app.dub.co/acme/settings/logs",
}


def links_of(operator) -> dict[str, str]:
    return {link.xcom_key: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links}


def run_dry() -> tuple[DubUpdateCustomersOperator, TaskInstance]:
    operator = DubUpdateCustomersOperator(task_id="t", customers=[{"id": "cus_1LABA", "name": "n"}], dry_run=True)
    task_instance = TaskInstance()
    operator.execute({"ti": task_instance})
    return operator, task_instance


@pytest.mark.parametrize("host", [None, "https://api.dub.co", "api.dub.co", "https://API.dub.co:443/"])
def test_a_task_links_to_the_pages_of_its_workspace_also_while_it_runs(connect, host) -> None:
    connect(host, workspace_slug="acme")
    operator, task_instance = run_dry()
    assert links_of(operator) == PAGES
    assert {key: value for key, value in task_instance.xcoms.items() if key.endswith("_link")} == PAGES


@pytest.mark.parametrize(
    ("host", "extra"),
    [
        (None, {}),
        (None, {"workspace_slug": " "}),
        ("https://dub.example.com", {"workspace_slug": "acme"}),
        ("https://api.dub.co.example.com", {"workspace_slug": "acme"}),
        ("http://127.0.0.1:8787", {"workspace_slug": "acme"}),
    ],
)
def test_without_a_slug_or_on_another_host_there_is_no_link(connect, host, extra) -> None:
    connect(host, **extra)
    operator, task_instance = run_dry()
    assert not any(links_of(operator).values())
    assert not [key for key in task_instance.xcoms if key.endswith("_link")]


def test_a_link_that_airflow_does_not_take_prevents_no_sync(dub, connect, monkeypatch, logged) -> None:
    class WithoutLinks(TaskInstance):
        def xcom_push(self, key: str, value: object) -> None:
            if key.endswith("_link"):
                raise RuntimeError("the API server is away")
            super().xcom_push(key, value)

    connect(dub.url, workspace_slug="lab-main")
    monkeypatch.setattr(links.DubPageLink, "address", lambda self, workspace: PAGES[self.xcom_key])  # as for Dub itself
    operator = DubUpdateCustomersOperator(task_id="t", customers=[{"id": "cus_1LABA", "name": "n"}])
    (customer,) = operator.execute({"ti": WithoutLinks()})
    assert customer["name"] == "n"
    assert "Airflow did not take the links to Dub's app (RuntimeError)." in logged()


def test_a_task_that_never_got_to_its_connection_has_no_link(connect) -> None:
    connect(None, "", workspace_slug="acme")
    operator, _ = run_dry()
    assert not any(links_of(operator).values())
    assert not any(links_of(DubUpdateCustomersOperator(task_id="t", customers=[])).values())


def test_a_web_server_that_has_not_run_the_task_reads_what_it_pushed(monkeypatch) -> None:
    monkeypatch.setattr(links, "XCom", SimpleNamespace(get_value=lambda *, ti_key, key: {"this": PAGES}[ti_key][key]))
    serialized = SimpleNamespace(task_id="t")
    assert {link.xcom_key: link.get_link(serialized, ti_key="this") for link in links.DUB_LINKS} == PAGES
    monkeypatch.setattr(links, "XCom", SimpleNamespace(get_value=lambda *, ti_key, key: None))
    assert {link.get_link(serialized, ti_key="this") for link in links.DUB_LINKS} == {""}
