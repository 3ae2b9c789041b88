"""A whole round with every driver, whatever its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError
from airflow_provider_dub.version_compat import BaseHook
from airflow_provider_dub.warehouse.state_sink import StateSink
from tests.support.stored import stored
from tests.support.strict_drivers import STRICT_DRIVERS, strict_driver

#: Customers and their names, with all that quoting may go wrong with.
NAMES = {
    "user_1": 'O\'Brien \\N \\. "Bob" 100% %s ? :1 :p1',
    "user_2": "two\nlines,\ta tab and \\\\ a backslash\\",
    "ext_weird": "Zoë 🦆 {0}",
}
CUSTOMERS = {"user_1": "cus_1LABA", "user_2": "cus_1LABB", "ext_weird": "cus_1LABD"}


def whole_round(
    database, dub, sync, make: Callable[[Any], Any], parameter: str, given: Callable[[str], Any] = lambda x: [x]
) -> None:
    """Run it.

    :param make: Makes the connections of the operator, in place of its hook's ``get_conn``.
    :param parameter: A parameter of a query, as the driver has it marked.
    :param given: Returns the parameters.
    """
    hook_class = type(BaseHook.get_connection("warehouse").get_hook())

    def run(**options: Any) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hook_class, "get_conn", make)
            return sync(**options, on_missing="skip")

    def killed_while_sending() -> None:
        def kill(self: StateSink, result: object) -> None:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StateSink, "write", kill)
            with pytest.raises(KeyboardInterrupt):
                run()

    database.run("CREATE TABLE customers (user_id VARCHAR(200), name VARCHAR(200), email VARCHAR(200))")
    database.insert(*((*customer, None) for customer in NAMES.items()), ("nobody", "n", None))
    first = run()
    assert (first["updated"], first["missing"]) == (3, 1)
    assert {key: stored(dub, id=id_)["name"] for key, id_ in CUSTOMERS.items()} == NAMES
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
    one = f"SELECT user_id, name FROM customers WHERE user_id = {parameter}"
    database.run("UPDATE customers SET name = 'Countess'")
    last = run(sql=one, parameters=given("ext_weird"))
    assert (last["plan"]["changed"], last["updated"]) == (1, 1)
    assert database.state("name")["ext_weird"] == "Countess"


@pytest.mark.parametrize("name", STRICT_DRIVERS)
def test_a_strict_driver(sqlite, connected, sync, engine, monkeypatch, name: str) -> None:
    driver = strict_driver(monkeypatch, name)
    engine(has_transactions=name not in ("bigquery", "databricks"))
    path = BaseHook.get_connection("warehouse").host
    parameter, given = {
        "numeric": (":1", lambda value: [value]),
        "named": (":x", lambda value: {"x": value}),
        "pyformat": ("%(x)s", lambda value: {"x": value}),
        "bigquery": ("%(x)s", lambda value: {"x": value}),
        "pymssql": ("%s", lambda value: (value,)),
        "mysql-connector": ("%s", lambda value: (value,)),
    }.get(name, ("?", lambda value: [value]))

    def connection_of(hook: Any) -> Any:
        """Return the hook's one connection, as the hook of Databricks does."""
        if not hasattr(hook, "own"):
            hook.own = driver(path)
        return hook.own

    whole_round(sqlite, connected, sync, connection_of, parameter, given)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("cursor", ["cursor", "DictCursor", "RealDictCursor", "NamedTupleCursor"])
def test_psycopg2(database, connected, sync, cursor: str) -> None:
    import psycopg2.extras

    factory = getattr(psycopg2.extras, cursor, None)

    def connect(hook: Any) -> Any:
        return psycopg2.connect(host=hook.connection.host, user="postgres", dbname="postgres", cursor_factory=factory)

    whole_round(database, connected, sync, connect, "%s")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("rows", ["tuple_row", "dict_row", "namedtuple_row"])
def test_psycopg(database, connected, sync, rows: str) -> None:
    psycopg = pytest.importorskip("psycopg")  # not with the oldest constraints of Airflow

    def connect(hook: Any) -> Any:
        factory = getattr(psycopg.rows, rows)
        return psycopg.connect(host=hook.connection.host, user="postgres", dbname="postgres", row_factory=factory)

    whole_round(database, connected, sync, connect, "%s")


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_drivers_without_a_server(database, connected, sync) -> None:
    hook_class = type(BaseHook.get_connection("warehouse").get_hook())
    whole_round(database, connected, sync, hook_class.get_conn, "?")
