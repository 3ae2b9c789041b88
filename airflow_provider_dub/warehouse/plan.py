"""What a run is going to do, before it does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_dub.api.rate_limit import PLAN_LIMITS
from airflow_provider_dub.sync.shown import counted, duration
from airflow_provider_dub.warehouse.status import FAILED_BEFORE, READ, SET_PENDING, UPDATES, Status


@dataclass(frozen=True)
class Plan:
    """The rows of the query by what is to be done with them.

    :param counts: How many rows there are of each status.
    :param unverified_ids: How many ids may have to be looked up, if all rows are sent.
    :param requests_per_minute: The limit, if it is known.
    :param limit: The number of updates that are sent at most.
    """

    counts: Mapping[Status, int]
    unverified_ids: int
    requests_per_minute: int | None
    limit: int | None = None

    @property
    def rows(self) -> int:
        """The number of rows of the query."""
        return sum(self.counts.values())

    @property
    def statuses_to_read(self) -> list[Status]:
        """The statuses of rows that the run works with, those that there are."""
        return [status for status in READ if self.counts[status]]

    @property
    def rows_to_read(self) -> int:
        """The number of rows that the run works with."""
        return sum(self.counts[status] for status in self.statuses_to_read)

    @property
    def to_set_pending(self) -> int:
        """The number of rows that are sent, and that the state table has with another outcome than pending."""
        return sum(self.counts[status] for status in SET_PENDING)

    @property
    def to_send(self) -> int:
        """The number of updates."""
        return self._limited(sum(self.counts[status] for status in UPDATES))

    @property
    def look_ups(self) -> int:
        """The most ids that may have to be looked up."""
        return self._limited(self.unverified_ids)

    def as_read(self, counts: Mapping[Status, int]) -> Plan:
        """Return the plan for rows that were read, some of which had become pending since they were counted.

        :param counts: How many were read of each status.
        """
        known_before = (Status.RETRIED, Status.REFRESHED, Status.PENDING)
        known = sum(counts.get(status, 0) for status in (*SET_PENDING, Status.PENDING))
        changed = max(0, known - sum(self.counts[status] for status in known_before))
        return replace(self, counts={**self.counts, Status.NEW: counts.get(Status.NEW, 0), Status.CHANGED: changed})

    def changes(self, *, is_first: bool) -> int:
        """Return the number of updates that may come from a broken model.

        Rows that only a full refresh sends do not count, nor do rows that an earlier run began to send, nor the new
        rows of a first run and of its retries.

        :param is_first: Whether no other run recorded a customer.
        """
        changes = (Status.CHANGED, Status.RETRIED, *([] if is_first else [Status.NEW]))
        return self._limited(sum(self.counts[status] for status in changes))

    def _limited(self, updates: int) -> int:
        return updates if self.limit is None else min(updates, self.limit)

    @property
    def failed_before(self) -> int:
        """The number of rows that are not sent again since they failed before."""
        return sum(self.counts[status] for status in FAILED_BEFORE)

    @property
    def minutes_at_limit(self) -> dict[str, float]:
        """Minutes that the updates take, by limit: the one that is known, or those of Dub's plans."""
        return {str(limit): round(self.to_send / limit, 1) for limit in self._limits}

    @property
    def _limits(self) -> Sequence[int]:
        return [self.requests_per_minute] if self.requests_per_minute else PLAN_LIMITS

    def summary(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        counts = {str(status): self.counts[status] for status in Status}
        return {**counts, "to_send": self.to_send, "look_ups": self.look_ups, "minutes_at_limit": self.minutes_at_limit}

    def log_line(self) -> str:
        """Return the plan as one line."""
        by_status = ((status.replace("_", " "), count) for status, count in self.counts.items() if count)
        listed = ", ".join(f"{count:,} {status}" for status, count in by_status)
        times = " or ".join(f"{duration(60 * self.to_send / limit)} at {limit:,} a minute" for limit in self._limits)
        ids = f" (and at most {counted(self.look_ups, 'look-up')} of ids)" if self.look_ups else ""
        parts = f" ({listed})" if listed else ""
        how_long = f", {times}" if 60 * self.to_send >= max(self._limits) else ""  # a second or more
        return f"{counted(self.rows, 'row')} in the query{parts}; {self.to_send:,} to send{ids}{how_long}"
