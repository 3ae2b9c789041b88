"""The difference is the same in every session, and each type is written alike by every run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError
from airflow_provider_dub.version_compat import BaseHook
from tests.support.stored import stored

pytestmark = pytest.mark.engines

#: Sessions as users set them up, by the statements that do.
SESSIONS = {
    "postgres": [
        ["SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, MDY'"],
        ["SET TimeZone = 'America/New_York'", "SET DateStyle = 'German'"],
        ["SET TimeZone = 'Asia/Kathmandu'", "SET DateStyle = 'SQL, DMY'"],
        ["SET TimeZone = 'America/New_York'", "SET DateStyle = 'Postgres'", "SET IntervalStyle = 'iso_8601'"],
    ],
    "duckdb": [["SET TimeZone = 'UTC'"], ["SET TimeZone = 'America/New_York'"], ["SET TimeZone = 'Asia/Kathmandu'"]],
    "mysql": [["SET time_zone = '+00:00'"], ["SET time_zone = '-05:00'"], ["SET time_zone = '+05:45'"]],
}
SENT = "2026-03-01T12:30:15.123Z"


@pytest.fixture
def session(database, monkeypatch) -> Callable[[list[str]], None]:
    """Set up every session of the warehouse by these statements, from now on."""
    hook_class = type(BaseHook.get_connection("warehouse").get_hook())
    original = hook_class.get_conn

    def set_up(statements: list[str]) -> None:
        def get_conn(self):
            connection = original(self)
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
                connection.execute(statement) if database.engine == "duckdb" else connection.commit()
            return connection

        monkeypatch.setattr(hook_class, "get_conn", get_conn)

    return set_up


@pytest.mark.parametrize("database", SESSIONS, indirect=True)
@pytest.mark.parametrize("kind", ["an instant", "a timestamp", "a date"])
def test_a_timestamp_is_the_same_in_every_session(database, connected, sync, session, kind: str) -> None:
    instant = "TIMESTAMP(3)" if database.engine == "mysql" else "TIMESTAMPTZ"
    naive = "DATETIME(3)" if database.engine == "mysql" else "TIMESTAMP"
    column = {"an instant": instant, "a timestamp": naive, "a date": "DATE"}[kind]
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), canceled {column} NULL)")
    session(SESSIONS[database.engine][0])
    zone = "+00" if kind == "an instant" and database.engine != "mysql" else ""
    database.insert(("user_1", f"2026-03-01 12:30:15.123{zone}"), ("user_2", None))
    columns = {"canceled": "subscriptionCanceledAt"}
    assert sync(columns=columns)["updated"] == 1
    sent = SENT if kind != "a date" else "2026-03-01T00:00:00.000Z"
    assert stored(connected, id="cus_1LABA")["subscriptionCanceledAt"] == sent
    written = database.state("subscription_canceled_at")["user_1"]
    assert written.endswith("Z") == (kind == "an instant")
    for statements in SESSIONS[database.engine]:
        session(statements)
        assert sync(columns=columns)["plan"]["unchanged"] == 2
    for statements in SESSIONS[database.engine]:
        session(statements)
        assert sync(columns=columns, full_refresh=True)["rejected"] == 0
        assert stored(connected, id="cus_1LABA")["subscriptionCanceledAt"] == sent
        assert database.state("subscription_canceled_at")["user_1"] == written


@pytest.mark.parametrize("database", SESSIONS, indirect=True)
def test_a_dry_run_reads_the_state_elsewhere_in_every_session(database, connected, sync, session) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20))")
    database.insert(("user_1", "Ada"), ("user_9", "Nobody"))
    for statements in SESSIONS[database.engine]:
        session(statements)
        options = {"state_conn_id": "warehouse", "on_missing": "skip"}
        if statements is SESSIONS[database.engine][0]:
            assert sync(**options)["missing"] == 1
        plan = sync(**options, dry_run=True)["plan"]
        assert (plan["unchanged"], plan["missing"]) == (1, 1)


@pytest.mark.parametrize("database", ["postgres", "duckdb"], indirect=True)
@pytest.mark.parametrize("column", ["TIMESTAMPTZ", "TIMESTAMP", "DATE"])
def test_a_timestamp_without_end_is_that_rows_failure_alone(database, connected, sync, session, column: str) -> None:
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), canceled {column})")
    database.insert(("user_1", "infinity"), ("user_2", "-infinity"))
    session(SESSIONS[database.engine][1])
    with pytest.raises(DubFixRowsError, match="2 rejected"):
        sync(columns={"canceled": "subscriptionCanceledAt"})
    assert sync(columns={"canceled": "subscriptionCanceledAt"})["plan"]["refused"] == 2


#: New York's clocks in 2026, as MariaDB knows time zones.
NEW_YORK = [
    "REPLACE INTO mysql.time_zone VALUES (1, 'N')",
    "REPLACE INTO mysql.time_zone_name VALUES ('Test/New_York', 1)",
    "REPLACE INTO mysql.time_zone_transition_type VALUES (1, 0, -14400, 1, 'EDT'), (1, 1, -18000, 0, 'EST')",
    "REPLACE INTO mysql.time_zone_transition VALUES (1, 1762063200, 1), (1, 1772953200, 0), (1, 1793512800, 1)",
]


@pytest.mark.parametrize("database", SESSIONS, indirect=True)
def test_an_hour_that_the_clocks_repeat_has_two_instants(database, connected, sync, session) -> None:
    session(SESSIONS[database.engine][1])
    kind, first, second, in_utc = "TIMESTAMPTZ", "2026-11-01 01:30:00-04", "2026-11-01 01:30:00-05", []
    if database.engine == "mysql":  # a text has no zone there
        kind, first, second, in_utc = "TIMESTAMP NULL", "2026-11-01 05:30", "2026-11-01 06:30", SESSIONS["mysql"][0]
        database.run(*NEW_YORK)  # a new server has no zone by name
        session(["SET time_zone = 'Test/New_York'"])
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), canceled {kind})")
    database.run(*in_utc, f"INSERT INTO customers VALUES ('user_1', '{first}')")
    columns = {"canceled": "subscriptionCanceledAt"}
    sync(columns=columns)
    database.run(*in_utc, f"UPDATE customers SET canceled = '{second}'")
    assert sync(columns=columns)["plan"]["changed"] == 1
    assert stored(connected, id="cus_1LABA")["subscriptionCanceledAt"] == "2026-11-01T06:30:00.000Z"


#: Columns in which the engine takes two cases for one.
ANY_CASE = {"sqlite": "COLLATE NOCASE", "duckdb": "COLLATE NOCASE", "mysql": "COLLATE utf8mb4_general_ci"}


@pytest.mark.parametrize("database", ANY_CASE, indirect=True)
def test_a_change_of_case_is_seen_whatever_the_collation(database, connected, sync) -> None:
    column = f"VARCHAR(20) {ANY_CASE[database.engine]}"
    database.run(f"CREATE TABLE customers (user_id {column}, name {column})")
    database.insert(("user_1", "ada"), ("USER_1", "Bob"))
    assert sync(max_failures=1)["plan"]["duplicate"] == 0
    database.run("UPDATE customers SET name = 'Ada' WHERE name = 'ada'")
    assert sync()["plan"]["changed"] == 1
    assert stored(connected, id="cus_1LABA")["name"] == "Ada"


#: Types of columns that are sent as text, by engine: the type, a value, and what Dub gets.
TEXTS = {
    "postgres": [("CHAR(20)", "Ada", "Ada"), ("VARCHAR(9)", "Ada ", "Ada "), ("TEXT", "Ada", "Ada")],
    "duckdb": [("CHAR(20)", "Ada", "Ada"), ("TEXT", "Ada ", "Ada ")],
    "sqlite": [("CHAR(20)", "Ada", "Ada"), ("TEXT", "Ada ", "Ada "), ("JSON", '{"a": 1}', '{"a": 1}')],
    "mysql": [("CHAR(20)", "Ada", "Ada"), ("TEXT", "Ada ", "Ada "), ("JSON", '{"a": 1}', '{"a": 1}')],
}


@pytest.mark.parametrize(
    ("database", "column", "value", "sent"),
    [(engine, *rest) for engine, cases in TEXTS.items() for rest in cases],
    indirect=["database"],
)
def test_what_is_text_is_sent_once(database, connected, sync, column: str, value: str, sent: str) -> None:
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), name {column})")
    database.insert(("user_1", value))
    assert sync()["updated"] == 1
    assert stored(connected, id="cus_1LABA")["name"] == sent
    assert sync()["plan"]["unchanged"] == 1


@pytest.mark.parametrize(
    ("database", "column"), [("postgres", "JSON"), ("postgres", "JSONB"), ("duckdb", "JSON")], indirect=["database"]
)
def test_a_text_in_json_is_sent_without_its_quotes_and_null_is_a_missing_value(
    database, connected, sync, column: str
) -> None:
    database.run(f"CREATE TABLE people (user_id {column}, name {column}, stripe {column})")
    database.run("""INSERT INTO people VALUES ('"user_1"', '"Ada \\"É\\""', 'null'), ('"user_2"', 'null', '"s_2"')""")
    columns = {"name": "name", "stripe": "stripeCustomerId"}
    before = stored(connected, id="cus_1LABB")["name"]
    try:
        assert sync("SELECT * FROM people", columns=columns)["updated"] == 2
        assert stored(connected, id="cus_1LABA")["name"] == 'Ada "É"'
        assert stored(connected, id="cus_1LABB")["name"] == before
        assert database.state("dub_id") == {"user_1": "cus_1LABA", "user_2": "cus_1LABB"}
        assert sync("SELECT * FROM people", columns=columns)["plan"]["unchanged"] == 2
    finally:
        database.run("DROP TABLE people")


#: Types of numbers that a column of ids may have, by engine.
NUMBERS = {
    "postgres": ["NUMERIC(30, 0)", "NUMERIC(20, 2)", "DOUBLE PRECISION", "OID"],
    "duckdb": ["DECIMAL(30, 0)", "DECIMAL(20, 2)", "DOUBLE", "HUGEINT", "UTINYINT"],
    "sqlite": ["NUMERIC", "REAL", "DECIMAL(20, 2)", "BOOLEAN"],
    "mysql": ["DECIMAL(30, 0)", "DECIMAL(20, 2)", "DOUBLE"],
}


@pytest.mark.parametrize(
    ("database", "column"),
    [(engine, column) for engine, columns in NUMBERS.items() for column in columns],
    indirect=["database"],
)
def test_a_number_of_any_type_is_sent_once(database, connected, sync, column: str) -> None:
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), stripe {column})")
    database.insert(("user_1", 42), ("user_2", None))
    columns = {"stripe": "stripeCustomerId"}
    assert sync(columns=columns)["updated"] == 1
    assert stored(connected, id="cus_1LABA")["stripeCustomerId"] == "42"
    assert sync(columns=columns)["plan"]["unchanged"] == 2


@pytest.mark.parametrize("database", ["postgres", "duckdb", "mysql"], indirect=True)
@pytest.mark.parametrize("state", ["here", "elsewhere"])
def test_a_column_of_narrow_floats_is_refused_since_its_ids_may_be_those_of_others(
    database, connected, sync, state: str
) -> None:
    kind = "FLOAT" if database.engine == "mysql" else "REAL"
    database.run(f"CREATE TABLE customers (user_id {kind}, name VARCHAR(20))")
    database.insert((16_777_217, "Ada"))
    elsewhere = {"state_conn_id": "warehouse"} if state == "elsewhere" else {}
    with pytest.raises(DubFixSetupError, match='The column "user_id" of the query is of floats'):
        sync(**elsewhere)
    assert not connected.requests
    database.run("UPDATE customers SET user_id = 42")
    cast = "SELECT CAST(user_id AS DECIMAL(20)) AS user_id, name FROM customers"
    assert sync(cast, on_missing="skip", **elsewhere)["missing"] == 1


#: Types that are no text, by engine: the type, and a value as SQL.
NO_TEXT = {
    "postgres": [
        ("INTEGER", "42"),
        ("NUMERIC(5, 2)", "1.50"),
        ("BOOLEAN", "TRUE"),
        ("JSONB", '\'{"b": 1, "a": [1, 2]}\''),
        ("TEXT[]", "ARRAY['a', 'b']"),
        ("BYTEA", "'\\x00ff'"),
        ("INTERVAL", "INTERVAL '1 day'"),
    ],
    "duckdb": [
        ("INTEGER", "42"),
        ("DECIMAL(5, 2)", "1.50"),
        ("BOOLEAN", "TRUE"),
        ("UUID", "'3c2b0b5e-3f4e-4d57-9c1e-0d6c0a1b2c3d'"),
        ("TEXT[]", "['a', 'b']"),
        ("STRUCT(a INTEGER)", "{'a': 1}"),
        ("MAP(TEXT, INTEGER)", "MAP {'a': 1}"),
        ("BLOB", "'\\x00\\xFF'"),
    ],
    "sqlite": [("INTEGER", "42"), ("REAL", "1.5"), ("BLOB", "x'6162'")],
    "mysql": [("INTEGER", "42"), ("DECIMAL(5, 2)", "1.50"), ("BLOB", "x'6162'")],
}


@pytest.mark.parametrize(
    ("database", "column", "value"),
    [(engine, *rest) for engine, cases in NO_TEXT.items() for rest in cases],
    indirect=["database"],
)
def test_what_is_no_text_is_rejected_once_with_the_way_to_cast_it(
    database, connected, sync, column: str, value: str
) -> None:
    database.run(
        f"CREATE TABLE customers (user_id VARCHAR(20), name {column})",
        f"INSERT INTO customers VALUES ('user_1', {value})",
    )
    with pytest.raises(DubFixRowsError, match="1 rejected"):
        sync()
    assert "CAST(" in database.state("message")["user_1"]
    plan = sync()["plan"]
    assert (plan["refused"], plan["to_send"]) == (1, 0)
    text = "CHAR" if database.engine == "mysql" else "TEXT"
    if column not in ("BYTEA", "BLOB"):
        cast = f"SELECT user_id, CAST(name AS {text}) AS name FROM customers"
        assert sync(sql=cast, retry_rejected=True)["updated"] == 1
        assert sync(sql=cast)["plan"]["unchanged"] == 1


@pytest.mark.parametrize(
    ("database", "column"), [("postgres", "JSON"), ("postgres", "JSONB"), ("duckdb", "JSON")], indirect=["database"]
)
def test_a_null_in_json_clears_as_any_other_missing_value(database, connected, sync, column: str) -> None:
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), email VARCHAR(50), name {column})")
    database.insert(("user_1", "ada@b.co", "null"))
    columns = {"email": "email"}
    sync(columns=columns)
    columns["name"] = "name"
    assert sync(columns=columns, null_policy={"name": "clear"})["updated"] == 1
    assert stored(connected, id="cus_1LABA")["name"] is None
    assert sync(columns=columns, null_policy={"name": "clear"})["plan"]["unchanged"] == 1


@pytest.mark.parametrize("database", ANY_CASE, indirect=True)
def test_of_two_rows_with_the_latest_value_it_is_always_the_same_whatever_the_collation(
    database, connected, sync
) -> None:
    rows = [("user_1", "Ada", 1), ("user_1", "ADA", 1)]
    options = {"on_duplicate": "last", "latest_by": "stamp", "columns": {"name": "name"}}
    database.run(
        f"CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20) {ANY_CASE[database.engine]}, stamp INTEGER)"
    )
    database.insert(*rows)
    assert sync(**options)["updated"] == 1
    database.run("DELETE FROM customers")
    database.insert(*reversed(rows))
    assert sync(**options)["plan"]["unchanged"] == 1
