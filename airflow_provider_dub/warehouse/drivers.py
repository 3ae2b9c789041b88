"""All that differs between drivers, as far as a sync notices.

A driver is known by its connections: by the modules of their class and what is above them. What is not in the table
here is expected to keep to PEP 249, with the ``paramstyle`` that its module states.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO, StringIO
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlglot import exp

from airflow_provider_dub.api.locks import ForkSafeLock
from airflow_provider_dub.warehouse.dialects import DIALECTS

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: PEP 249's names of how a statement marks its parameters. Drivers that say ``pyformat`` and take ``%s``, too, are
#: ``format`` here.
Style: TypeAlias = Literal["format", "pyformat", "qmark", "numeric", "named"]
#: A row of text.
Row: TypeAlias = Sequence[str | None]
_Rows: TypeAlias = Sequence[Row]
#: The type of floats with 32 bits, whichever the driver.
FLOAT32 = "float32"
#: What marks a parameter in the statements of this package, whichever the driver.
PLACEHOLDER = "%s"

#: The encoding of a connection to PostgreSQL that has every character, as it is called there and in Python. A role or a
#: database may have another one, in which drivers take texts for bytes, or characters cannot be sent.
_UTF8, _PYTHONS_UTF8 = "UTF8", "utf-8"
#: The character set of a connection to MariaDB or MySQL that has a place for every text. For what another one lacks,
#: such as an emoji, the server writes a question mark: in an id, that may be another customer's.
_WITH_ALL_CHARACTERS = "utf8mb4"
#: MariaDB and MySQL: a session may have a limit, beyond which rows of a query are left out without an error.
_WITH_ALL_ROWS = "SET sql_select_limit = 18446744073709551615"

_MARK = re.compile(PLACEHOLDER)
_BY_PLACEHOLDER: Mapping[str, Style] = {"%s": "format", "?": "qmark"}


def _plain_cursor(connection: Any) -> Any:
    return connection.cursor()


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A driver's contract.

    :param style: How a statement marks its parameters.
    :param cursor: Returns a cursor of a connection, one of tuples where the driver has such.
    :param streaming_cursor: Returns one whose rows stay on the server until they are fetched.
    :param transactions: What commits: the connection, the cursor, or nothing.
    :param prepare: Makes a new connection ready.
    :param float32: How it calls the type of floats with 32 bits, whose cells become Python's.
    :param keeps_percent_signs: Whether a percent sign that marks no parameter is left alone, though others mark them.
    :param most_parameters: The number of parameters that a statement has at most.
    :param bulk_inserts: By dialect, what inserts rows of text into a table in a way of its own.
    """

    style: Style
    cursor: Callable[[Any], Any] = _plain_cursor
    streaming_cursor: Callable[[Any], Any] = _plain_cursor
    transactions: Literal["connection", "cursor", "none"] = "connection"
    prepare: Callable[[Any], None] | None = None
    float32: str | None = None
    keeps_percent_signs: bool = False
    most_parameters: int | None = None
    bulk_inserts: Mapping[str, Callable[[Any, exp.Table, Sequence[str], _Rows], None]] = field(default_factory=dict)

    @property
    def reads_percent_signs(self) -> bool:
        """Whether a percent sign anywhere in a statement with parameters belongs to one, unless it is doubled."""
        return self.style in ("format", "pyformat") and not self.keeps_percent_signs

    def marked(self, sql: str) -> str:
        """Return a statement of this package with the parameters marked as the driver wants it.

        :param sql: The statement, with :data:`PLACEHOLDER`; it has no other percent signs.
        """
        if self.style == "format":
            return sql
        if self.style == "qmark":
            return sql.replace(PLACEHOLDER, "?")
        mark: Callable[[int], str] = {
            "numeric": ":{}".format,
            "named": ":p{}".format,
            "pyformat": "%(p{})s".format,
        }[self.style]
        numbers = count(1)
        return _MARK.sub(lambda _: mark(next(numbers)), sql)

    def bound(self, parameters: Sequence[Any]) -> Sequence[Any] | Mapping[str, Any]:
        """Return the parameters of a statement of this package as the driver wants them.

        :param parameters: The parameters, in order.
        """
        if self.style in ("named", "pyformat"):
            return {f"p{number}": value for number, value in enumerate(parameters, start=1)}
        return tuple(parameters)


