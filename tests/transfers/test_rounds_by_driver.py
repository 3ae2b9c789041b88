"""A whole round with every driver, whatever its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError
from airflow_provider_dub.version_compat import BaseHook
from airflow_provider_dub.warehouse.cursors import connect
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.schema import table_named
from airflow_provider_dub.warehouse.state_sink import StateSink
from tests.support.stored import edit, stored
from tests.support.strict_drivers import STRICT_DRIVERS, strict_driver

pytestmark = pytest.mark.engines

#: Customers and their names, with all that quoting may go wrong with.
NAMES = {
    "user_1": 'O\'Brien \\N \\. "Bob" 100% %s ? :1 :p1',
    "user_2": "two\nlines,\ta tab and \\\\ a backslash\\",
    "ext_weird": "Zoë 🦆 {0}",
}
CUSTOMERS = {"user_1": "cus_1LABA", "user_2": "cus_1LABB", "ext_weird": "cus_1LABD"}


Run = Callable[..., dict[str, Any]]


def over(monkeypatch, sync: Run, connection: dict[str, Any], **options: Any) -> Run:
    """Return what runs the operator over another Airflow connection.

    :param connection: Its fields.
    :param options: Further arguments of the operator.
    """
    monkeypatch.setenv("AIRFLOW_CONN_BY_DRIVER", json.dumps(connection))
    return partial(sync, sql_conn_id="by_driver", **options)


def with_connections(sync: Run, make: Callable[[Any], Any]) -> Run:
    """Return what runs the operator with connections for which Airflow's hook has no way.

    :param make: Makes them, in place of the hook's ``get_conn``.
    """
    hook_class = type(BaseHook.get_connection("warehouse").get_hook())

    def run(**options: Any) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hook_class, "get_conn", make)
            return sync(**options)

    return run


def whole_round(
    database, dub, sync: Run, parameter: str, given: Callable[[str], Any] = lambda value: [value], percent: str = "%%"
) -> None:
    """Run it.

    :param sync: Runs the operator.
    :param parameter: A parameter of a query, as the driver has it marked.
    :param given: Returns the parameters.
    :param percent: A percent sign of a query with parameters.
    """
    run = partial(sync, on_missing="skip")

    def killed_while_sending() -> None:
        def kill(self: StateSink, result: object) -> None:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StateSink, "write", kill)
            with pytest.raises(KeyboardInterrupt):
                run()

    database.run(
        "CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), email VARCHAR(200), "
        "stripe_customer_id DECIMAL(18, 0), subscription_canceled_at TIMESTAMP NULL)"
    )
    no_values = (None, None, None)
    rows = [("user_1", NAMES["user_1"], None, Decimal(9007199254740993), "2026-03-01 12:30:15")]
    rows += [(key, name, *no_values) for key, name in NAMES.items() if key != "user_1"]
    database.insert(*(row if database.engine != "sqlite" else _of_sqlite(row) for row in rows))
    database.insert(("nobody", "n", *no_values))
    first = run()
    assert (first["updated"], first["missing"]) == (3, 1)
    assert {key: stored(dub, id=id_)["name"] for key, id_ in CUSTOMERS.items()} == NAMES
    sent = stored(dub, id="cus_1LABA")
    assert sent["stripeCustomerId"] == "9007199254740993"
    assert sent["subscriptionCanceledAt"] == "2026-03-01T12:30:15.000Z"
    assert set(database.state("name").values()) == {*NAMES.values(), "n"}
    second = run()["plan"]
    assert (second["unchanged"], second["missing"], second["to_send"]) == (3, 1, 0)

    database.run("UPDATE customers SET name = 'sent by a run that was killed' WHERE user_id = 'user_1'")
    killed_while_sending()
    database.run("UPDATE customers SET name = 'Ada' WHERE user_id = 'user_1'")
    third = run()
    assert (third["plan"]["pending"], third["updated"]) == (1, 1)
    assert stored(dub, id="cus_1LABA")["name"] == "Ada"

    database.run("UPDATE customers SET email = 'no e-mail' WHERE user_id = 'user_2'")
    with pytest.raises(DubFixRowsError, match="1 rejected"):
        run()
    assert run()["plan"]["refused"] == 1
    quote = "`" if database.engine == "mysql" else '"'
    column = f"{quote}100{percent} name{quote}"
    one = f"SELECT user_id, name AS {column} FROM customers WHERE user_id = {parameter}"
    database.run("UPDATE customers SET name = 'Countess'")
    last = run(sql=one, parameters=given("ext_weird"), columns={"100% name": "name"})
    assert (last["plan"]["changed"], last["updated"]) == (1, 1)
    assert database.state("name")["ext_weird"] == "Countess"


def _of_sqlite(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row as SQLite takes it, which has no decimal numbers."""
    return tuple(int(cell) if isinstance(cell, Decimal) else cell for cell in row)


