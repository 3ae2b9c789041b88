"""An Airflow connection leads to the hook that speaks SQL, and to the dialect of its server."""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

import pytest

from airflow_provider_dub.exceptions import DubFixSetupError
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import AirflowException, BaseHook
from airflow_provider_dub.warehouse.sql_hooks import dialect_of, sql_hook
from tests.support.task_instance import TaskInstance


@pytest.fixture
def connection(monkeypatch):
    """Return an Airflow connection of a type."""

    def connection(kind: str, **fields: Any) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": kind, **fields}))
        return BaseHook.get_connection("warehouse")

    return connection


@pytest.mark.parametrize(
    ("kind", "fields", "module", "hook_class", "dialect"),
    [
        ("databricks", {}, "databricks.hooks.databricks_sql", "DatabricksSqlHook", "databricks"),
        ("gcpbigquery", {"extra": {"use_legacy_sql": True}}, "google.cloud.hooks.bigquery", "BigQueryHook", "bigquery"),
        ("google_cloud_platform", {}, "google.cloud.hooks.bigquery", "BigQueryHook", "bigquery"),
        ("mssql", {}, "microsoft.mssql.hooks.mssql", "MsSqlHook", "tsql"),
        ("odbc", {}, "odbc.hooks.odbc", "OdbcHook", "tsql"),
        ("redshift", {}, "amazon.aws.hooks.redshift_sql", "RedshiftSQLHook", "redshift"),
        ("snowflake", {}, "snowflake.hooks.snowflake", "SnowflakeHook", "snowflake"),
    ],
)
def test_a_connection_leads_to_its_sql_hook(connection, kind, fields, module, hook_class, dialect) -> None:
    pytest.importorskip(f"airflow.providers.{module}", exc_type=ImportError)
    hook = sql_hook(connection(kind, **fields), {})
    assert type(hook).__name__ == hook_class
    assert dialect_of(connection(kind, **fields), hook, allow_untested=True).name == dialect


@pytest.mark.parametrize(
    ("kind", "module", "argument"),
    [
        ("databricks", "databricks.hooks.databricks_sql", {"http_path": "y"}),
        ("google_cloud_platform", "google.cloud.hooks.bigquery", {"location": "EU"}),
        ("redshift", "amazon.aws.hooks.redshift_sql", {"aws_conn_id": "other"}),
    ],
)
def test_the_users_arguments_reach_the_hook(connection, kind: str, module: str, argument: dict[str, str]) -> None:
    pytest.importorskip(f"airflow.providers.{module}", exc_type=ImportError)
    ((name, value),) = argument.items()
    hook: Any = sql_hook(connection(kind), argument)
    assert value in (getattr(hook, name, None), getattr(hook, f"_{name}", None))


def test_bigquery_runs_no_legacy_sql_whatever_the_user_says(connection) -> None:
    pytest.importorskip("airflow.providers.google.cloud.hooks.bigquery", exc_type=ImportError)
    hook: Any = sql_hook(connection("gcpbigquery", extra={"use_legacy_sql": True}), {"use_legacy_sql": True})
    assert hook.use_legacy_sql is False


def test_the_provider_to_install_is_named(connection, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.databricks.hooks.databricks_sql", None)
    with pytest.raises(ValueError, match=r"connection warehouse \(databricks\).* apache-airflow-providers-databricks"):
        sql_hook(connection("databricks"), {})


def test_a_connection_that_speaks_no_sql_is_refused(connection) -> None:
    with pytest.raises(ValueError, match=r"The connection warehouse \(dub\) is not to an SQL database: sql_conn_id"):
        sql_hook(connection("dub"), {})


def test_a_connection_whose_provider_is_not_installed_ends_the_task_at_once(connection) -> None:
    connection("nosuchdb")
    operator = SqlToDubCustomersOperator(task_id="t", sql="SELECT 1 AS id", sql_conn_id="warehouse", id_column="id")
    with pytest.raises(DubFixSetupError, match="install the Airflow provider for connections of type nosuchdb"):
        operator.execute({"ti": TaskInstance()})


def test_what_a_hook_says_of_its_connection_is_not_taken_for_a_missing_provider(connection, monkeypatch) -> None:
    warehouse = connection("sqlite")

    def get_hook(self: Any, *, hook_params: Any) -> Any:
        raise AirflowException("The token has expired.")

    monkeypatch.setattr(type(warehouse), "get_hook", get_hook)
    with pytest.raises(AirflowException, match="token has expired"):
        sql_hook(warehouse, {})


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.73348", "redshift"),
        ("PostgreSQL 18.1 on x86_64-pc-linux-gnu", "postgres"),
    ],
)
def test_a_server_that_is_reached_like_postgresql_is_asked_what_it_is(connection, version: str, dialect: str) -> None:
    hook = sql_hook(connection("postgres", host="localhost"), {})

    def connect(hook: Any) -> sqlite3.Connection:
        server = sqlite3.connect(":memory:")
        server.create_function("version", 0, lambda: version)
        return server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(hook), "get_conn", connect)
        assert dialect_of(connection("postgres", host="localhost"), hook).name == dialect
