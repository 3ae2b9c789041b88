"""A database of this process alone, for differences that no other database is to compute."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.statements import Statements


@contextmanager
def local_database() -> Iterator[tuple[Warehouse, Statements]]:
    """Give SQLite in a temporary file that only this process can reach, and the statements about its tables.

    The staging table and the state table are there; at the end nothing of it is.
    """
    statements = Statements(DIALECTS["sqlite"], "dub_local")
    # The empty name is SQLite's for a file that is deleted when it is closed.
    connection = sqlite3.connect("", factory=_Kept)
    hook: Any = SimpleNamespace(get_conn=lambda: connection, placeholder="?", supports_autocommit=False)
    try:
        for statement in (*statements.create_staging(), *statements.create()):
            connection.execute(statement)
        yield Warehouse(hook), statements
    finally:
        connection.end()


class _Kept(sqlite3.Connection):
    """A connection that only its owner ends."""

    def close(self) -> None:
        """Leave it open for others."""

    def end(self) -> None:
        """Close it."""
        super().close()
