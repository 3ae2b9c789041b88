"""A query that is compared by the database that it reads."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_dub.sync.columns import check_unique
from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.query_rows import QueryColumns
from airflow_provider_dub.warehouse.source import Source, columns_query, without_end

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.state_table import StateTable
    from airflow_provider_dub.warehouse.status import KnownState
    from airflow_provider_dub.warehouse.user_query import UserQuery


@dataclass(frozen=True)
class QueryInPlace:
    """The user's query, compared in its own database.

    :param warehouse: The database.
    :param dialect: Its engine.
    :param source: The query as a part of a statement.
    :param columns: Its columns.
    :param query: What the user gave.
    """

    warehouse: Warehouse
    dialect: Dialect
    source: Source
    columns: QueryColumns
    query: UserQuery

    @classmethod
    def described(cls, warehouse: Warehouse, dialect: Dialect, query: UserQuery) -> QueryInPlace:
        """Ask the database for the columns of a query.

        :param warehouse: The database.
        :param dialect: Its engine.
        :param query: The query.
        :raises ValueError: A column is missing, or two have one name.
        """
        found = warehouse.columns(columns_query(query.sql, dialect), query.parameters)
        if dialect.describe:
            check_unique(_given_names(warehouse, dialect, query), in_any_case=True)
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
        return cls(warehouse, dialect, source, QueryColumns.of_query(matched, options), query)

    def changes(self, table: StateTable | None, known: KnownState | None) -> AbstractContextManager[Changes]:  # noqa: ARG002 - as a CopiedQuery has it
        """Return the difference, as the database computes it.

        :param table: The state table, if there is one.
        :param known: What its outcomes mean; None if every row is new.
        """
        query = ChangeQuery(self.dialect, self.source, known, self.query.options.limit)
        return nullcontext(Changes(self.warehouse, query, self.columns, self.query.parameters))


def _given_names(warehouse: Warehouse, dialect: Dialect, query: UserQuery) -> list[str]:
    """Return the names of the columns as the query alone has them."""
    sql = dialect.describe.format(query=without_end(query.sql, dialect))
    with warehouse.reading(sql, query.parameters) as (columns, batches):
        rows = columns if dialect.describe == "{query}" else [row for batch in batches for row in batch]
        return [str(row[0]) for row in rows]