@pytest.mark.parametrize("name", STRICT_DRIVERS)
def test_a_whole_round_with_a_strict_driver(sqlite, connected, sync, change_dialect, monkeypatch, name: str) -> None:
    driver = strict_driver(monkeypatch, name)
    change_dialect(has_transactions=name not in ("bigquery", "databricks"))
    path = BaseHook.get_connection("warehouse").host
    named, in_a_tuple = (lambda value: {"x": value}), (lambda value: (value,))
    parameter, given, percent = {
        "numeric": (":1", lambda value: [value], "%"),
        "named": (":x", named, "%"),
        "pyformat": ("%(x)s", named, "%%"),
        "bigquery": ("%(x)s", named, "%%"),
        "pymssql": ("%s", in_a_tuple, "%"),
        "what pymssql runs": ("%s", in_a_tuple, "%"),
        "mysql-connector": ("%s", in_a_tuple, "%"),
    }.get(name, ("?", lambda value: [value], "%"))

    def connection_of(hook: Any) -> Any:
        """Return the hook's one connection, as the hook of Databricks does."""
        if not hasattr(hook, "own"):
            hook.own = driver(path)
        return hook.own

    whole_round(sqlite, connected, with_connections(sync, connection_of), parameter, given, percent)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("cursor", ["cursor", "DictCursor", "RealDictCursor", "NamedTupleCursor"])
def test_a_whole_round_with_psycopg2(database, connected, sync, cursor: str) -> None:
    import psycopg2.extras

    factory = getattr(psycopg2.extras, cursor, None)

    def connect(hook: Any) -> Any:
        return psycopg2.connect(host=hook.connection.host, user="postgres", dbname="postgres", cursor_factory=factory)

    whole_round(database, connected, with_connections(sync, connect), "%s")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("rows", ["tuple_row", "dict_row", "namedtuple_row"])
def test_a_whole_round_with_psycopg(database, connected, sync, rows: str) -> None:
    psycopg = pytest.importorskip("psycopg")  # not with the oldest constraints of Airflow

    def connect(hook: Any) -> Any:
        factory = getattr(psycopg.rows, rows)
        return psycopg.connect(host=hook.connection.host, user="postgres", dbname="postgres", row_factory=factory)

    whole_round(database, connected, with_connections(sync, connect), "%s")


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(request, database) -> Iterator[None]:
    """Give the role of PostgreSQL another encoding of its connections."""
    database.run(f"ALTER ROLE postgres SET client_encoding TO '{request.param}'")
    yield
    database.run("ALTER ROLE postgres RESET client_encoding")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.usefixtures("encoded")
@pytest.mark.parametrize("module", ["psycopg2", "psycopg"])
@pytest.mark.parametrize("options", [{}, {"state_table": None}, {"state_conn_id": "warehouse"}])
def test_a_role_with_another_encoding_has_every_character(
    database, connected, sync, module: str, options: dict[str, Any]
) -> None:
    driver = pytest.importorskip(module)
    edit(connected, "user_1", externalId="user_🦆")
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20))")
    database.run(r"INSERT INTO customers VALUES (U&'user_\+01F986', U&'Zo\00EB \+01F986')")  # whatever the encoding

    def connect(hook: Any) -> Any:
        return driver.connect(host=hook.connection.host, user="postgres", dbname="postgres")

    assert with_connections(sync, connect)(**options)["updated"] == 1
    assert stored(connected, externalId="user_🦆")["name"] == "Zoë 🦆"


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_a_whole_round_without_a_server(database, connected, sync) -> None:
    whole_round(database, connected, sync, "?", percent="%")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("cursor", ["", "sscursor", "dictcursor", "ssdictcursor"])
def test_a_whole_round_with_mysqlclient(database, connected, sync, monkeypatch, cursor: str) -> None:
    connection = json.loads(database.connection)
    connection["extra"]["cursor"] = cursor
    whole_round(database, connected, over(monkeypatch, sync, connection), "%s")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_whole_round_with_mysql_connector(database, connected, sync, monkeypatch) -> None:
    pytest.importorskip("mysql.connector")
    ((port,),) = database.run("SELECT @@port")  # Airflow's hook gives it no socket
    extra = {"client": "mysql-connector-python"}
    connection = json.loads(database.connection) | {"host": "127.0.0.1", "port": port, "extra": extra}
    whole_round(database, connected, over(monkeypatch, sync, connection), "%s", lambda value: (value,), "%")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("cursor", ["Cursor", "SSCursor", "DictCursor", "SSDictCursor"])
def test_a_whole_round_with_pymysql(database, connected, sync, cursor: str) -> None:
    pymysql = pytest.importorskip("pymysql")

    def connect(hook: Any) -> Any:
        extra = hook.connection.extra_dejson
        made_with = {"unix_socket": extra["unix_socket"], "cursorclass": getattr(pymysql.cursors, cursor)}
        return pymysql.connect(user="root", database="warehouse", **made_with)

    whole_round(database, connected, with_connections(sync, connect), "%s")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("charset", ["utf8", "latin1"])  # of three bytes at most, as in many examples; and of one
