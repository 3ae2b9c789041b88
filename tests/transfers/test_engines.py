"""On every engine: only what changed is sent, whatever the values."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.dialects import DIALECTS
from tests.support.hostile import HOSTILE, HOSTILE_IN_DUB
from tests.support.stored import sent, stored
from tests.support.watched_connection import watch_warehouse

pytestmark = pytest.mark.engines


@pytest.fixture
def known(connected):
    """Dub knows the hostile customers."""
    connected.reset(setup_customers=HOSTILE_IN_DUB)
    return connected


@pytest.fixture
def hostile(database, known):
    """The database has the hostile customers, and Dub knows them."""
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(*HOSTILE.items())
    return database


def test_a_second_run_sends_nothing(hostile, known, sync) -> None:
    first = sync()
    assert (first["updated"], first["unchanged"]) == (8, 1)
    for n, name in enumerate(HOSTILE.values()):
        assert stored(known, id=f"cus_9{n}")["name"] == (name or "before")
    before = len(known.requests)
    assert sync()["plan"] | {"minutes_at_limit": None} == dict.fromkeys(first["plan"], 0) | {
        "unchanged": 9,
        "minutes_at_limit": None,
    }
    assert len(known.requests) == before


@pytest.mark.parametrize(("before", "after"), [("Ada", "ADA"), ("Ada", "Ada "), ("Ada", "Adá"), ("Ada", "")])
def test_the_smallest_change_is_one(database, known, sync, before: str, after: str) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(("user_a", before), ("user_b", "b"))
    sync()
    database.run("DELETE FROM customers WHERE user_id = 'user_a'")
    database.insert(("user_a", after))
    assert sync()["plan"]["changed"] == 1
    assert sync()["plan"]["to_send"] == 0


def test_only_what_changed_is_sent(hostile, known, sync) -> None:
    sync()
    before = len(sent(known))
    hostile.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_a'")
    hostile.run("UPDATE customers SET name = NULL WHERE user_id = 'emoji'")
    hostile.run("UPDATE customers SET name = 'somebody' WHERE user_id = 'null'")
    second = sync()
    assert (second["plan"]["changed"], second["updated"], second["unchanged"]) == (3, 2, 1)
    assert len(sent(known)) - before == 2
    assert hostile.state("name")["user_a"] == "Countess"
    assert sync()["plan"]["to_send"] == 0


def test_the_database_computes_the_difference_once_where_it_has_temporary_tables(
    database, connected, sync, monkeypatch
) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(("user_1", "Ada"), ("user_2", "Bob"))
    sync()
    database.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    asked: list[str] = []
    watch_warehouse(monkeypatch, lambda sql: asked.append(sql) if "FROM customers" in sql else None)
    assert sync(sql="SELECT user_id, name FROM customers")["plan"]["changed"] == 1
    dialect = DIALECTS[database.engine]
    about_columns = 2 if dialect.describe else 1
    assert len(asked) - about_columns == (1 if dialect.temporary_table else 3)


@pytest.mark.parametrize("database", ["sqlite", "duckdb", "postgres"], indirect=True)
def test_what_is_sent_is_what_was_planned_even_if_the_source_moves(database, connected, sync, monkeypatch) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(("user_1", "Ada"), ("user_2", "Bob"))
    sync()
    database.run("UPDATE customers SET name = 'planned' WHERE user_id = 'user_1'")
    counts = Changes.counts

    def edited_meanwhile(self):
        found = counts(self)
        database.run("UPDATE customers SET name = 'later'")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Changes, "counts", edited_meanwhile)
        assert sync()["updated"] == 1
    assert database.state("name") == {"user_1": "planned", "user_2": "Bob"}
    assert sync()["updated"] == 2
    assert database.state("name") == {"user_1": "later", "user_2": "later"}


def test_types_that_read_back_differently_make_no_row_differ_for_ever(database, connected, sync) -> None:
    timestamp = "TIMESTAMPTZ" if database.engine == "postgres" else "TIMESTAMP"
    database.run(f"CREATE TABLE customers (user_id NUMERIC(20, 0), name CHAR(20), canceled {timestamp}, stripe BIGINT)")
    at = datetime.datetime(2026, 3, 1, 12, 30, 15, 123000)
    bound = at.isoformat(" ") if database.engine == "sqlite" else at
    number = 9007199254740993 if database.engine == "sqlite" else Decimal(9007199254740993)
    database.insert((number, "Ada", bound, 9007199254740993), (2, None, None, None))
    connected.reset(
        setup_customers=[
            {"id": "cus_9A", "externalId": "9007199254740993", "name": "n", "email": None},
            {"id": "cus_9B", "externalId": "2", "name": "n", "email": None},
        ]
    )
    columns = {"name": "name", "canceled": "subscriptionCanceledAt", "stripe": "stripeCustomerId"}
    first = sync(columns=columns, null_policy={"stripeCustomerId": "clear"})
    assert (first["updated"], first["accepted_but_not_applied"]) == (2, {})
    customer = stored(connected, id="cus_9A")
    assert (customer["name"], customer["stripeCustomerId"]) == ("Ada", "9007199254740993")
    for _ in range(2):
        assert sync(columns=columns, null_policy={"stripeCustomerId": "clear"})["plan"]["unchanged"] == 2


def test_keys_that_differ_by_a_blank_do_not_forget_each_other(database, connected, sync) -> None:
    connected.reset(setup_customers=[{"id": "cus_9A", "externalId": "user_a", "name": "n", "email": None}])
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200))")
    database.insert(("user_a", "Ada"), ("user_a ", "blank"))
    with pytest.raises(DubFixRowsError, match="1 updated, 1 failed"):
        sync()
    database.run("UPDATE customers SET name = 'Countess' WHERE name = 'Ada'")
    assert sync()["updated"] == 1
    assert set(database.state("outcome")) == {"user_a", "user_a "}
    assert sync()["plan"]["to_send"] == 0


def test_a_long_value_is_remembered(database, known, sync) -> None:
    text = "LONGTEXT" if database.engine == "mysql" else "TEXT"
    database.run(f"CREATE TABLE customers (user_id VARCHAR(200), name {text}, avatar {text})")
    longest = 60_000 if database.engine == "redshift" else 70_000  # no text of Redshift has more than 65,535 bytes
    avatar = "data:image/png;base64," + "A" * longest
    database.insert(("user_a", "Ada", avatar), ("user_b", "n" * 70_000, None), ("emoji", "duck", None))
    with pytest.raises(DubFixRowsError, match="2 updated, 1 rejected"):
        sync()
    plan = sync()["plan"]
    assert (plan["unchanged"], plan["refused"]) == (2, 1)


@pytest.mark.parametrize("database", ["postgres", "duckdb"], indirect=True)
def test_a_timestamp_that_python_cannot_hold_is_that_rows_failure_alone(database, known, sync) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(200), canceled TIMESTAMP)")
    database.insert(("user_a", "infinity"), ("user_b", "2026-03-01 12:30:15"))
    with pytest.raises(DubFixRowsError, match="1 updated, 1 rejected"):
        sync(columns={"canceled": "subscriptionCanceledAt"})
    assert stored(known, id="cus_91")["subscriptionCanceledAt"] == "2026-03-01T12:30:15.000Z"


def test_duplicates_are_found_before_anything_is_sent(database, known, sync) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), stamp INTEGER)")
    database.insert(("user_a", "old", 1), ("user_b", "b", 1), ("user_a", "new", 2), ("user_a", "older", 0))
    with pytest.raises(DubFixRowsError, match="3 rows of the query name this customer"):
        sync(columns={"name": "name"})
    assert (sync.summary["updated"], sync.summary["rejected"], sync.summary["plan"]["duplicate"]) == (1, 3, 3)
    assert stored(known, id="cus_90")["name"] == "before"
    last = sync(columns={"name": "name"}, on_duplicate="last", latest_by="stamp")
    assert (last["updated"], last["plan"]["superseded"]) == (1, 2)
    assert stored(known, id="cus_90")["name"] == "new"
    assert sync(columns={"name": "name"}, on_duplicate="last", latest_by="stamp")["plan"]["to_send"] == 0


def test_a_percent_sign_a_comment_and_parameters_of_the_query_are_left_alone(hostile, known, sync) -> None:
    like = "SELECT * FROM customers WHERE name LIKE '100%' -- everything; really"
    assert sync(sql=like, state_table=None)["updated"] == 1
    mark = "?" if hostile.engine in ("sqlite", "duckdb") else "%s"
    one = f"WITH q AS (SELECT * FROM customers WHERE user_id = {mark}) SELECT * FROM q;"
    assert sync(sql=one, parameters=["user_a"])["updated"] == 1


def test_a_percent_sign_in_names_of_columns_goes_with_parameters(hostile, known, sync) -> None:
    mark, percent = ("?", "%") if hostile.engine in ("sqlite", "duckdb") else ("%s", "%%")
    quote = "`" if hostile.engine == "mysql" else '"'
    names = {name: quote + name.replace("%", percent) + quote for name in ("%id%", "100% name", "%s", "%(x)s")}
    id_, name, stamp, country = names.values()
    sql = f"SELECT user_id {id_}, name {name}, 1 {stamp}, 'DE' {country} FROM customers WHERE user_id <> {mark}"
    options = {
        "external_id_column": "%id%",
        "columns": {"100% name": "name", "%(x)s": "country"},
        "on_duplicate": "last",
        "latest_by": "%s",
    }
    assert sync(sql=sql, parameters=["null"], **options)["updated"] == 8
    assert stored(known, id="cus_90")["name"] == "Ada"
    hostile.run("UPDATE customers SET name = 'Ada L.' WHERE user_id = 'user_a'")
    again = sync(sql=sql, parameters=["null"], **options)
    assert (again["updated"], again["plan"]["unchanged"]) == (1, 7)
    no_parameters = sql.replace("%%", "%").replace(f"<> {mark}", "<> 'null'")
    assert sync(sql=no_parameters, **options)["plan"]["unchanged"] == 8


def test_a_run_that_was_interrupted_before_a_response_sends_the_row_again(hostile, known, sync, monkeypatch) -> None:
    from airflow_provider_dub.warehouse.state_sink import StateSink

    sync()
    hostile.run("UPDATE customers SET name = 'lost' WHERE user_id = 'user_a'")
    with monkeypatch.context() as patch:
        patch.setattr(StateSink, "write", lambda self, result: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sync()
    assert stored(known, id="cus_90")["name"] == "lost"
    # The row goes back to what the state table had last seen applied; Dub must not be left behind.
    hostile.run("UPDATE customers SET name = 'Ada' WHERE user_id = 'user_a'")
    assert sync()["plan"]["pending"] == 1
    assert stored(known, id="cus_90")["name"] == "Ada"


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)
def test_lineage_has_tables_and_text_of_the_query_and_no_parameter(hostile, known, connected, monkeypatch) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    from airflow.providers.openlineage import conf

    from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
    from tests.support.task_instance import TaskInstance

    monkeypatch.setattr(conf, "is_disabled", lambda: False)
    task = SqlToDubCustomersOperator(
        task_id="sync", sql="SELECT * FROM customers", sql_conn_id="warehouse", external_id_column="user_id"
    )
    task.execute({"ti": TaskInstance()})
    lineage = task.get_openlineage_facets_on_complete(None)
    (read,), (written,) = lineage.inputs, lineage.outputs
    assert read.name.endswith(".customers")
    assert read.namespace.startswith(hostile.engine)
    assert (written.name, written.outputFacets["outputStatistics"].rowCount) == ("customers", 8)
    task.sql, task.parameters = "SELECT * FROM customers WHERE name <> 'a literal' AND user_id <> %s", ["PLANTED"]
    task.execute({"ti": TaskInstance()})
    lineage = task.get_openlineage_facets_on_complete(None)
    assert "a literal" in lineage.job_facets["sql"].query
    assert "PLANTED" not in repr(lineage)
