"""A query that is compared by the database that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.changes import Changes
from airflow_provider_dub.warehouse.query_rows import Columns
from airflow_provider_dub.warehouse.source import Source, column_names

if TYPE_CHECKING:
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.warehouse.change_query import KnownState
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.state_table import StateTable
    from airflow_provider_dub.warehouse.user_query import UserQuery


@dataclass(frozen=True)
class QueryHere:
    """The user's query.

    :param warehouse: The database.
    :param dialect: Its engine.
    :param query: The query.
    :param matched: Which of its columns are used.
    :param types: How the driver calls the columns' types.
    """

    warehouse: Warehouse
    dialect: Dialect
    query: UserQuery
    matched: MatchedColumns
    types: Mapping[str, str]

    @classmethod
    def of(cls, warehouse: Warehouse, dialect: Dialect, query: UserQuery) -> QueryHere:
        """Ask the database for the columns of the query.

        :param warehouse: The database.
        :param dialect: Its engine.
        :param query: The query.
        :raises ValueError: A column is missing.
        """
        found = warehouse.columns_and_types(column_names(query.sql, dialect), query.parameters)
        return cls(warehouse, dialect, query, query.match(found), dict(found))

    @contextmanager
    def changes(
        self,
        table: StateTable | None,  # noqa: ARG002 - it is in the same database
        known: KnownState | None,
    ) -> Iterator[tuple[Changes, Columns]]:
        """Yield the difference.

        :param table: The state table, if there is one.
        :param known: What its outcomes mean; None if every row is new.
        """
        query, options = self.query, self.query.options
        change_query = ChangeQuery(self.dialect, self._source(), known, options.limit)
        yield Changes(self.warehouse, change_query, query.parameters), Columns.of_query(self.matched, options)

    def _source(self) -> Source:
        # With parameters, a driver that marks them by percent signs takes any in the statement for a mark.
        percent = "%%" if self.query.parameters and self.warehouse.reads_percent_signs else "%"
        options, matched = self.query.options, self.matched
        latest_by = matched.latest_by
        return Source(
            self.query.sql,
            matched.key.replace("%", percent),
            {column.replace("%", percent): field.name for column, field in matched.fields.items()},
            frozenset(options.cleared_fields(matched.fields.values())),
            latest_by and latest_by.replace("%", percent),
            options.blanks == "missing",
            options.strip,
            {column.replace("%", percent): name for column, name in self.types.items()},
        )
