"""The user's query, and which of its columns become a customer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.sync.columns import log_unsent, match_columns
from airflow_provider_dub.sync.shown import listed
from airflow_provider_dub.warehouse.drivers import FLOAT32

if TYPE_CHECKING:
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.options import SyncOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserQuery:
    """The query as the user gives it.

    :param sql: The query.
    :param parameters: Its parameters, in the driver's style.
    :param options: The options of the sync.
    :param latest_by: The column that says which of several rows for one customer is the latest.
    """

    sql: str
    parameters: Any
    options: SyncOptions
    latest_by: str | None

    def match(self, found: Sequence[tuple[str, str]]) -> MatchedColumns:
        """Return which columns are used, and log which are not.

        :param found: The columns of the query, as its database names them, and their types.
        :raises ValueError: One is missing, named twice, or of a type that does not hold ids apart.
        """
        matched = match_columns(
            [name for name, _ in found],
            key_column=self.options.key_column,
            columns=self.options.columns,
            latest_by=self.latest_by,
            source="query",
        )
        # A cell does not say any more how narrow it was: 16,777,217 and 16,777,216 are one.
        if narrow := [name for name, kind in found if kind == FLOAT32 and name in (matched.key, *matched.fields)]:
            raise ValueError(
                f"The column {listed(narrow)} of the query is of floats with 32 bits, in which large neighbouring "
                "numbers are one. Store it as another type; or, if all its values are whole numbers below 16,777,216, "
                "cast it to BIGINT in the query."
            )
        log_unsent(matched, log)
        return matched
