"""One line about a long run, now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_dub.api.rate_limit import WINDOW
from airflow_provider_dub.sync.shown import counted, duration

if TYPE_CHECKING:
    from airflow_provider_dub.api.transport import Traffic

#: Seconds between two lines.
INTERVAL = 10.0
#: Seconds after which a line says why nothing works.
_TROUBLE_AFTER = 5.0


class Progress:
    """Knows when a line about the run is due, and what it says.

    :param total: The number of rows.
    :param max_workers: The number of threads that send.
    :param seconds_to_send: Returns how long so many requests take within the rate limit, or None where it is not known.
    :param clock: Returns seconds, from anywhere.
    """

    def __init__(
        self,
        total: int,
        max_workers: int,
        seconds_to_send: Callable[[int], float | None] = lambda _requests: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._max_workers = max_workers
        self._seconds_to_send = seconds_to_send
        self._clock = clock
        self._started = self._last_line = clock()

    def line(self, done: int, traffic: Traffic, resumed: int = 0) -> str | None:
        """Return the line if one is due: rows done, rate, time left, share of the time waited for the rate limit.

        :param done: The number of rows with a result.
        :param traffic: What was sent and waited for.
        :param resumed: How many of the rows an earlier try processed.
        """
        now = self._clock()
        if now - self._last_line < INTERVAL:
            return None
        self._last_line = now
        elapsed = now - self._started
        sent = done - resumed
        waiting = min(1.0, traffic.seconds_waited / (elapsed * self._max_workers))
        rows = f"{done:,} of {counted(self._total, 'row')} ({done / max(self._total, 1):.0%})"
        left = self._left(done, sent, elapsed, waiting, traffic)
        pace = f"{sent / elapsed:.1f} rows/s{left}, {waiting:.0%} of the time waiting for the rate limit"
        return f"{rows}, {pace}{self._trouble(traffic, now)}"

    def _left(self, done: int, sent: int, elapsed: float, waiting: float, traffic: Traffic) -> str:
        """Return the time left: at the pace of the workers, or within the rate limit if that takes longer."""
        rows = self._total - done
        # Of a limit that was used up when the run began, nothing is known before a window is over.
        if not sent or not rows or (traffic.rate_limited and elapsed < WINDOW):
            return ""
        seconds = rows * elapsed / sent
        within_limit = self._seconds_to_send(round(rows * max(traffic.requests_sent / sent, 1)))
        if within_limit is not None:
            seconds = max(seconds * (1 - waiting), within_limit)
        return f", about {duration(seconds)} left"

    @staticmethod
    def _trouble(traffic: Traffic, now: float) -> str:
        error = traffic.trouble
        if error is None or now - traffic.trouble_since < _TROUBLE_AFTER:
            return ""
        return f". Nothing has worked for {duration(now - traffic.trouble_since)}: {error}"
