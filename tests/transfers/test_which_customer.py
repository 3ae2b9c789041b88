"""Which customer a row of a query names: the id as it is sent, and only as long as it is the customer's."""

from __future__ import annotations

import os

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError
from tests.support.stored import edit, sent, stored

ADA, BOB = "user_1", "user_2"


@pytest.fixture
def renamed(sqlite, connected):
    """user_1, who is in Dub and gets another external id."""
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), new_id VARCHAR(50), name VARCHAR(50))")
    sqlite.insert((ADA, "u-100", "Ada"))
    return sqlite


@pytest.mark.parametrize("still_renames", [True, False])
def test_an_id_that_the_sync_has_renamed_reaches_no_other_customer(
    renamed, connected, sync, still_renames: bool
) -> None:
    columns = {"new_id": "externalId", "name": "name"}
    sync(columns=columns)
    edit(connected, BOB, externalId="USER_1")
    bob = stored(connected, externalId="USER_1")["name"]
    renamed.run("UPDATE customers SET name = 'Countess'")
    with pytest.raises(DubFixRowsError, match="nothing was changed"):
        sync(columns=columns if still_renames else {"name": "name"})
    assert stored(connected, externalId="USER_1")["name"] == bob


def test_a_key_that_was_stripped_reaches_no_customer_when_it_no_longer_is(renamed, connected, sync) -> None:
    renamed.run(f"UPDATE customers SET user_id = '{ADA}\t'")  # no blank, which the database would strip, too
    columns = {"name": "name"}
    assert sync(columns=columns, strip=True)["updated"] == 1
    renamed.run("UPDATE customers SET name = 'x'")
    with pytest.raises(DubFixRowsError):
        sync(columns=columns)
    assert stored(connected, externalId=ADA)["name"] == "Ada"


@pytest.mark.parametrize("elsewhere", [{}, {"sql_conn_id": "source", "state_conn_id": "warehouse"}])
def test_a_key_that_is_filled_up_with_blanks_is_recorded_as_it_is_sent(
    sqlite, connected, sync, monkeypatch, elsewhere
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
    sqlite.run("CREATE TABLE customers (user_id CHAR(255), name VARCHAR(50))")
    sqlite.insert((ADA.ljust(255), "Ada"), (BOB.ljust(255), "Bob"))
    assert sync(strip=True, **elsewhere)["updated"] == 2
    assert {*sqlite.state("name")} == {ADA, BOB}
    assert sync(strip=True, **elsewhere)["plan"]["unchanged"] == 2


@pytest.mark.parametrize("elsewhere", [{}, {"sql_conn_id": "source", "state_conn_id": "warehouse"}])
@pytest.mark.parametrize("strip", [True, False])
def test_a_key_of_blanks_is_none(sqlite, connected, sync, monkeypatch, elsewhere, strip: bool) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    sqlite.insert((ADA, "Ada"), ("", "x"), ("  ", "y"), (None, "z"))
    for baseline in ("source", None):
        with pytest.raises(DubFixRowsError, match="3 rejected"):
            sync(strip=strip, baseline=baseline, **elsewhere)
        assert (sync.summary["plan"]["no_key"], {*sqlite.state("name")}) == (3, {ADA})


def test_ids_whose_text_in_the_database_is_another_are_listed_once_more(sqlite, connected, sync) -> None:
    customers = [{"id": f"cus_9{n:04}", "externalId": str(n), "name": "n", "email": None} for n in range(1, 301)]
    connected.reset(setup_customers=customers)
    sqlite.run("CREATE TABLE customers (user_id REAL, name VARCHAR(50))")
    sqlite.insert(*((float(n), "a") for n in range(1, 301)))
    sync()
    sqlite.run("UPDATE customers SET name = 'b'")
    before = len(connected.requests)
    assert sync()["plan"]["look_ups"] == 300
    assert len(connected.requests) - before < 320


def test_the_key_may_be_the_value_of_a_field_too(sqlite, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": "cus_90001", "externalId": "ada@b.co", "name": "n", "email": None}])
    sqlite.run("CREATE TABLE customers (name VARCHAR(50), email VARCHAR(50))")
    sqlite.insert(("Ada", "ada@b.co"))
    options = {"external_id_column": "email", "columns": {"email": "email", "name": "name"}}
    assert sync(**options)["updated"] == 1
    assert (stored(connected, id="cus_90001")["name"], stored(connected, id="cus_90001")["email"]) == (
        "Ada",
        "ada@b.co",
    )
    sqlite.run("UPDATE customers SET name = 'Countess'")
    assert sync(**options)["fields"] == {"name": 1}
    assert sync(**options)["plan"]["unchanged"] == 1


def test_two_rows_of_one_key_in_the_state_are_named_also_where_the_query_is_read_elsewhere(
    sqlite, connected, sync, monkeypatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
    sqlite.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    sqlite.insert((ADA, "Ada"), (BOB, "Bob"))
    elsewhere = {"sql_conn_id": "source", "state_conn_id": "warehouse"}
    sync(**elsewhere)
    sqlite.run(f"INSERT INTO dub_state SELECT * FROM dub_state WHERE customer_key = '{ADA}'")
    with pytest.raises(DubFixSetupError, match="more than one row for 1 of its keys"):
        sync(**elsewhere)


@pytest.mark.parametrize("database", ["sqlite", "duckdb", "postgres"], indirect=True)
def test_two_columns_of_one_name_are_refused_and_neither_names_the_customer(database, connected, sync) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    database.insert((ADA, "Ada"))
    with pytest.raises(DubFixSetupError, match='more than one column "user_id"'):
        sync(f"SELECT '{BOB}' AS user_id, customers.* FROM customers")
    assert connected.requests == []


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_two_columns_that_the_engine_takes_for_one_are_refused(database, connected, sync) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(50), name VARCHAR(50))")
    database.insert((ADA, "Ada"))
    with pytest.raises(DubFixSetupError, match="differs by more than case"):
        sync("SELECT user_id, 'other' AS \"Name\", name FROM customers WHERE name <> ?;", parameters=("x",))


@pytest.mark.parametrize("elsewhere", [{}, {"sql_conn_id": "source", "state_conn_id": "warehouse"}])
@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_float_of_which_a_database_writes_too_few_digits_names_nobody(
    database, connected, sync, monkeypatch, elsewhere
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", os.environ["AIRFLOW_CONN_WAREHOUSE"])
    database.run("CREATE TABLE customers (user_id DOUBLE PRECISION, name VARCHAR(50))")
    if database.engine == "postgres":  # as a role or a database may have it
        database.run("ALTER DATABASE postgres SET extra_float_digits = 0")
    try:
        database.run("INSERT INTO customers VALUES (9007199254740989, 'x')")
        with pytest.raises(DubFixRowsError, match="too large to be exact"):
            sync(**elsewhere)
    finally:
        if database.engine == "postgres":
            database.run("ALTER DATABASE postgres RESET extra_float_digits")
    assert not sent(connected)