def turn_of(hook: DbApiHook) -> AbstractContextManager[None]:
    """Return what a thread holds while it connects, and while it closes a connection.

    :param hook: The hook that connects.
    """
    return _TURNS.get(getattr(hook, "conn_type", ""), nullcontext())


def driver_of(connection: Any, placeholder: str) -> Driver:
    """Return the contract of a connection's driver.

    :param connection: The connection.
    :param placeholder: What the connection's hook takes for the mark of a parameter. It is not more than a default of
        many hooks, and asked last.
    :raises ValueError: Nothing says how parameters are marked.
    """
    names = [*_modules(connection.__class__)]  # that of a wrapped connection is the driver's own
    for name in names:
        if name in DRIVERS:
            return DRIVERS[name](connection)
    for name in names:
        style = getattr(sys.modules.get(name), "paramstyle", None)
        if style in ("format", "pyformat", "qmark", "numeric", "named"):
            return Driver(style=style)
    if placeholder in _BY_PLACEHOLDER:
        return Driver(style=_BY_PLACEHOLDER[placeholder])
    raise ValueError(
        f"Nothing says how the driver {names[0]} marks parameters. Set placeholder in the connection's extra to %s or "
        "to ?."
    )


def _modules(connection_class: type) -> Iterator[str]:
    """Yield the modules of a class and its bases, each with what is above it."""
    for one in connection_class.__mro__:
        name = one.__module__
        while name:
            yield name
            name = name.rpartition(".")[0]


def _psycopg2_copy(cursor: Any, table: exp.Table, columns: Sequence[str], rows: _Rows) -> None:
    name, names = _quoted("postgres", table, columns)
    cursor.copy_expert(
        f"COPY {name} ({names}) FROM STDIN", StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in rows))
    )


def _copied(cell: str | None) -> str:
    if cell is None:
        return r"\N"
    return cell.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _psycopg_copy(cursor: Any, table: exp.Table, columns: Sequence[str], rows: _Rows) -> None:
    name, names = _quoted("postgres", table, columns)
    with cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _bigquery_load(cursor: Any, table: exp.Table, columns: Sequence[str], rows: _Rows) -> None:
    """Load the rows, which costs nothing and is not a statement."""
    from google.cloud.bigquery import LoadJobConfig

    client = cursor.hook.get_client(project_id=cursor.project_id, location=cursor.location)
    default = cursor.hook.api_resource_configs.get("query", {}).get("defaultDataset", {})
    project = table.catalog or default.get("projectId") or cursor.project_id
    name = ".".join((project, table.db or default["datasetId"], table.name))
    config = LoadJobConfig(
        schema=client.get_table(name).schema,
        source_format="NEWLINE_DELIMITED_JSON",
        create_disposition="CREATE_NEVER",
        write_disposition="WRITE_APPEND",
    )
    lines = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows)
    client.load_table_from_file(BytesIO(lines.encode()), name, job_config=config).result()


def _psycopg2(_: Any) -> Driver:
    from psycopg2.extensions import cursor  # type: ignore[import-untyped]

    return Driver(
        style="format",
        float32="700",
        cursor=lambda connection: connection.cursor(cursor_factory=cursor),
        streaming_cursor=lambda connection: connection.cursor("dub_rows", cursor_factory=cursor),
        prepare=lambda connection: connection.set_client_encoding(_UTF8),  # no statement if it is already
        bulk_inserts={"postgres": _psycopg2_copy},
    )


def _psycopg(_: Any) -> Driver:
    from psycopg.rows import tuple_row

    def prepare(connection: Any) -> None:
        # PostgreSQL would plan once for any keys, which is to read the whole table for each.
        connection.prepare_threshold = None
        if connection.info.encoding != _PYTHONS_UTF8:
            connection.execute(f"SET client_encoding TO '{_UTF8}'")
            connection.commit()

    return Driver(
        style="format",
        float32="700",
        cursor=lambda connection: connection.cursor(row_factory=tuple_row),
        streaming_cursor=lambda connection: connection.cursor("dub_rows", row_factory=tuple_row),
        prepare=prepare,
        bulk_inserts={"postgres": _psycopg_copy},
        most_parameters=65_535,
    )


