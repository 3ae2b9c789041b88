"""A query that is compared by the database that it reads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.query_rows import Columns
from airflow_provider_dub.warehouse.source import Source, column_names

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.state_table import StateTable
    from airflow_provider_dub.warehouse.status import KnownState
    from airflow_provider_dub.warehouse.user_query import UserQuery


def compared_here(
    warehouse: Warehouse, dialect: Dialect, query: UserQuery
) -> Callable[[StateTable | None, KnownState | None], AbstractContextManager[Changes]]:
    """Ask the database for the columns of the query, and return what gives the difference once the state is known.

    :param warehouse: The database.
    :param dialect: Its engine.
    :param query: The query.
    :raises ValueError: A column is missing.
    """
    found = warehouse.columns_and_types(column_names(query.sql, dialect), query.parameters)
    matched, options = query.match(found), query.options
    # With parameters, a driver that marks them by percent signs takes any in the statement for a mark.
    percent = "%%" if query.parameters and warehouse.reads_percent_signs else "%"
    source = Source(
        query.sql,
        key_column=matched.key.replace("%", percent),
        columns={column.replace("%", percent): field.name for column, field in matched.fields.items()},
        clears=frozenset(options.cleared_fields(matched.fields.values())),
        latest_by=matched.latest_by and matched.latest_by.replace("%", percent),
        blanks_clear=options.blanks == "missing",
        strip=options.strip,
        types={column.replace("%", percent): kind for column, kind in found},
    )
    columns = Columns.of_query(matched, options)

    def changes(_: StateTable | None, known: KnownState | None) -> AbstractContextManager[Changes]:
        query_of_changes = ChangeQuery(dialect, source, known, options.limit)
        return nullcontext(Changes(warehouse, query_of_changes, columns, query.parameters))

    return changes
