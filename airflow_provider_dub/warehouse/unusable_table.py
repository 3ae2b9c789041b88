"""What is wrong with a table, found before the first request: a right is missing, or it does not take values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_dub.exceptions import DubDatabaseError

if TYPE_CHECKING:
    from sqlglot import exp

    from airflow_provider_dub.warehouse.tables import Tables


class UnusableTableError(ValueError):
    """A run cannot work with the state table, which is found before its first request."""

    def __init__(self, what: str, tables: Tables) -> None:
        super().__init__(
            f"{what} Nothing was sent. What the database says of it may hold a value and is not shown. "
            f"`python -m airflow_provider_dub.warehouse --dialect {tables.dialect.name} --state-table "
            f"{tables.table}` prints the tables as they should be and the least rights, for an administrator; "
            "for a task with a state_conn_id add --state-conn-id."
        )


@contextmanager
def refusal_explained(tables: Tables, action: str, table: exp.Table, *, writes_values: bool = False) -> Iterator[None]:
    """Say what is wrong if the database does not allow or does not take what is done before the first request.

    :param tables: The state table and those beside it.
    :param action: What is done, such as ``insert rows``.
    :param table: The table that it is done to.
    :param writes_values: Whether an error that a retry meets again is about the table's columns.
    :raises UnusableTableError: The database does not allow it, or the table does not take it.
    """
    try:
        yield
    except DubDatabaseError as failed:
        if not (failed.is_denied or failed.advice or (writes_values and failed.is_permanent)):
            raise
        raise UnusableTableError(reason_of(tables, failed, action, table), tables) from None


def reason_of(tables: Tables, failed: DubDatabaseError, action: str, table: exp.Table) -> str:
    """Return why a permanent failure is one: a missing right, or a table that does not fit.

    :param tables: The state table and those beside it.
    :param failed: The failure.
    :param action: What was done.
    :param table: The table that it was done to.
    """
    name, advice = tables.dialect.to_sql(table), failed.advice and f" {failed.advice}"
    if failed.is_denied:
        return f"The connection's user may not {action}: table {name} ({failed.kind}).{advice}"
    return f"The table {name} does not take what is written ({failed.kind}).{advice}"