def _of_mysql(module: str) -> Callable[[Any], Driver]:
    """Return the contract of a driver of MySQL with mysqlclient's classes of cursors."""

    def prepare(connection: Any) -> None:
        if connection.character_set_name() != _WITH_ALL_CHARACTERS:
            connection.set_character_set(_WITH_ALL_CHARACTERS)
        connection.query(_WITH_ALL_ROWS)

    def driver(_: Any) -> Driver:
        cursors = import_module(f"{module}.cursors")
        return Driver(
            style="format",
            float32="4",
            cursor=lambda connection: connection.cursor(cursors.Cursor),
            streaming_cursor=lambda connection: connection.cursor(cursors.SSCursor),
            prepare=prepare,
        )

    return driver


def _mysql_connector(_: Any) -> Driver:
    def prepare(connection: Any) -> None:
        if connection.charset != _WITH_ALL_CHARACTERS:
            connection.set_charset_collation(_WITH_ALL_CHARACTERS)
        connection.cmd_query(_WITH_ALL_ROWS)

    return Driver(style="format", float32="4", keeps_percent_signs=True, prepare=prepare)


def _postgres_json(cursor: Any, table: exp.Table, columns: Sequence[str], rows: _Rows) -> None:
    """Insert the rows from one parameter, since PostgreSQL's ODBC driver breaks its connection with 7,499."""
    name, names = _quoted("postgres", table, columns)
    source = f"JSON_POPULATE_RECORDSET(CAST(NULL AS {name}), CAST(? AS JSON))"
    lines = json.dumps([dict(zip(columns, row, strict=True)) for row in rows])
    cursor.execute(f"INSERT INTO {name} ({names}) SELECT {names} FROM {source}", (lines,))  # noqa: S608 - names


def _sqlite_executemany(cursor: Any, table: exp.Table, columns: Sequence[str], rows: _Rows) -> None:
    name, names = _quoted("sqlite", table, columns)
    cursor.executemany(f"INSERT INTO {name} ({names}) VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608


def _quoted(dialect: str, table: exp.Table, columns: Sequence[str]) -> tuple[str, str]:
    """Return a table and columns of it as statements name them."""
    engine = DIALECTS[dialect]
    return engine.to_sql(table.copy()), ", ".join(engine.to_sql(exp.to_identifier(column)) for column in columns)


def _snowflake(connection: Any) -> Driver:
    return Driver(style="format" if connection.is_pyformat else "qmark")


def _databricks(connection: Any) -> Driver:
    # Its module says "named", of parameters that the server binds. Spark's own Thrift server cannot; then the
    # connection's extra has use_inline_params.
    if connection.use_inline_params:
        return Driver(style="format", float32="float", transactions="none")
    return Driver(style="qmark", float32="float", transactions="none", most_parameters=255)


def _bigquery(_: Any) -> Driver:
    return Driver(style="pyformat", transactions="none", bulk_inserts={"bigquery": _bigquery_load})


#: By type of the hook, what its connections begin and end in turn with. DuckDB 2.0 loses a database that is connected
#: to while its last connection is being closed: no other connection of this process reaches it before the new one ends.
_TURNS: Mapping[str, AbstractContextManager[None]] = {"duckdb": ForkSafeLock()}

#: By module, what the driver's connections are like.
DRIVERS: Mapping[str, Callable[[Any], Driver]] = {
    "psycopg2": _psycopg2,
    "psycopg": _psycopg,
    "MySQLdb": _of_mysql("MySQLdb"),
    "pymysql": _of_mysql("pymysql"),
    "mysql.connector": _mysql_connector,
    "sqlite3": lambda _: Driver(style="qmark", bulk_inserts={"sqlite": _sqlite_executemany}),
    "duckdb": lambda _: Driver(style="qmark", float32="FLOAT", transactions="cursor"),
    "_duckdb": lambda _: Driver(style="qmark", float32="FLOAT", transactions="cursor"),
    "pyodbc": lambda _: Driver(style="qmark", bulk_inserts={"postgres": _postgres_json}),
    "pymssql": lambda _: Driver(style="format", keeps_percent_signs=True),
    "redshift_connector": lambda _: Driver(style="format", float32="700", most_parameters=32_767),
    "snowflake.connector": _snowflake,
    "databricks.sql": _databricks,
    "airflow.providers.google.cloud.hooks.bigquery": _bigquery,
}
