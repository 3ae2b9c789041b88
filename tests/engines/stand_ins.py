"""Warehouses that only a stand-in can show here: what their databases have in common."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import sqlglot
from sqlglot import exp

from tests.support.database import Database

#: The package of the stand-in for each engine, each in an environment of its own (noxfile.py). For Redshift it is the
#: PostgreSQL of the other tests, and the package is its driver.
PACKAGES = {
    "redshift": "redshift_connector",
    "snowflake": "fakesnow",
    "bigquery": "bqemulator",
    "databricks": "pyspark",
}
#: The engines for which something stands in.
STAND_INS = tuple(PACKAGES)


def installed() -> list[str]:
    """Return the engines whose stand-in is the one that this environment is made for."""
    return [engine for engine, package in PACKAGES.items() if find_spec(package)]


class StandIn(Database):
    """A database of a stand-in; statements of tests are translated into its SQL."""

    def run(self, *statements: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last one."""
        assert parameters is None
        written = [sqlglot.transpile(statement, write=self.engine)[0] for statement in statements]
        self._is_query = written[-1].startswith("SELECT")
        return super().run(*written)

    def has_rows(self, cursor: Any) -> bool:
        """Return whether a statement has rows."""
        return self._is_query

    def insert(self, *rows: tuple[Any, ...]) -> None:
        """Insert rows into the table of customers, by one statement: each is a request."""
        values = exp.values([tuple(exp.convert(cell) for cell in row) for row in rows])
        self.run(exp.insert(values, "customers").sql())
