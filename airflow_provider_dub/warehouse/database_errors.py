"""What an error of any database and driver says: whether a right is missing, and whether a retry meets it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dub.exceptions import DubDatabaseError

#: The classes of the DB-API for errors of the statement or its values.
_OF_THE_STATEMENT = {"ProgrammingError", "DataError", "IntegrityError", "NotSupportedError"}
#: A transaction that only reads: PostgreSQL's code; MariaDB's and MySQL's, of a server and of a session.
_READ_ONLY = {"25006", "1290", "1792"}
#: How drivers say that a right is missing, or that nothing can be written: a code, or the class of the error.
_DENIED = {
    "42501",  # the standard's: PostgreSQL, Redshift, Snowflake
    *("1044", "1142", "1143", "1227"),  # MySQL and MariaDB
    *("SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_DBMOVED", "SQLITE_PERM"),
    *_READ_ONLY,
    "InvalidInputException",  # DuckDB: a file that is attached to be read only
    *("229", "230", "262"),  # SQL Server
    "403",  # BigQuery
}
#: What Databricks says in the text of an error alone: no such table, no such schema.
_IN_TEXT = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND")
#: Errors of the statement that drivers take for a failure of the server.
_NOT_TAKEN = {
    # MariaDB and MySQL: no default, no such value of the type, too long, no NULL, no such column, a CHECK.
    *("1048", "1054", "1264", "1265", "1292", "1364", "1366", "1406", "3819", "4025"),
    "1049",  # MySQL: no such database
    # MariaDB and MySQL: a table without a primary key; an update without an index, in a session that allows none.
    *("1173", "3750", "1175"),
    "55000",  # PostgreSQL: changes are published of a table without a replica identity
    "SQLITE_ERROR",  # no such table or column
    "404",  # BigQuery: no such table or dataset
    *_IN_TEXT,
}
#: The standard's classes of codes: the connection, a transaction that was rolled back, resources, an operator. A driver
#: may have the class of a wrong statement for these, too, as redshift_connector has.
_TRANSIENT, _SQLSTATE = ("08", "40", "53", "57"), 5
_TIME_LIMIT = (
    "A time limit of the connection's user or of the server ended it, or somebody did: compare how long it takes with "
    "statement_timeout and the like, and raise the limit or make the query faster."
)
_NEEDS_KEY = (
    "The server wants a primary key of every table: an administrator creates those without one with one more column, "
    "dub_line BIGINT AUTO_INCREMENT PRIMARY KEY."
)
_READS_ONLY = "Only reading is allowed there: it is a standby, or the server, the database or the user is set so."
#: What an administrator can do about an error of a statement about the state, by code.
_SETTINGS = {
    **dict.fromkeys(("1173", "3750"), _NEEDS_KEY),
    "1175": "The session has sql_safe_updates: switch it off with the init_command SET sql_safe_updates = 0.",
    "55000": "Its changes are published: give the state table and its history REPLICA IDENTITY FULL.",
    **dict.fromkeys(_READ_ONLY, _READS_ONLY),
}
#: What helps against what ends a query from outside, by code. Time limits of PostgreSQL, MariaDB and MySQL come first.
_ADVICE = dict.fromkeys(("57014", "25P03", "25P04", "55P03", "1969", "3024", "1205"), _TIME_LIMIT) | {
    "40001": "Another transaction was in its way; on a replica, what the replica replays. If it happens often there, "
    "raise max_standby_streaming_delay or set hot_standby_feedback, or run the task when less is written.",
    "53400": "It needs more than the connection's user may have: compare temp_file_limit with what the query sorts.",
}


def database_error(error: Exception) -> DubDatabaseError:
    """Return what is kept of an error of the database or its driver.

    :param error: The error.
    """
    codes, classes = _codes(error), _classes(error)
    is_denied = not _DENIED.isdisjoint((type(error).__name__, *codes))
    is_transient = any(len(code) == _SQLSTATE and code.startswith(_TRANSIENT) for code in codes)
    is_of_statement = not _OF_THE_STATEMENT.isdisjoint(classes) and not is_transient
    is_permanent = is_denied or is_of_statement or not _NOT_TAKEN.isdisjoint(codes)
    return DubDatabaseError(
        kind_of(error),
        is_denied=is_denied,
        is_permanent=is_permanent,
        is_read_only=not _READ_ONLY.isdisjoint(codes),
        advice=_advice(_SETTINGS, error),
    )


def kind_of(error: Exception) -> str:
    """Return the class of a database's error and its code, as far as it has one.

    :param error: The error.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    codes = _codes(error)
    return f"{kind} {codes[0]}" if codes else kind


def advice_on(error: Exception) -> str:
    """Return what helps against an error that is not of the query itself; empty for any other.

    :param error: The error of the database.
    """
    return _advice(_ADVICE, error)


def _advice(by_code: Mapping[str, str], error: Exception) -> str:
    return next((by_code[code] for code in _codes(error) if code in by_code), "")


def is_of_value(error: Exception) -> bool:
    """Return whether an error is of a value, so that its message may quote it.

    :param error: The error of the database.
    """
    return "DataError" in _classes(error)


def _classes(error: Exception) -> set[str]:
    """Return the names of an error's classes: those of the DB-API are the same in every driver."""
    return {base.__name__ for base in type(error).__mro__}


def _codes(error: Exception) -> list[str]:
    """Return the codes of an error of any driver, as far as it has any, and nothing else of it."""
    named = (getattr(error, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorname", "errno", "code"))
    numbers = (argument for argument in error.args if isinstance(argument, int))
    found = [str(code) for code in (*named, *numbers) if isinstance(code, int | str) and code]
    return found or _states(*error.args)


def _states(first: Any = None, message: Any = None, *_: Any) -> list[str]:
    """Return the code that the arguments of an error have in the way of redshift_connector, pyodbc or Databricks."""
    if isinstance(first, Mapping):
        return [str(first["C"])] if "C" in first else []
    if isinstance(first, str) and str(message).startswith(f"[{first}]"):
        return [first]
    return [code for code in _IN_TEXT if f"[{code}]" in str(first)]
