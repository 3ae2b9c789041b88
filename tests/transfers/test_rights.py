"""A missing right, and a table that does not take what is written, are found before the first request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from airflow_provider_dub.exceptions import (
    DubDatabaseError,
    DubFixSetupError,
    DubRetryLaterError,
    DubStateTableLockedError,
    DubUnrecordedOutcomesError,
)
from airflow_provider_dub.warehouse.__main__ import main
from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.lease import Lease
from airflow_provider_dub.warehouse.state_table import StateTable
from airflow_provider_dub.warehouse.statements import Statements

TABLES = ("dub_state", "dub_state_lease", "dub_state_history")
#: What a run needs once the tables are there.
LEAST = {
    "dub_state": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "dub_state_lease": {"SELECT", "INSERT", "UPDATE"},
    "dub_state_history": {"SELECT", "INSERT", "DELETE"},
}
MISSING = [(table, right) for table, rights in LEAST.items() for right in sorted(rights)]


@pytest.fixture
def customers(database, connected):
    """user_1 and user_2, who are in Dub."""
    database.run("CREATE TABLE customers (user_id VARCHAR(20), name VARCHAR(200))")
    database.insert(("user_1", "planted"), ("user_2", "planted"))
    return database


@pytest.fixture
def tables(customers, sync):
    """The tables as a first run creates them, with nothing in them."""
    sync(sql="SELECT * FROM customers WHERE 1 = 0")
    customers.run("DELETE FROM dub_state_lease")
    return customers


@pytest.fixture
def as_role(customers, monkeypatch) -> Iterator[Callable[[dict[str, set[str]]], Any]]:
    """Connect the run as a role of PostgreSQL that may do no more than this with the tables."""
    admin = customers.connection

    @contextmanager
    def as_admin() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_WAREHOUSE", admin)
            yield

    def connect(rights: dict[str, set[str]]) -> Any:
        grants = (f"GRANT {', '.join(sorted(may))} ON {table} TO dub_run" for table, may in rights.items() if may)
        with as_admin():
            customers.run("CREATE ROLE dub_run LOGIN", "GRANT SELECT ON customers TO dub_run", *grants)
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(json.loads(admin) | {"login": "dub_run"}))
        return as_admin

    yield connect
    with as_admin():
        customers.run("DROP OWNED BY dub_run", "DROP ROLE dub_run")


def make_again(database, table: str, pattern: str, by: str) -> None:
    """Create a table again, as somebody else made it."""
    write = Statements(DIALECTS[database.engine], "dub_state")
    statements = {"dub_state": write.create(), "dub_state_history": write.create_history()}[table]
    create, changes = re.subn(pattern, by, statements[0])
    assert changes == 1
    database.run(f"DROP TABLE {table}", create)


def said(error: BaseException | None) -> str:
    """Return all that an error says, and those that it is from."""
    chain = ""
    while error is not None:
        chain += f"{error!r} {getattr(error, '__notes__', '')} "
        error = error.__cause__ or error.__context__
    return chain


def refused(sync, connected, match: str, **options: Any) -> str:
    """Run, and return why nothing was sent."""
    with pytest.raises(DubFixSetupError, match=match) as error:
        sync(**options)
    assert connected.requests == []
    assert "planted" not in said(error.value)
    assert "this is not a customer" not in said(error.value)
    message = str(error.value)
    assert "Nothing was sent" in message
    assert "python -m airflow_provider_dub.warehouse --dialect" in message
    assert not {"drop", "delete", "truncate"} & {*message.lower().replace("may not delete", "").split()}
    return message


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize(("table", "right"), MISSING)
def test_a_right_that_is_missing_is_named(tables, as_role, connected, sync, table: str, right: str) -> None:
    as_role({name: may - {right} if name == table else may for name, may in LEAST.items()})
    verb = "read" if right == "SELECT" else right.lower()
    assert f'"{table}"' in refused(sync, connected, f"may not .*{verb}.*42501")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_the_least_rights_are_enough_once_the_tables_are_there(tables, as_role, connected, sync) -> None:
    as_admin = as_role(LEAST)
    assert sync()["updated"] == 2
    with as_admin():
        tables.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    assert sync()["plan"]["changed"] == 1
    with as_admin():
        tables.run("UPDATE dub_state_history SET last_tried_at = '2026-01-01'")
    assert sync()["plan"]["to_send"] == 0
    assert tables.run("SELECT COUNT(*) FROM dub_state_history") == [(0,)]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_what_is_printed_for_an_administrator_is_enough(customers, as_role, connected, sync, capsys) -> None:
    as_admin = as_role({})
    capsys.readouterr()  # before Airflow 3, its log is there, too
    main(["--dialect", "postgres", "--state-table", "dub_state", "--role", "dub_run"])
    with as_admin():
        customers.run(capsys.readouterr().out)
    assert sync()["updated"] == 2
    assert sync()["plan"]["unchanged"] == 2


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_run_that_may_make_no_temporary_table_does_the_same(tables, as_role, connected, sync, caplog) -> None:
    caplog.set_level("INFO", "airflow_provider_dub")
    as_admin = as_role(LEAST)
    with as_admin():
        tables.run("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    try:
        assert sync()["updated"] == 2
        with as_admin():
            tables.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
        summary = sync()
        assert (summary["updated"], summary["plan"]["changed"], summary["plan"]["unchanged"]) == (1, 1, 1)
        assert caplog.text.count("InsufficientPrivilege 42501), so the database") == 2
        with as_admin():
            tables.run("INSERT INTO dub_state SELECT * FROM dub_state WHERE customer_key = 'user_1'")
        with pytest.raises(DubFixSetupError, match="more than one row for 1 of its keys"):
            sync()
    finally:
        with as_admin():
            tables.run("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_without_the_right_to_create_tables_the_error_says_where_they_are_from(
    customers, as_role, connected, sync
) -> None:
    as_role({})
    assert '"dub_state"' in refused(sync, connected, "may not read the table .* or create it")


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgres", "duckdb", "mysql", "sqlite"], indirect=True)
def test_a_state_table_that_cannot_be_created_is_named_with_what_to_check(customers, connected, sync) -> None:
    named = ".no_such.[.].dub_state. cannot be read, nor created .*schema"
    refused(sync, connected, named, state_table="no_such.dub_state")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_column_of_this_version_that_may_not_be_added_is_named(tables, as_role, connected, sync) -> None:
    as_admin = as_role(LEAST)
    with as_admin():
        tables.run("ALTER TABLE dub_state DROP COLUMN country")
    refused(sync, connected, "may not add the columns country of this version")


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_is_read_only_is_found(customers, connected, sync, monkeypatch, first: bool) -> None:
    if not first:
        sync(sql="SELECT * FROM customers WHERE 1 = 0")
    file = json.loads(customers.connection)["host"]
    if customers.engine == "sqlite":
        connection = {"conn_type": "sqlite", "host": file, "extra": {"mode": "ro"}}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    else:
        import duckdb
        from duckdb_provider.hooks.duckdb_hook import DuckDBHook

        monkeypatch.setattr(DuckDBHook, "get_conn", lambda self: duckdb.connect(file, read_only=True))
    refused(sync, connected, "may not (read the table|insert and update)")


@pytest.mark.parametrize("database", ["duckdb", "postgres"], indirect=True)
@pytest.mark.parametrize("table", ["dub_state", "dub_state_history"])
def test_a_column_that_is_too_narrow_is_named(tables, connected, sync, table: str) -> None:
    narrow = "VARCHAR(3)" if tables.engine == "postgres" else "VARCHAR CHECK (LENGTH(stripe_customer_id) <= 3)"
    make_again(tables, table, '"stripe_customer_id" TEXT', f'"stripe_customer_id" {narrow}')
    message = refused(sync, connected, f'"{table}" does not take what is written')
    assert "Look at columns stripe_customer_id." in message


@pytest.fixture
def by_time(tables):
    """The history in partitions by time, which an administrator makes ahead."""
    create = Statements(DIALECTS["postgres"], "dub_state").create_history()[0]
    partition = "PARTITION OF dub_state_history FOR VALUES FROM ('2020-01-01') TO"
    tables.run("DROP TABLE dub_state_history", f"{create} PARTITION BY RANGE (last_tried_at)")
    tables.run(f"CREATE TABLE dub_old {partition} ('2020-02-01')")
    return tables


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_history_without_a_partition_for_today_says_where_to_look(by_time, connected, sync) -> None:
    assert "and its partitions" in refused(sync, connected, '"dub_state_history" does not take what is written')


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_partition_that_is_missing_from_now_on_is_said_when_outcomes_are_recorded(
    by_time, connected, sync, while_sending
) -> None:
    by_time.run("CREATE TABLE dub_now PARTITION OF dub_state_history DEFAULT")
    while_sending(lambda: by_time.run("ALTER TABLE dub_state_history DETACH PARTITION dub_now"))
    with pytest.raises(DubUnrecordedOutcomesError, match=r"23514\. .* password .* no partition is missing"):
        sync()
    by_time.run("ALTER TABLE dub_state_history ATTACH PARTITION dub_now DEFAULT")
    assert sync()["updated"] == 2
    assert set(by_time.state("outcome").values()) == {"updated"}


def test_an_extra_column_that_takes_no_null_is_named(tables, connected, sync) -> None:
    make_again(tables, "dub_state", r"\((?=.customer_key)", "(tenant VARCHAR(9) NOT NULL, ")
    message = refused(sync, connected, "does not take what is written")
    assert "tenant, which must take NULL or have a default" in message


@pytest.mark.parametrize("column", ["email", "first_applied_at"])
def test_a_column_that_takes_no_null_is_named(tables, connected, sync, column: str) -> None:
    make_again(tables, "dub_state", rf"([\"`]{column}[\"`] \w+(\(6\))?)", r"\1 NOT NULL")
    message = refused(sync, connected, "does not take what is written")
    assert f"Look at columns {column}, which must take NULL." in message


@pytest.mark.parametrize("database", ["sqlite", "duckdb", "postgres"], indirect=True)
def test_a_key_that_is_a_number_is_found(tables, connected, sync) -> None:
    key = re.escape(f'"customer_key" {DIALECTS[tables.engine].key_type}') + '( COLLATE "C")?'
    make_again(tables, "dub_state", key, '"customer_key" INTEGER')
    assert "customer_key" in refused(sync, connected, "does not (take|keep) what is written")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_column_that_fills_texts_up_with_blanks_is_found(tables, connected, sync) -> None:
    make_again(tables, "dub_state", '"name" TEXT', '"name" CHAR(2000)')
    refused(sync, connected, "does not keep what is written to it: columns name")


def test_what_was_tried_leaves_nothing_behind(customers, connected, sync) -> None:
    for _ in range(2):
        sync(baseline="source")
        assert {*customers.state("outcome")} == {"user_1", "user_2"}
        tried = customers.run("SELECT COUNT(*) FROM dub_state_history WHERE customer_key NOT LIKE 'user%'")
        assert tried == [(0,)]


def test_without_transactions_lines_that_a_crash_leaves_in_the_history_count_for_nothing(
    customers, connected, sync, change_dialect, monkeypatch
) -> None:
    change_dialect(has_transactions=False)
    sync()
    with monkeypatch.context() as patch:
        patch.setattr(
            Statements, "delete_attempt", lambda self: "DELETE FROM dub_state_history WHERE 1 = 0 AND attempt = %s"
        )
        transaction = Warehouse.transaction
        patch.setattr(Warehouse, "transaction", lambda self, work, **_: transaction(self, work, undo=False))
        sync()
    tried = customers.run("SELECT attempt FROM dub_state_history WHERE customer_key NOT LIKE 'user%'")
    assert len(tried) == 3
    assert sync(max_change_rate=0.5)["plan"]["unchanged"] == 2
    assert {*customers.state("outcome")} == {"user_1", "user_2"}


@pytest.mark.parametrize("key", ["INTEGER", "BIGINT", "NUMERIC(20, 0)"])
def test_a_key_of_the_query_may_be_a_number(database, connected, sync, key: str) -> None:
    connected.reset(setup_customers=[{"id": "cus_9A", "externalId": "42", "name": "n", "email": None}])
    database.run(f"CREATE TABLE customers (user_id {key}, name VARCHAR(200))")
    database.insert((42, "Ada"))
    assert sync()["updated"] == 1
    assert sync()["plan"]["unchanged"] == 1
    database.run("UPDATE customers SET name = 'Countess'")
    assert (sync()["updated"], database.state("name")) == (1, {"42": "Countess"})


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize(
    ("where", "of"),
    [
        pytest.param("create", (Statements, "create"), marks=pytest.mark.slow),  # both are tried for seconds
        ("upgrade", (Lease, "set_version")),
        ("set pending", (Statements, "set_pending")),
        ("prune", (Statements, "prune")),
        pytest.param("lease", (Lease, "_acquire"), marks=pytest.mark.slow),
    ],
)
def test_no_value_is_shown_by_an_error_of_any_statement(
    customers, connected, sync, logged, monkeypatch, where: str, of: tuple[Any, str]
) -> None:
    fails = "SELECT CAST('planted' AS INTEGER) FROM no_such_table_planted"
    if where != "create":
        sync()
        customers.run("UPDATE customers SET name = 'planted again'")
        customers.run("UPDATE dub_state_history SET last_tried_at = '2026-01-01 00:00:00.000000'")
    if where == "upgrade":
        customers.run("ALTER TABLE dub_state DROP COLUMN country")
    if where in ("upgrade", "lease"):
        monkeypatch.setattr(*of, lambda self, cursor, *arguments: cursor.execute(fails))
    else:
        result = [fails] if where == "create" else fails
        monkeypatch.setattr(*of, lambda *arguments: result)
    sent = len(connected.requests)
    with pytest.raises((DubDatabaseError, DubFixSetupError, DubStateTableLockedError)) as error:
        sync()
    assert len(connected.requests) == sent
    assert "planted" not in said(error.value) + logged()


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_no_value_is_shown_when_the_lines_of_a_crashed_run_cannot_be_merged(
    customers, connected, sync, logged, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(StateTable, "merge", lambda self, *, end=False: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Lease, "release", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            sync()
    customers.run("UPDATE dub_state_lease SET expires_at = 1")
    customers.run("ALTER TABLE dub_state ADD CHECK (name <> 'planted')")
    sent = len(connected.requests)
    with pytest.raises(DubFixSetupError, match="does not take what is written") as error:
        sync()
    assert len(connected.requests) == sent
    assert "planted" not in said(error.value) + logged()


def allow_all_but(tables, right: str) -> None:
    """Give the state table a policy for each right but one, of which a statement passes and finds no row."""
    tables.run("ALTER TABLE dub_state ENABLE ROW LEVEL SECURITY")
    for may in LEAST["dub_state"] - {right}:
        condition = "WITH CHECK (TRUE)" if may == "INSERT" else "USING (TRUE)"
        tables.run(f"CREATE POLICY may_{may} ON dub_state FOR {may} {condition}")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_policy_that_lets_a_delete_pass_and_leaves_the_rows_is_found(tables, as_role, connected, sync) -> None:
    as_admin = as_role(LEAST)
    with as_admin():
        allow_all_but(tables, "DELETE")
    refused(sync, connected, '"dub_state" are still there after .* policies')


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_policy_that_lets_an_update_pass_and_leaves_the_rows_is_found(tables, as_role, connected, sync) -> None:
    sync(baseline="source")
    as_admin = as_role(LEAST)
    with as_admin():
        tables.run("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
        allow_all_but(tables, "UPDATE")
        tables.run("UPDATE customers SET name = 'Countess'")
    try:
        with pytest.raises(DubRetryLaterError, match=r"Nothing was sent.*policies"):
            sync()
        assert connected.requests == []
    finally:
        with as_admin():
            tables.run("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_trigger_that_takes_an_update_back_is_found(tables, connected, sync) -> None:
    sync(baseline="source")
    tables.run("CREATE TRIGGER takes_back BEFORE UPDATE ON dub_state FOR EACH ROW SET NEW.outcome = OLD.outcome")
    tables.run("UPDATE customers SET name = 'Countess'")
    with pytest.raises(DubRetryLaterError, match=r"Nothing was sent.*triggers"):
        sync()
    assert connected.requests == []


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
@pytest.mark.parametrize("table", ["dub_state", "dub_state_lease"])
def test_a_table_that_may_not_be_read_is_there(
    tables, as_role, connected, sync, table: str, options: dict[str, Any]
) -> None:
    sync(baseline="source")
    as_admin = as_role(LEAST | {table: {"INSERT", "UPDATE"}})
    with as_admin():
        tables.run("GRANT CREATE ON SCHEMA public TO dub_run")
    try:
        refused(sync, connected, rf'may not read the table \(if there is one\): table "{table}"', **options)
    finally:
        with as_admin():
            tables.run("REVOKE CREATE ON SCHEMA public FROM dub_run")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
@pytest.mark.parametrize("table", TABLES[:2])
def test_a_table_that_is_locked_for_a_while_is_there(
    tables, connected, sync, table: str, options: dict[str, Any]
) -> None:
    sync(baseline="source")
    tables.run("ALTER DATABASE postgres SET lock_timeout = '100ms'")
    try:
        with closing(tables.hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"LOCK TABLE {table}")
            with pytest.raises(DubDatabaseError, match="55P03") as error:
                sync(**options)
    finally:
        tables.run("ALTER DATABASE postgres RESET lock_timeout")
    assert error.value.__notes__[0] == f'"{table}" cannot be read now.'
    assert connected.requests == []
    assert sync()["plan"]["unchanged"] == 2


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
def test_a_lock_of_mariadb_is_no_missing_table(tables, connected, sync, options: dict[str, Any]) -> None:
    sync(baseline="source")
    tables.run("SET GLOBAL lock_wait_timeout = 1")
    try:
        with closing(tables.hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("LOCK TABLES dub_state WRITE")
            with pytest.raises(DubDatabaseError, match="1205"):
                sync(**options)
    finally:
        tables.run("SET GLOBAL lock_wait_timeout = DEFAULT")
    assert sync()["plan"]["unchanged"] == 2


@pytest.fixture
def setting(customers) -> Iterator[Callable[[str, object], None]]:
    """Set a variable of all sessions of MariaDB, and the default again in the end."""
    names = []

    def setting(name: str, value: object) -> None:
        names.append(name)
        customers.run(f"SET GLOBAL {name} = {value}")

    yield setting
    for name in names:
        customers.run("SET SESSION TRANSACTION READ WRITE", f"SET GLOBAL {name} = DEFAULT")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_server_that_wants_primary_keys_takes_the_tables_with_a_column_for_it(
    customers, connected, sync, setting
) -> None:
    setting("innodb_force_primary_key", 1)
    message = refused(sync, connected, "`dub_state` does not take what is written .*1173")
    column = "dub_line BIGINT AUTO_INCREMENT PRIMARY KEY"
    assert column in message
    write = Statements(DIALECTS["mysql"], "dub_state")
    for create, *others in (write.create(), write.create_lease(), write.create_history()):
        has_key = "PRIMARY KEY" in create
        customers.run(create if has_key else create.replace("(", f"({column}, ", 1), *others)
    assert sync()["updated"] == 2
    customers.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
    assert (sync()["updated"], sync()["plan"]["unchanged"]) == (1, 2)


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_session_with_safe_updates_is_named_with_how_to_switch_it_off(customers, connected, sync, setting) -> None:
    setting("sql_safe_updates", 1)
    switch = "SET sql_safe_updates = 0"
    assert switch in refused(sync, connected, "does not take what is written .*1175")
    assert sync(sql_hook_params={"init_command": switch})["updated"] == 2


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_session_that_only_reads_is_named(tables, connected, sync, setting) -> None:
    setting("tx_read_only", 1)
    refused(sync, connected, "may not insert and update rows: .*1792.* Only reading is allowed there")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_database_that_only_reads_is_named(tables, connected, sync) -> None:
    tables.run("ALTER DATABASE postgres SET default_transaction_read_only = on")
    try:
        refused(sync, connected, "may not insert and update rows: .*25006.* Only reading is allowed there")
    finally:
        tables.run("SET TRANSACTION READ WRITE", "ALTER DATABASE postgres RESET default_transaction_read_only")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_tables_whose_changes_are_published_need_a_replica_identity(tables, connected, sync) -> None:
    tables.run(f"CREATE PUBLICATION of_dub FOR TABLE {', '.join(TABLES)}")
    try:
        message = refused(sync, connected, "does not take what is written .*55000")
        assert "REPLICA IDENTITY FULL" in message
        tables.run(*(f"ALTER TABLE {table} REPLICA IDENTITY FULL" for table in ("dub_state", "dub_state_history")))
        assert sync()["updated"] == 2
        tables.run("UPDATE customers SET name = 'Countess' WHERE user_id = 'user_1'")
        tables.run("UPDATE dub_state_history SET last_tried_at = '2026-01-01'")
        assert (sync()["updated"], sync()["plan"]["unchanged"]) == (1, 2)
    finally:
        tables.run("DROP PUBLICATION of_dub")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_role_with_too_few_connections_is_found_before_the_first_request(tables, as_role, connected, sync) -> None:
    as_admin = as_role(LEAST)
    with as_admin():
        tables.run("ALTER ROLE dub_run CONNECTION LIMIT 1")
    with pytest.raises(DubDatabaseError) as error:
        sync()
    assert "A run has up to three at a time" in error.value.__notes__[0]
    assert connected.requests == []
    with as_admin():
        tables.run("ALTER ROLE dub_run CONNECTION LIMIT 2")
    assert sync()["updated"] == 2