@pytest.mark.parametrize("module", ["MySQLdb", "pymysql", "mysql.connector"])
@pytest.mark.parametrize("options", [{}, {"state_table": None}, {"state_conn_id": "warehouse"}])
def test_a_connection_that_lacks_characters_names_no_other_customer(
    database, connected, sync, charset: str, module: str, options: dict[str, Any]
) -> None:
    driver = pytest.importorskip(module)
    edit(connected, "user_1", externalId="user_🦆")
    edit(connected, "user_2", externalId="user_?")
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20))")
    database.insert(("user_🦆", "Duck 🦆"))

    def connect(hook: Any) -> Any:
        socket = hook.connection.extra_dejson["unix_socket"]
        return driver.connect(user="root", database="warehouse", unix_socket=socket, charset=charset)

    assert with_connections(sync, connect)(**options)["updated"] == 1
    assert stored(connected, externalId="user_🦆")["name"] == "Duck 🦆"
    assert stored(connected, externalId="user_?")["name"] != "Duck ?"


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("module", ["MySQLdb", "pymysql", "mysql.connector"])
@pytest.mark.parametrize("options", [{}, {"state_table": None}, {"state_conn_id": "warehouse"}])
def test_no_row_is_left_out_by_a_limit_of_the_session(
    database, connected, sync, module: str, options: dict[str, Any]
) -> None:
    driver = pytest.importorskip(module)
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(20))")
    database.insert(("user_1", "Ada"), ("user_2", "Bob"))

    def connect(hook: Any) -> Any:
        connection = driver.connect(
            user="root", database="warehouse", unix_socket=hook.connection.extra_dejson["unix_socket"]
        )
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET sql_select_limit = 1")
        return connection

    assert with_connections(sync, connect)(**options)["updated"] == 2


#: PostgreSQL's ODBC driver. Its other one, "PostgreSQL ANSI", does not take what pyodbc sends.
ODBC = "PostgreSQL Unicode"


@pytest.fixture
def odbc(monkeypatch, sync):
    """Return what runs the operator over ODBC, in sessions that are set up like this."""
    pytest.importorskip("airflow.providers.odbc")
    if ODBC not in pytest.importorskip("pyodbc", exc_type=ImportError).drivers():  # its library may be missing
        pytest.skip(f"no ODBC driver {ODBC} on this machine")

    def odbc(database, **extra: Any) -> Run:
        connection = json.loads(database.connection) | {"conn_type": "odbc", "port": 5432, "extra": extra}
        return over(monkeypatch, sync, connection, dialect="postgres", sql_hook_params={"driver": ODBC})

    return odbc


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("extra", [{}, {"UseDeclareFetch": "1"}])
def test_a_whole_round_over_odbc(database, connected, odbc, extra: dict[str, str]) -> None:
    whole_round(database, connected, odbc(database, **extra), "?", percent="%")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP", "DATE"])
def test_over_odbc_a_timestamp_is_the_same_in_every_session(database, connected, odbc, kind: str) -> None:
    database.run(f"CREATE TABLE customers (user_id VARCHAR(20), subscription_canceled_at {kind})")
    offset = "+00" if kind == "TIMESTAMPTZ" else ""
    database.insert(("user_1", f"2026-03-01 12:30:15.123{offset}"), ("user_2", None), ("ext_weird", "infinity"))
    first = odbc(database, ConnSettings="{SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'}")
    assert first(max_failures=1)["rejected"] == 1
    sent = "2026-03-01T12:30:15.123Z" if kind != "DATE" else "2026-03-01T00:00:00.000Z"
    assert stored(connected, id="cus_1LABA")["subscriptionCanceledAt"] == sent
    for zone in ("UTC", "Asia/Kathmandu"):
        plan = odbc(database, ConnSettings=f"SET TimeZone = '{zone}'")()["plan"]
        assert (plan["unchanged"], plan["refused"]) == (2, 1)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_over_odbc_an_instant_is_read_without_a_state_table_as_it_is_in_a_session_of_utc(
    database, connected, odbc
) -> None:
    database.run("CREATE TABLE customers (user_id VARCHAR(20), subscription_canceled_at TIMESTAMPTZ)")
    database.insert(("user_1", "2026-03-01 12:30:15.123+05:45"))
    run = odbc(database, ConnSettings="SET TimeZone = 'UTC'")
    assert run(state_table=None, dialect=None)["updated"] == 1
    assert stored(connected, id="cus_1LABA")["subscriptionCanceledAt"] == "2026-03-01T06:45:15.123Z"


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_more_rows_are_inserted_over_odbc_than_a_statement_has_parameters_for(database, odbc) -> None:
    odbc(database)
    engine, columns = DIALECTS["postgres"], ["a", "b", "c", "d"]
    database.run("CREATE TABLE customers (a TEXT, b TIMESTAMP, c TEXT, d BIGINT)")
    hook = BaseHook.get_connection("by_driver").get_hook(hook_params={"driver": ODBC})
    with closing(connect(hook, to_write=True)) as connection, connection.transaction() as cursor:
        rows = [(str(n), "2026-11-29 12:30:00.123456", None, "1") for n in range(engine.commit_every)]
        cursor.insert_rows(table_named("customers", engine), columns, rows, dialect=engine)
    assert database.run("SELECT COUNT(DISTINCT a) FROM customers") == [(len(rows),)]
