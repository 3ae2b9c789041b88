"""A state table outlives versions of the package, and fields of Dub."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_dub.customers import converters
from airflow_provider_dub.customers.fields import FIELDS, Field
from airflow_provider_dub.exceptions import DubFixSetupError
from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.schema import schema_version
from airflow_provider_dub.warehouse.source import Source
from airflow_provider_dub.warehouse.status import KnownState


@pytest.fixture
def customers(database, connected):
    """user_1 and user_2, who are in Dub."""
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20), plan_name VARCHAR(20))")
    database.insert(("user_1", "Ada", "pro"), ("user_2", "Bob", "free"))
    return database


@pytest.fixture
def eighth_field(monkeypatch) -> None:
    """Dub has a field more."""
    plan = Field(name="planName", server_type="text", convert=converters.text, description="The name of a plan.")
    monkeypatch.setitem(FIELDS, plan.name, plan)


def test_a_new_field_is_one_entry(customers, connected, sync, eighth_field) -> None:
    source = Source("SELECT * FROM customers", "user_id", {"name": "name", "plan_name": "planName"})
    known = KnownState("dub_state", retry_rejected=False, missing_before=datetime.now(UTC))
    query = ChangeQuery(DIALECTS["postgres"], source, known).rows(["new"])
    assert 'CAST("dub_source"."plan_name" AS TEXT) AS "plan_name"' in query
    assert '"dub_state"."plan_name" COLLATE "C" = "dub_keyed"."plan_name" COLLATE "C"' in query
    assert sync(max_failures=2)["fields"] == {"name": 2, "planName": 2}
    assert customers.state("plan_name") == {"user_1": "pro", "user_2": "free"}
    customers.run("UPDATE customers SET plan_name = 'max' WHERE user_id = 'user_1'")
    assert sync()["plan"]["changed"] == 1
    assert customers.state("plan_name")["user_1"] == "max"


def test_a_field_that_a_table_of_an_older_version_lacks_is_added(customers, connected, sync, request) -> None:
    assert sync()["updated"] == 2
    request.getfixturevalue("eighth_field")
    plan = sync(dry_run=True)["plan"]
    assert plan["changed"] == 2  # a plan adds nothing
    assert sync()["plan"] == plan
    assert customers.state("plan_name") == {"user_1": "pro", "user_2": "free"}
    assert customers.run("SELECT schema_version FROM dub_state_lease") == [(schema_version(),)]
    assert sync()["plan"]["unchanged"] == 2


def test_the_table_of_a_newer_version_is_refused(customers, connected, sync, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        plan = Field(name="planName", server_type="text", convert=converters.text, description="The name of a plan.")
        patch.setitem(FIELDS, plan.name, plan)
        sync()
    sent = len(connected.requests)
    for dry_run in (True, False):
        with pytest.raises(DubFixSetupError, match=r"was written by a newer version of airflow-provider-dub.*upgrade"):
            sync(dry_run=dry_run)
    assert len(connected.requests) == sent


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_table_that_is_no_state_table_is_refused_without_harmful_advice(customers, connected, sync, dry_run) -> None:
    with pytest.raises(DubFixSetupError, match="is a table, but not one of airflow-provider-dub's") as refused:
        sync(state_table="customers", dry_run=dry_run)
    assert not {"drop", "alter", "add", "delete", "remove"} & {*str(refused.value).lower().split()}
    assert len(customers.run("SELECT * FROM customers")[0]) == 3
    assert not connected.requests


@pytest.mark.parametrize("of", ["lease", "history"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_table_of_somebody_else_beside_the_state_table_is_left_as_it_is(
    customers, connected, sync, of: str, dry_run: bool
) -> None:
    sync()
    sent = len(connected.requests)
    customers.run(f"DROP TABLE dub_state_{of}", f"CREATE TABLE dub_state_{of} (precious INTEGER)")
    customers.run(f"INSERT INTO dub_state_{of} VALUES (7)")
    if dry_run and of == "history":  # which a dry run does not look at
        sync(dry_run=True)
    else:
        with pytest.raises(
            DubFixSetupError, match=f"dub_state_{of}.? is a table, but not one of airflow-provider-dub's"
        ):
            sync(dry_run=dry_run)
    assert customers.run(f"SELECT * FROM dub_state_{of}") == [(7,)]
    assert len(connected.requests) == sent
