"""One line about a long run, now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_dub.api.transport import Traffic

INTERVAL = 10.0


class Progress:
    """Knows when a line about the run is due, and what it says.

    :param total: The number of rows, if it is known.
    :param max_workers: Threads that send.
    :param clock: Seconds, from anywhere.
    """

    def __init__(self, total: int | None, max_workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._max_workers = max_workers
        self._clock = clock
        self._started = self._told = clock()

    def line(self, done: int, traffic: Traffic, resumed: int = 0) -> str | None:
        """Return the line if one is due: rows done, rate, time left, share of the time waited for the rate limit.

        :param done: Rows with an outcome.
        :param traffic: What was sent and waited for.
        :param resumed: How many of the rows an earlier try did.
        """
        now = self._clock()
        if now - self._told < INTERVAL:
            return None
        self._told = now
        elapsed = now - self._started
        rate = (done - resumed) / elapsed
        waiting = min(1.0, traffic.seconds_waited / (elapsed * self._max_workers))
        of_total = left = ""
        if self._total:
            of_total = f" of {self._total:,} ({done / self._total:.0%})"
            left = f", about {_duration((self._total - done) / rate)} left" if rate else ""
        return f"{done:,}{of_total} rows, {rate:.1f} rows/s{left}, {waiting:.0%} of the time waiting for the rate limit"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
