"""What a run is going to do, before it does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_dub.warehouse.difference import UPDATES, Status

#: Requests a minute of Dub's plans that have customers.
_LIMITS = (1200, 3000)


@dataclass(frozen=True)
class Plan:
    """The rows of the query by what is to be done with them.

    :param counts: How many rows there are of each status.
    :param look_ups: How many ids may have to be made sure of, at most.
    :param requests_per_minute: The limit, if it is known.
    """

    counts: Mapping[Status, int]
    look_ups: int
    requests_per_minute: int | None

    @property
    def to_send(self) -> int:
        """The number of updates."""
        return sum(self.counts[status] for status in UPDATES)

    @property
    def remembered(self) -> int:
        """The number of rows that are not sent again since they were refused or missing."""
        return self.counts[Status.REFUSED] + self.counts[Status.MISSING]

    @property
    def minutes_at_limit(self) -> dict[str, float]:
        """Minutes that the updates take, by limit: the one that is known, or those of Dub's plans."""
        limits = [self.requests_per_minute] if self.requests_per_minute else _LIMITS
        return {str(limit): round(self.to_send / limit, 1) for limit in limits}

    def summary(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        counts = {str(status): self.counts[status] for status in Status}
        return {**counts, "to_send": self.to_send, "look_ups": self.look_ups, "minutes_at_limit": self.minutes_at_limit}

    def in_words(self) -> str:
        """Return the plan as one line."""
        by_status = ((status.replace("_", " "), count) for status, count in self.counts.items() if count)
        told = ", ".join(f"{count:,} {status}" for status, count in by_status)
        minutes = " or ".join(f"{minutes} min at {limit} a minute" for limit, minutes in self.minutes_at_limit.items())
        rows = sum(self.counts.values())
        ids = f" (and at most {self.look_ups:,} look-ups of ids)" if self.look_ups else ""
        return f"{rows:,} rows in the query{f' ({told})' if told else ''}; {self.to_send:,} to send{ids}, {minutes}"
