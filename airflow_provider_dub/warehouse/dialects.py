"""All that differs between engines, as far as a sync notices; what differs between drivers is in :mod:`.drivers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers


@dataclass(frozen=True)
class JsonRows:
    """How an engine selects rows out of one parameter of JSON, an array of arrays of text.

    :param source: What is selected from; ``{json}`` is the parameter, ``{cells}`` stands for the definitions.
    :param cell: Selects a cell; ``{n}`` is its place, from 0.
    :param definition: Defines a cell in the source.
    """

    source: str
    cell: str
    definition: str = ""


@dataclass(frozen=True)
class Dialect:
    """One engine's ways, in its own SQL; ``x`` stands for any value.

    :param name: Its name in sqlglot.
    :param run_on: What CI runs it on: the engine, or its stand-in; empty for SQL that is generated only.
    :param describe: How a query alone is asked for the names of its columns, where they have other names in a subquery
        if two of them have one: its rows begin with the names, or it is the query itself.
    :param text: Writes any value as text.
    :param texts_by_type: Writes values of some types, by the driver's name or code of the type: timestamps and dates as
        ISO 8601, whatever the session's time zone and formats are, where ``text`` is not the same in every session; an
        instant is in UTC and says so. A text in JSON has no quotes, and JSON's null is NULL.
    :param text_types: The driver's names or codes of the types that are text anyway: a cell of them and its text, which
        is compared, are kept as one.
    :param exact: Makes two texts equal only if they are an exact match, whatever the columns' collations.
    :param reads_timestamps_as_text: Whether a timestamp's text is ISO 8601. Then it is read so, since a driver may be
        unable to read one (``infinity``), and with it the whole query.
    :param has_transactions: Whether statements of one transaction can be rolled back.
    :param clock: The database's time, in whole seconds since 1970. A percent sign in it would mark a parameter.
    :param text_type: The type of the state table's columns of text.
    :param key_type: The type of its key, which may be indexed.
    :param timestamp_type: The type of its timestamps.
    :param timestamp_text: Writes it as this package does, whatever the session's formats are, where ``text`` does not.
    :param indexed: Whether it has indexes and keeps primary keys unique.
    :param index_names_schema: Whether a new index names the schema, rather than the table that it is on.
    :param table_options: What follows the columns of a new table, where the default may not hold any text.
    :param rows_at_once: The number of lines that one statement inserts at most.
    :param bytes_at_once: The size of these lines at most.
    :param longest_statement: What says how many bytes a statement may have, where an administrator sets that.
    :param json_rows: How lines are inserted as one parameter, where a statement may have only few or is slow with many.
    :param changes_by_join: Whether rows are deleted and updated by a join with their keys, as the engine evaluates a
        subquery in ``IN`` once for every row.
    :param compares_pairs: Whether it compares two values with the rows of a query at once.
    :param temporary_table: The statement that keeps the result of ``{query}`` in a ``{table}`` of this connection
        alone, which ends with it; empty where there is none.
    :param temporary_beside: Whether that table is in a schema, the one of the state table.
    :param analyze_from: The number of rows from which on it plans badly with a table that was just filled, until it
        is told to count; with fewer that takes longer than it saves. None: it counts by itself.
    :param add_column: The keywords between a table and its new column.
    :param grants: The statements that give a role the least rights: ``{rights}`` on ``{table}`` to ``{role}``, and, of
        those with ``{schema}``, what it needs to see the schema.
    :param role: How a role is written in them: ``identifier``, ``account`` (MySQL's, with a host) or ``text``.
    :param renew_every: Seconds between two renewals of the lease. An engine that is paid by the time it is awake is
        left alone for longer.
    :param lease_length: Seconds after the last renewal at which the lease is free for others. Its owner sends nothing
        in the second half. A renewal, one statement where the driver counts rows and else two, may take half of
        the time that is left of the first half after ``renew_every``: a minute.
    :param append_every: Outcomes that came slowly are appended after so many seconds at most.
    :param commit_every: The number of rows whose outcomes are appended at a time, unless the user has another one.
    """

    name: str
    run_on: str = ""
    describe: str = ""
    text: str = "CAST(x AS TEXT)"
    texts_by_type: Mapping[str, str] = field(default_factory=dict)
    text_types: frozenset[str] = frozenset()
    exact: str = "x"
    has_transactions: bool = True
    clock: str = ""
    reads_timestamps_as_text: bool = False
    text_type: str = "TEXT"
    key_type: str = "VARCHAR(255)"
    timestamp_type: str = "TIMESTAMP"
    timestamp_text: str = ""
    indexed: bool = False
    index_names_schema: bool = False
    table_options: str = ""
    rows_at_once: int = 5000
    bytes_at_once: int = 8_000_000
    longest_statement: str = ""
    json_rows: JsonRows | None = None
    changes_by_join: bool = False
    compares_pairs: bool = True
    temporary_table: str = "CREATE TEMPORARY TABLE {table} AS {query}"
    temporary_beside: bool = False
    analyze_from: int | None = None
    add_column: str = "ADD COLUMN"
    grants: tuple[str, ...] = ("GRANT USAGE ON SCHEMA {schema} TO {role}", "GRANT {rights} ON {table} TO {role}")
    role: str = "identifier"
    renew_every: float = 15
    lease_length: float = 300
    append_every: float = 30
    commit_every: int = 5000

    def to_sql(self, tree: Any) -> str:
        """Return a statement, or a part of one, as text: its identifiers are quoted, in the engine's own case.

        :param tree: A tree of sqlglot's; it is done with afterwards.
        """
        normal = normalize_identifiers(tree, dialect=self.name)
        return str(normal.sql(dialect=self.name, identify=True, copy=False))

    def as_text(self, value: Any, kind: str | None = None) -> Any:
        """Return the value as text.

        :param value: The value.
        :param kind: How the driver calls its type, if it is a column.
        """
        return self._filled(self.texts_by_type.get(kind or "", self.text), value)

    def own_timestamp_as_text(self, value: Any) -> Any:
        """Return a timestamp of the state table as text that is the same in every session; a driver may read no other.

        :param value: The timestamp.
        """
        return self._filled(self.timestamp_text or self.text, value)

    def exactly(self, value: Any) -> Any:
        """Return the text so that it equals only itself."""
        return self._filled(self.exact, value)

    @cached_property
    def exact_collation(self) -> Any:
        """The collation in which ``exact`` compares, or None if it compares in another way.

        An index of a key in this collation serves the exact comparison. Elsewhere it serves only the plain one.
        """
        exact = parsed(self.exact, self.name)
        return exact.expression if isinstance(exact, exp.Collate) else None

    def _filled(self, template: str, value: Any) -> Any:
        tree = parsed(template, self.name)
        return tree.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


@cache
def parsed(sql: str, dialect: str) -> Any:
    """Return one of the expressions above as a tree, to be copied and not changed."""
    return sqlglot.parse_one(sql, read=dialect)


#: An engine of which the time that it is awake is paid: five minutes pass between two statements while rows are sent,
#: and so many outcomes are kept in memory until then at most.
_PaidByTime = partial(Dialect, renew_every=300, lease_length=1200, append_every=300, commit_every=50_000)

_SNOWFLAKE_FORMAT = "YYYY-MM-DD HH24:MI:SS.FF9"
#: PostgreSQL and Redshift: the codes of timestamptz, timestamp and date.
_TIMESTAMPTZ, _TIMESTAMP, _DATE = "1184", "1114", "1082"
#: PostgreSQL: the codes of json and jsonb.
_JSONS = ("114", "3802")
#: pyodbc calls types by Python's classes.
_ODBC_TIMESTAMP, _ODBC_DATE = "<class 'datetime.datetime'>", "<class 'datetime.date'>"
_AS_WRITTEN = "TO_CHAR(x, 'YYYY-MM-DD HH24:MI:SS.US')"
#: text, varchar and char. A char is read without the blanks that only fill it up.
_TEXTS = frozenset({"25", "1043", "1042"})

_DIALECTS = (
    Dialect(
        "postgres",
        texts_by_type={
            # An infinite one is left for Dub's own rules to reject.
            _TIMESTAMPTZ: "CASE WHEN ISFINITE(x) THEN (TO_JSON(x AT TIME ZONE 'UTC') #>> '{}') || 'Z' "
            "ELSE CAST(x AS TEXT) END",
            _TIMESTAMP: "TO_JSON(x) #>> '{}'",
            _DATE: "TO_JSON(x) #>> '{}'",
            # Over ODBC there is one name for both.
            _ODBC_TIMESTAMP: "CASE WHEN PG_TYPEOF(x) = CAST('timestamptz' AS REGTYPE) "
            "AND ISFINITE(CAST(x AS TIMESTAMPTZ)) "
            "THEN (TO_JSON(CAST(x AS TIMESTAMPTZ) AT TIME ZONE 'UTC') #>> '{}') || 'Z' ELSE TO_JSON(x) #>> '{}' END",
            _ODBC_DATE: "TO_JSON(x) #>> '{}'",
            **dict.fromkeys(_JSONS, "x #>> '{}'"),
        },
        text_types=_TEXTS,
        timestamp_text=_AS_WRITTEN,
        run_on="PostgreSQL 18",
        exact='x COLLATE "C"',
        clock="CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT)",
        reads_timestamps_as_text=True,
        indexed=True,
        # A pool in front of the server may keep the connection for others.
        temporary_table="CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS {query}",
        analyze_from=100_000,
    ),
    # Bytes are compared, since even the binary collations ignore trailing blanks.
    Dialect(
        "mysql",
        run_on="MariaDB",
        text="CAST(x AS CHAR CHARACTER SET utf8mb4)",
        texts_by_type={
            # TIMESTAMP; the date 0000-00-00 is not an instant.
            # Its text is in the session's time zone, in which an hour may be there twice.
            "7": "COALESCE(CONCAT(CAST(DATE_ADD(CAST('1970-01-01' AS DATETIME(6)), "
            "INTERVAL NULLIF(UNIX_TIMESTAMP(x), 0) SECOND) AS CHAR CHARACTER SET utf8mb4), 'Z'), "
            "CAST(x AS CHAR CHARACTER SET utf8mb4))",
        },
        exact="CAST(x AS BINARY)",
        clock="UNIX_TIMESTAMP()",
        reads_timestamps_as_text=True,
        longest_statement="@@max_allowed_packet",  # a longer one ends the connection
        text_type="LONGTEXT",
        timestamp_type="DATETIME(6)",
        indexed=True,
        table_options="DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        changes_by_join=True,
        temporary_table="",  # to fill it would lock the rows that the query reads against whoever writes them
        grants=("GRANT {rights} ON {table} TO {role}",),
        role="account",
    ),
    Dialect(
        "sqlite",
        describe="{query}",
        run_on="SQLite",
        exact="CAST(x AS BLOB)",
        clock="CAST((JULIANDAY('now') - 2440587.5) * 86400 AS INTEGER)",
        key_type="TEXT",
        timestamp_type="TEXT",
        grants=(),
        indexed=True,
        index_names_schema=True,
    ),
    Dialect(
        "duckdb",
        describe="DESCRIBE {query}",
        texts_by_type={
            "TIMESTAMP WITH TIME ZONE": "CASE WHEN ISFINITE(x) THEN CAST(x AT TIME ZONE 'UTC' AS TEXT) || 'Z' "
            "ELSE CAST(x AS TEXT) END",
            "JSON": "CAST(x ->> '$' AS TEXT)",
        },
        run_on="DuckDB",
        rows_at_once=10_000,
        # Tens of thousands of parameters take it seconds.
        json_rows=JsonRows(
            """(SELECT UNNEST(FROM_JSON_STRICT({json}, '[["VARCHAR"]]')) AS dub_row) AS dub_rows""", "dub_row[{n} + 1]"
        ),
        exact="ENCODE(x)",
        clock="CAST(EPOCH(CURRENT_TIMESTAMP) AS BIGINT)",
        reads_timestamps_as_text=True,
        key_type="TEXT",
        grants=(),
        indexed=True,
    ),
    _PaidByTime(
        "snowflake",
        run_on="fakesnow (a stand-in)",
        temporary_beside=True,
        texts_by_type={
            **dict.fromkeys(("6", "7"), f"TO_CHAR(CONVERT_TIMEZONE('UTC', x), '{_SNOWFLAKE_FORMAT}') || 'Z'"),
            **dict.fromkeys(("4", "8"), f"TO_CHAR(x, '{_SNOWFLAKE_FORMAT}')"),
            "3": "TO_CHAR(x, 'YYYY-MM-DD')",
        },
        timestamp_text=f"TO_CHAR(x, '{_SNOWFLAKE_FORMAT}')",
        clock="DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP())",
        bytes_at_once=950_000,  # of a statement of 1 MB
        grants=(
            "GRANT USAGE ON SCHEMA {schema} TO ROLE {role}",
            "GRANT {rights} ON TABLE {table} TO ROLE {role}",
        ),
    ),
    _PaidByTime(
        "bigquery",
        run_on="bqemulator (a stand-in)",
        text="CAST(x AS STRING)",
        texts_by_type={"TIMESTAMP": "STRING(x, 'UTC')"},
        has_transactions=False,
        temporary_table="",  # a connection has no session
        clock="UNIX_SECONDS(CURRENT_TIMESTAMP())",
        rows_at_once=500,  # of at most 10,000 parameters
        bytes_at_once=950_000,  # of a statement of 1 MB
        text_type="STRING",
        key_type="STRING",
        timestamp_type="DATETIME",
        grants=("GRANT `roles/bigquery.dataEditor` ON TABLE {table} TO {role}",),
        role="text",
    ),
    _PaidByTime(
        "redshift",
        run_on="PostgreSQL 18 (a stand-in)",
        exact="x || '.'",  # blanks at the end do not count otherwise
        text="CAST(x AS VARCHAR(65535))",
        texts_by_type={
            _TIMESTAMPTZ: "TO_CHAR(x AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'",
            _TIMESTAMP: _AS_WRITTEN,
            _DATE: "TO_CHAR(x, 'YYYY-MM-DD')",
        },
        text_types=_TEXTS,
        timestamp_text=_AS_WRITTEN,
        key_type="VARCHAR(1024)",  # bytes
        clock="CAST(EXTRACT(EPOCH FROM GETDATE()) AS BIGINT)",
        text_type="VARCHAR(65535)",  # the longest
    ),
    _PaidByTime(
        "databricks",
        run_on="Spark 3.5 (a stand-in)",
        text="CAST(x AS STRING)",
        texts_by_type={
            "timestamp": "CONCAT(DATE_FORMAT(TO_UTC_TIMESTAMP(x, CURRENT_TIMEZONE()), "
            "'yyyy-MM-dd HH:mm:ss.SSSSSS'), 'Z')"
        },
        has_transactions=False,
        temporary_table="",
        clock="UNIX_TIMESTAMP()",
        rows_at_once=10_000,
        # A statement has at most 255 parameters. Without the mode, what cannot be read would be no rows.
        json_rows=JsonRows(
            "(SELECT EXPLODE(FROM_JSON({json}, 'ARRAY<ARRAY<STRING>>', MAP('mode', 'FAILFAST'))) AS dub_row)",
            "dub_row[{n}]",
        ),
        text_type="STRING",
        key_type="STRING",
        timestamp_type="STRING",  # a TIMESTAMP takes no text
        grants=(
            "GRANT USE SCHEMA ON SCHEMA {schema} TO {role}",
            "GRANT SELECT, MODIFY ON TABLE {table} TO {role}",
        ),
    ),
    Dialect(
        "tsql",
        text="CAST(x AS NVARCHAR(MAX))",
        # As text, a datetime has no seconds otherwise. pymssql calls it 4.
        texts_by_type=dict.fromkeys(("4", _ODBC_TIMESTAMP), "CONVERT(NVARCHAR(40), x, 127)"),
        exact="CAST(x AS VARBINARY(MAX))",
        compares_pairs=False,
        temporary_table="",  # it has another statement
        clock="DATEDIFF_BIG(SECOND, '1970-01-01', SYSUTCDATETIME())",
        text_type="NVARCHAR(MAX)",
        key_type="NVARCHAR(255)",
        timestamp_type="DATETIME2",
        indexed=True,
        # A statement has at most 2,100 parameters.
        json_rows=JsonRows("OPENJSON({json}) WITH ({cells})", "dub_{n}", "dub_{n} NVARCHAR(MAX) '$[{n}]'"),
        add_column="ADD",
        grants=("GRANT {rights} ON {table} TO {role}",),
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
        raise ValueError(
            f'No SQL dialect is known for "{name}". Keep the state elsewhere: state_conn_id names a connection to '
            "another database that has the state table, and the query is only read. Or set dialect to one of "
            f"{', '.join(DIALECTS)}, if its SQL is that of one of them."
        )
    return dialect
