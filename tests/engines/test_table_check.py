"""A state table that does not take rows is found before the first request, and what was written is no customer."""

from __future__ import annotations

import pytest

from airflow_provider_dub.exceptions import DubDatabaseError, DubFixRowsError, DubFixSetupError, DubReviewChangesError
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.schema import TIMESTAMPS, state_columns
from airflow_provider_dub.warehouse.statements import Statements
from airflow_provider_dub.warehouse.table_check import CHECK_KEYS
from tests.support.stored import sent

pytestmark = pytest.mark.engines


@pytest.fixture
def customers(database, connected):
    """user_1 and user_2, who are in Dub."""
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(2000))")
    database.insert(("user_1", "Ada"), ("user_2", "Bob"))
    return database


def check_lines(database) -> tuple[int, int]:
    """Return how many lines of the check are in the state table and in the history."""
    tables = ("dub_state", "dub_state_history")
    return tuple(
        database.run(f"SELECT COUNT(*) FROM {table} WHERE customer_key NOT LIKE 'user%'")[0][0] for table in tables
    )


def test_an_extra_column_that_takes_no_null_is_found_before_the_first_request(customers, connected, sync) -> None:
    timestamps = dict.fromkeys(TIMESTAMPS, "TEXT" if customers.engine == "databricks" else "TIMESTAMP")
    columns = ", ".join(f"{name} {timestamps.get(name, 'TEXT')}" for name in state_columns())
    customers.run(f"CREATE TABLE dub_state (tenant TEXT NOT NULL, {columns})")
    with pytest.raises((DubFixSetupError, DubDatabaseError)):
        sync()
    assert connected.requests == []
    assert check_lines(customers) == (0, 0)
    customers.run("DROP TABLE dub_state")
    assert sync()["updated"] == 2
    assert check_lines(customers) == (0, 0)


def test_a_column_of_another_kind_is_named_before_the_first_request(customers, connected, sync) -> None:
    kinds = dict.fromkeys(TIMESTAMPS, "TEXT" if customers.engine == "databricks" else "TIMESTAMP") | {"email": "INT"}
    text = DIALECTS[customers.engine].text_type  # that of the history, so that only one column is of another kind
    columns = ", ".join(f"{name} {kinds.get(name, text)}" for name in state_columns())
    customers.run(f"CREATE TABLE dub_state ({columns})")
    with pytest.raises(DubFixSetupError, match=r"does not take what is written .* Look at columns email\b"):
        sync()
    assert connected.requests == []
    assert check_lines(customers) == (0, 0)


def test_a_lease_that_is_missing_is_named(customers, connected, sync) -> None:
    assert sync(baseline="source")["plan"]["unchanged"] == 2
    customers.run("DROP TABLE dub_state_lease")
    with pytest.raises(DubFixSetupError, match="which says of which Dub they are, is not there"):
        sync()
    assert connected.requests == []


def test_what_a_crash_leaves_is_no_customer_and_is_deleted_by_the_next_run(
    customers, connected, sync, monkeypatch
) -> None:
    def crash(self, lines: int) -> str:
        raise KeyboardInterrupt

    sync()
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(Statements, "read_check_lines", crash)
            with pytest.raises(KeyboardInterrupt):
                sync()
    assert check_lines(customers) == ((3, 6) if customers.engine in ("bigquery", "databricks") else (0, 0))

    before = len(sent(connected))
    plan = sync(dry_run=True)["plan"]
    assert (plan["unchanged"], plan["to_send"]) == (2, 0)
    # A row of the query with that very key is rejected as any other that is too long for Dub, and is no more known.
    customers.insert((CHECK_KEYS[0], "é日🦆".ljust(1000, ".")))
    assert sync(dry_run=True)["plan"]["to_send"] == 1
    with pytest.raises(DubReviewChangesError, match=r"0\.0% of the 2 in the state table"):
        sync(sql="SELECT user_id, 'x' AS name FROM customers", dry_run=True, max_change_rate=0.4)
    with pytest.raises(DubFixRowsError, match="1 rejected"):
        sync()
    assert len(sent(connected)) == before
    assert check_lines(customers)[0] == 0
    assert {*customers.state("outcome")} == {"user_1", "user_2"}
