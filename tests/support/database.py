"""A database that holds customers, behind an Airflow connection."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any


class Database:
    """A database behind an Airflow connection.

    :param engine: Its name.
    :param conn_id: The id of the Airflow connection.
    :param connection: The fields of the Airflow connection.
    """

    def __init__(self, engine: str, conn_id: str = "warehouse", **connection: Any) -> None:
        self.engine = engine
        self.conn_id = conn_id
        self.connection = json.dumps(connection)

    def hook(self) -> Any:
        """Return the hook of the connection."""
        from airflow_provider_dub.version_compat import BaseHook
        from airflow_provider_dub.warehouse.sql_hooks import sql_hook

        return sql_hook(BaseHook.get_connection(self.conn_id), {})

    def run(self, *statements: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last one."""
        with closing(self.hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement, parameters) if parameters else cursor.execute(statement)
            rows = [tuple(row) for row in cursor.fetchall()] if self.has_rows(cursor) else []
            connection.commit()
        return rows

    def has_rows(self, cursor: Any) -> bool:
        """Return whether a statement has rows."""
        return bool(cursor.description)

    def insert(self, *rows: tuple[Any, ...]) -> None:
        """Insert rows into the table of customers, in one transaction."""
        mark = "?" if self.engine in ("sqlite", "duckdb") else "%s"
        with closing(self.hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
            for row in rows:
                cursor.execute(f"INSERT INTO customers VALUES ({', '.join([mark] * len(row))})", row)
            connection.commit()

    def state(self, *columns: str) -> dict[str, Any]:
        """Return columns of the state table by key."""
        names = ", ".join(columns)
        rows = self.run(f"SELECT customer_key, {names} FROM dub_state")
        return {row[0]: row[1] if len(columns) == 1 else row[1:] for row in rows}


def connect_empty(database: Database, monkeypatch: Any) -> Database:
    """Set the connection ``warehouse`` to a database, and drop what an earlier test left there."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.connection)
    for table in ("customers", "dub_state", "dub_state_lease", "dub_state_history", "dub_state_staging"):
        database.run(f"DROP TABLE IF EXISTS {table}")
    return database
