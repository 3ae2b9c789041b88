"""A database of this process alone, for differences that no other database is to compute."""

from __future__ import annotations

import sqlite3
from typing import Any

from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.statements import Statements


class LocalDatabase:
    """SQLite in a temporary file that only this process can reach; stands in for a hook."""

    placeholder = "?"
    supports_autocommit = False

    def __init__(self) -> None:
        # The empty name is SQLite's for a file that is deleted when it is closed.
        self._connection = sqlite3.connect("", factory=_Kept)

    def statements(self) -> Statements:
        """Return the statements about the tables in it."""
        return Statements(DIALECTS["sqlite"], "dub_local")

    def warehouse(self) -> Warehouse:
        """Return what reads and writes in it."""
        hook: Any = self
        return Warehouse(hook)

    def create_tables(self) -> None:
        """Create the staging table and the state table."""
        for statement in (*self.statements().create_staging(), *self.statements().create()):
            self._connection.execute(statement)

    def get_conn(self) -> Any:
        """Return the one connection."""
        return self._connection

    def close(self) -> None:
        """Close it, and with it everything that it holds."""
        self._connection.end()


class _Kept(sqlite3.Connection):
    """A connection that only its owner ends."""

    def close(self) -> None:
        """Leave it open for others."""

    def end(self) -> None:
        """Close it."""
        super().close()
