"""The hook and the dialect of an Airflow connection to a database."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.version_compat import AirflowException
from airflow_provider_dub.warehouse.cursors import connect
from airflow_provider_dub.warehouse.dialects import DIALECTS, Dialect, dialect_named

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_dub.version_compat import Connection


#: Connection types whose own hook speaks to an API, and the hook that speaks SQL: the distribution that has it, its
#: module, its class, and its argument for the id of the connection.
_SQL_HOOKS = {
    "databricks": (
        "apache-airflow-providers-databricks",
        "airflow.providers.databricks.hooks.databricks_sql",
        "DatabricksSqlHook",
        "databricks_conn_id",
    ),
    "google_cloud_platform": (
        "apache-airflow-providers-google",
        "airflow.providers.google.cloud.hooks.bigquery",
        "BigQueryHook",
        "gcp_conn_id",
    ),
}
#: What a hook is always given, by connection type.
_ALWAYS: Mapping[str, Mapping[str, Any]] = {
    "gcpbigquery": {"use_legacy_sql": False},
    "google_cloud_platform": {"use_legacy_sql": False},
}


def sql_hook(connection: Connection, arguments: Mapping[str, Any]) -> DbApiHook:
    """Return the hook that speaks SQL over a connection.

    :param connection: The Airflow connection.
    :param arguments: The user's arguments for the hook.
    :raises ValueError: There is none.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    kind = str(connection.conn_type)
    given = {**arguments, **_ALWAYS.get(kind, {})}
    if kind in _SQL_HOOKS:
        provider, module, name, argument = _SQL_HOOKS[kind]
        try:
            hook_class = getattr(import_module(module), name)
        except ImportError as error:
            raise ValueError(
                f"The hook for SQL over the connection {connection.conn_id} ({kind}) cannot be imported: install "
                f"{provider}."
            ) from error
        hook: Any = hook_class(**{argument: connection.conn_id}, **given)
    else:
        hook = _hook_of_airflow(connection, given)
    if not isinstance(hook, DbApiHook):
        raise ValueError(
            f"The connection {connection.conn_id} ({kind}) is not to an SQL database: sql_conn_id, and state_conn_id "
            "where it is given, must name one."
        )
    _keep_connection(hook, connection)
    return hook


def _keep_connection(hook: Any, connection: Connection) -> None:
    """Let a hook have the connection that was looked up, whenever it connects.

    Threads of a run connect again after an outage. Before Airflow 3.2, a task whose threads ask Airflow at once for a
    connection may wait for its supervisor for ever.
    """
    look_up = hook.get_connection
    known = connection.conn_id
    hook.get_connection = lambda conn_id: copy(connection) if conn_id == known else look_up(conn_id)


def _hook_of_airflow(connection: Connection, arguments: Mapping[str, Any]) -> object:
    try:
        return connection.get_hook(hook_params=arguments)  # type: ignore[no-untyped-call]
    except (AirflowException, ImportError) as error:
        if not isinstance(error, ImportError) and not str(error).startswith("Unknown hook type"):
            raise
        raise ValueError(
            f"Airflow has no hook for the connection {connection.conn_id}: install the Airflow provider for "
            f"connections of type {connection.conn_type}, with what it needs."
        ) from error


def dialect_of(
    connection: Connection, hook: DbApiHook, name: str | None = None, *, allow_untested: bool = False
) -> Dialect:
    """Return the dialect in which statements for a connection's database are written.

    A server that is reached like PostgreSQL is asked whether it is Redshift.

    :param connection: The Airflow connection.
    :param hook: Its hook.
    :param name: The dialect that the user names, if one is named.
    :param allow_untested: Whether the dialect may be one that CI has never run.
    :raises ValueError: None is known, or its SQL was generated only.
    """
    kind = str(connection.conn_type)
    dialect = dialect_named(name or ("redshift" if kind == "postgres" and _is_redshift(hook) else kind))
    if dialect.run_on or allow_untested:
        return dialect
    tested = ", ".join(one.name for one in DIALECTS.values() if one.run_on)
    raise ValueError(
        f'The SQL for "{dialect.name}" is generated, and was run on no engine and no stand-in. Give state_conn_id a '
        f"connection to a database of a tested kind ({tested}): it has the state table then, and this one is only "
        "read. Or set allow_untested_dialect=True, and begin with dry_run=True and a Dub workspace for tests."
    )


def _is_redshift(hook: DbApiHook) -> bool:
    with closing(connect(hook)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        (version,) = cursor.fetchone()
        return "Redshift" in str(version)
