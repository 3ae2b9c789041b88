"""What differs between the engines, as far as a sync notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp


@dataclass(frozen=True)
class Dialect:
    """One engine's ways, in its own SQL; ``x`` stands for any value.

    :param name: Its name in sqlglot.
    :param text: Writes any value as text.
    :param exact: Makes two texts equal only if they are the same to the letter, whatever the columns' collations.
    :param reads_moments_as_text: Whether a moment's text is ISO 8601. Then it is read so, since a driver may be unable
        to read one (``infinity``), and with it the whole query.
    :param clock: The database's time, in whole seconds since 1970.
    :param text_type: The type of the state table's columns of text.
    :param key_type: The type of its key, which may be indexed.
    :param moment_type: The type of its moments.
    :param indexed: Whether it has indexes and keeps primary keys unique.
    """

    name: str
    text: str = "CAST(x AS TEXT)"
    exact: str = "x"
    clock: str = ""
    reads_moments_as_text: bool = False
    text_type: str = "TEXT"
    key_type: str = "VARCHAR(255)"
    moment_type: str = "TIMESTAMP"
    indexed: bool = False

    def as_text(self, value: Any) -> Any:
        """Return the value as text."""
        return self._filled(self.text, value)

    def exactly(self, value: Any) -> Any:
        """Return the text so that it equals only itself."""
        return self._filled(self.exact, value)

    def table_properties(self) -> list[Any]:
        """Return what a new table needs to hold any text."""
        if self.name != "mysql":
            return []
        return [
            exp.CharacterSetProperty(this=exp.Var(this="utf8mb4"), default=True),
            exp.CollateProperty(this=exp.Var(this="utf8mb4_bin")),
        ]

    def type_named(self, kind: str) -> exp.DataType:
        """Return a type of this engine."""
        return exp.DataType.build(kind, dialect=self.name)

    def _filled(self, template: str, value: Any) -> Any:
        parsed = sqlglot.parse_one(template, read=self.name)
        return parsed.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


_DIALECTS = (
    Dialect(
        "postgres",
        exact='x COLLATE "C"',
        clock="CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT)",
        reads_moments_as_text=True,
        indexed=True,
    ),
    # Bytes are compared, since even the binary collations ignore trailing blanks.
    Dialect(
        "mysql",
        text="CAST(x AS CHAR CHARACTER SET utf8mb4)",
        exact="CAST(x AS BINARY)",
        clock="UNIX_TIMESTAMP()",
        reads_moments_as_text=True,
        text_type="LONGTEXT",
        moment_type="DATETIME(6)",
        indexed=True,
    ),
    Dialect(
        "sqlite",
        exact="CAST(x AS BLOB)",
        clock="CAST(STRFTIME('%s', 'now') AS INTEGER)",
        key_type="TEXT",
        moment_type="TEXT",
        indexed=True,
    ),
    Dialect(
        "duckdb",
        clock="CAST(EPOCH(CURRENT_TIMESTAMP) AS BIGINT)",
        reads_moments_as_text=True,
        key_type="TEXT",
        indexed=True,
    ),
    Dialect("snowflake", clock="DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP())"),
    Dialect(
        "bigquery",
        text="CAST(x AS STRING)",
        clock="UNIX_SECONDS(CURRENT_TIMESTAMP())",
        text_type="STRING",
        key_type="STRING",
        moment_type="DATETIME",
    ),
    Dialect(
        "redshift",
        text="CAST(x AS VARCHAR(MAX))",
        clock="CAST(EXTRACT(EPOCH FROM GETDATE()) AS BIGINT)",
        text_type="VARCHAR(MAX)",
    ),
    Dialect("databricks", text="CAST(x AS STRING)", clock="UNIX_TIMESTAMP()", text_type="STRING", key_type="STRING"),
    Dialect(
        "tsql",
        text="CAST(x AS NVARCHAR(MAX))",
        exact="CAST(x AS VARBINARY(MAX))",
        clock="DATEDIFF_BIG(SECOND, '1970-01-01', SYSUTCDATETIME())",
        text_type="NVARCHAR(MAX)",
        key_type="NVARCHAR(255)",
        moment_type="DATETIME2",
        indexed=True,
    ),
)
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in _DIALECTS}

#: Airflow's connection types, where they are not named like the dialect.
_BY_CONNECTION_TYPE = {"gcpbigquery": "bigquery", "google_cloud_platform": "bigquery", "mssql": "tsql", "odbc": "tsql"}


def dialect_named(name: str) -> Dialect:
    """Return the dialect to write in.

    :param name: sqlglot's name of it, or a type of Airflow's connections.
    :raises ValueError: None is known for it.
    """
    dialect = DIALECTS.get(_BY_CONNECTION_TYPE.get(name, name))
    if dialect is None:
        raise ValueError(f'No SQL dialect is known for "{name}": set dialect to one of {", ".join(DIALECTS)}.')
    return dialect


def streaming_cursor(connection: Any) -> Any:
    """Return a cursor whose rows stay on the server until they are fetched, where the driver has one."""
    driver = type(connection).__module__.partition(".")[0]
    if driver in ("psycopg", "psycopg2"):
        return connection.cursor("dub_rows")
    if driver == "MySQLdb":
        from MySQLdb.cursors import SSCursor  # type: ignore[import-untyped]

        return connection.cursor(SSCursor)
    return connection.cursor()
