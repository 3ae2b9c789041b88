"""The user's query, and which of its columns become a customer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.sync.columns import log_unsent, match_columns

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

    def match(self, found: Sequence[str]) -> MatchedColumns:
        """Return which columns are used, and log which are not.

        :param found: The columns of the query, as its database names them.
        :raises ValueError: One is missing, or named twice.
        """
        matched = match_columns(
            found,
            key_column=self.options.key_column,
            columns=self.options.columns,
            latest_by=self.latest_by if self.options.on_duplicate == "last" else None,
            source="query",
        )
        log_unsent(matched, log.info, log.warning)
        return matched
