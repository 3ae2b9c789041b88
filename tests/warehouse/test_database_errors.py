"""What is kept of a database's error: its kind, whether it is about a right, and whether a retry meets it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from airflow_provider_dub.warehouse.database_errors import advice_on, database_error


class OperationalError(Exception):
    """What drivers raise for all that they do not tell apart."""


class DataError(Exception):
    """A value."""


class ProgrammingError(Exception):
    """A statement; of some drivers, whatever a server says."""


def error(kind: type[Exception], *arguments: Any, **attributes: Any) -> Exception:
    made = kind(*arguments)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("raised", "denied", "permanent"),
    [
        (error(OperationalError, 1142, "INSERT command denied to user 'planted'"), True, True),
        (error(OperationalError, "planted", errno=1142, sqlstate="42000"), True, True),
        (error(OperationalError, "planted", sqlstate="42501"), True, True),
        (error(OperationalError, "planted", code=HTTPStatus.FORBIDDEN), True, True),
        (error(OperationalError, 1364, "Field 'planted' doesn't have a default value"), False, True),
        (error(DataError, "planted"), False, True),
        (error(OperationalError, 1213, "Deadlock found; planted"), False, False),
        (error(OperationalError, "planted", sqlstate="08006"), False, False),
        # As pyodbc has them...
        (error(OperationalError, "42501", "[42501] ERROR: permission denied for table planted"), True, True),
        (error(OperationalError, "08S01", "[08S01] planted"), False, False),
        # ...and redshift_connector.
        (error(ProgrammingError, {"S": "ERROR", "C": "42501", "M": "planted"}), True, True),
        (error(ProgrammingError, {"S": "ERROR", "C": "22001", "M": "planted"}), False, True),
        (error(ProgrammingError, {"S": "FATAL", "C": "57P01", "M": "planted"}), False, False),
        (error(OperationalError, 1173, "This table type requires a primary key"), False, True),
        (error(OperationalError, "planted", sqlstate="55000"), False, True),
        (error(OperationalError, 1792, "Cannot execute statement in a READ ONLY transaction"), True, True),
        # A table that is not there: MariaDB's schema, BigQuery, Databricks, and Spark.
        (error(OperationalError, 1049, "Unknown database 'planted'"), False, True),
        (error(OperationalError, "planted", code=HTTPStatus.NOT_FOUND), False, True),
        (error(OperationalError, "[TABLE_OR_VIEW_NOT_FOUND] planted", {"diagnostic-info": "planted"}), False, True),
        (error(OperationalError, "Error running query: [SCHEMA_NOT_FOUND] planted"), False, True),
        (error(OperationalError, "[PLANTED] planted"), False, False),
        (error(KeyError, "planted", "planted, too"), False, False),
        (error(ConnectionRefusedError, 111, "planted"), False, False),
    ],
)
def test_an_error_is_told_by_its_code_and_class(raised: Exception, denied: bool, permanent: bool) -> None:
    failed = database_error(raised)
    assert (failed.is_denied, failed.is_permanent) == (denied, permanent)
    assert "planted" not in f"{failed!r} {failed.kind} {vars(failed)}"
    assert type(raised).__name__ in failed.kind


@pytest.mark.parametrize(
    ("raised", "advice"),
    [
        (error(OperationalError, "planted", sqlstate="57014"), "statement_timeout"),
        (error(OperationalError, "planted", pgcode="25P04"), "statement_timeout"),
        (error(OperationalError, 1969, "planted"), "statement_timeout"),
        (error(OperationalError, "planted", sqlstate="40001"), "hot_standby_feedback"),
        (error(OperationalError, "planted", sqlstate="53400"), "temp_file_limit"),
    ],
)
def test_what_ends_a_query_from_outside_comes_with_advice(raised: Exception, advice: str) -> None:
    assert advice in advice_on(raised)
    assert "planted" not in advice_on(raised)


def test_an_error_of_the_query_itself_comes_without_advice() -> None:
    assert not advice_on(error(DataError, "planted", sqlstate="22P02"))


@pytest.mark.parametrize(
    ("raised", "advice"),
    [
        (error(OperationalError, 1175, "planted"), "sql_safe_updates"),
        (error(OperationalError, "planted", sqlstate="HY000", errno=1175), "sql_safe_updates"),  # mysql-connector
        (error(OperationalError, "planted", sqlstate="55000"), "REPLICA IDENTITY FULL"),
        (error(OperationalError, "planted", sqlstate="25006"), "Only reading"),
    ],
)
def test_what_a_setting_does_not_allow_comes_with_advice_by_whichever_of_its_codes(raised, advice: str) -> None:
    assert advice in database_error(raised).advice
