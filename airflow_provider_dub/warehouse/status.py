"""What the state table says about the rows of a query, and which of them a run works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """What the state table says about a row of the query."""

    #: Never seen before.
    NEW = "new"
    #: Its values are others than those that were last sent.
    CHANGED = "changed"
    #: An earlier run ended between sending it and knowing the outcome.
    PENDING = "pending"
    #: It was refused or missing before, and is to be tried again.
    RETRIED = "retried"
    #: As it was, and to be sent again in a full refresh.
    REFRESHED = "refreshed"
    #: It names no customer.
    NO_KEY = "no_key"
    #: As it was when it was last applied.
    UNCHANGED = "unchanged"
    #: As it was when it was refused, a permanent failure.
    REFUSED = "refused"
    #: As it was when Dub did not know the customer.
    MISSING = "missing"
    #: Another row names the same customer.
    DUPLICATE = "duplicate"
    #: A later row names the same customer.
    SUPERSEDED = "superseded"


#: Of rows that become a request, if their values are right.
UPDATES = (Status.NEW, Status.CHANGED, Status.PENDING, Status.RETRIED, Status.REFRESHED)
#: Of rows that a run reads: besides those, the ones that it rejects.
READ = (*UPDATES, Status.NO_KEY, Status.DUPLICATE)
#: Of rows that the state table has, and that become pending before they are sent.
SET_PENDING = (Status.CHANGED, Status.RETRIED, Status.REFRESHED)
#: Of rows that failed before and did not change since.
FAILED_BEFORE = (Status.REFUSED, Status.MISSING)
#: Of rows that a baseline may record as applied.
BASELINE_CANDIDATES = (*UPDATES, *FAILED_BEFORE)


@dataclass(frozen=True)
class KnownState:
    """The state table, and what its outcomes mean for a run.

    :param table: Its name.
    :param retry_rejected: Rows that failed permanently are sent again.
    :param missing_before: Customers that Dub did not know before this time are tried again.
    :param attempt: This try of the task instance: what it has set to pending was applied before, with the values that
        the table has.
    :param full_refresh: All rows are sent, whatever is known of them.
    :param run: The run whose outcomes stand, as this is its retry: none of them is asked for again.
    :param missing_columns: The columns that the table of an older version lacks; nothing is known about them.
    """

    table: str
    retry_rejected: bool
    missing_before: datetime
    attempt: str = ""
    full_refresh: bool = False
    run: str | None = None
    missing_columns: frozenset[str] = frozenset()
