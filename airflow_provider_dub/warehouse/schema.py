"""The columns of the state table and of those beside it, and how their names and timestamps are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlglot import exp

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.results import Outcome

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

#: A tree of sqlglot's; its classes have other names in other versions.
Expression: TypeAlias = Any

KEY = "customer_key"
#: The try of the task instance that wrote a line of the history: a name of it alone.
ATTEMPT = "attempt"
#: The columns of the staging table besides the key and what is compared: the row's position, and what says which of
#: several rows for one customer is the latest.
POSITION, LATEST = "position", "latest"
#: The columns about the row's result.
RESULT_COLUMNS = ("outcome", "code", "message", "dub_id", "first_applied_at", "last_applied_at", "last_tried_at", "run")
TIMESTAMPS = ("first_applied_at", "last_applied_at", "last_tried_at")
#: The outcomes of rows that a run is about to send, or may have sent; and of rows that a baseline recorded.
PENDING, BASELINE = "pending", "baseline"
#: Outcomes that stand for rows that Dub has as they are.
APPLIED = (Outcome.UPDATED, Outcome.UNCHANGED, BASELINE)
#: Changes with the columns that every version has besides those of the fields.
_LAYOUT = 1
#: PostgreSQL cuts names after 63 characters, MySQL refuses those of more than 64, and the longest one that is made of a
#: table's is that of the history's index: ``…_history_by_attempt``.
_LONGEST_NAME = 44
_PART = r"""(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|\w[\w$-]*)"""
#: A table, possibly with schema and database before it; each may be quoted.
_NAME = re.compile(rf"\s*{_PART}(?:\.{_PART}){{0,2}}\s*")


def schema_version() -> int:
    """Return the version of the state table that this package writes; a new field makes a newer one."""
    return _LAYOUT * 1000 + len(FIELDS)


def compared_columns() -> tuple[str, ...]:
    """Return what decides whether a row is as it was when it was last applied.

    These are the values, and the names of the fields that an empty cell cleared.
    """
    return (*(field.column for field in FIELDS.values()), "cleared")


def history_columns() -> tuple[str, ...]:
    """Return the columns of the history: those of the state table, and the attempt that wrote the line."""
    return (*state_columns(), ATTEMPT)


def staging_columns() -> tuple[str, ...]:
    """Return the columns of the staging table."""
    return (POSITION, KEY, *compared_columns(), LATEST, ATTEMPT)


def state_columns() -> tuple[str, ...]:
    """Return all columns of the state table, the key first."""
    return (KEY, *compared_columns(), *RESULT_COLUMNS)


def table_named(name: str, dialect: Dialect, suffix: str = "") -> exp.Table:
    """Return a table by its name, possibly with schema and database.

    :raises ValueError: It cannot be one.
    """
    is_name = _NAME.fullmatch(name) is not None and "%" not in name
    table = exp.to_table(name, dialect=dialect.name) if is_name else exp.Table()
    if not isinstance(table.this, exp.Identifier) or len(table.name) > _LONGEST_NAME:
        raise ValueError(
            f"state_table must be a name of at most {_LONGEST_NAME} characters without %, possibly with schema and "
            f"database before it, not {name!r}."
        )
    table.set("this", exp.to_identifier(table.name + suffix, quoted=table.this.quoted))
    return table


def is_applied(table: str | None = None) -> Expression:
    """Return the condition that Dub has the values of a row of the state table, all of them, at a known customer.

    What a baseline records of the source is believed without.

    :param table: What the statement calls the state table, if it has others, too.
    """
    outcome, message, dub_id = (exp.column(name, table=table) for name in ("outcome", "message", "dub_id"))
    is_whole = exp.and_(outcome.isin(*APPLIED), message.is_(exp.Null()))
    return exp.and_(is_whole, exp.or_(dub_id.is_(exp.Null()).not_(), outcome.eq(BASELINE)))


def now() -> str:
    """Return this timestamp as every engine reads it: UTC, without a zone."""
    return timestamp(datetime.now(UTC))


def timestamp(at: datetime) -> str:
    """Return a timestamp as every engine reads it: UTC, without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
