"""The rate limit: a sliding window over two clock-aligned windows, per API key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What the limiter decides about one request."""

    admitted: bool
    limit: int
    remaining: int
    reset_ms: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that Dub adds to errors. Both times are the end of the window in epoch milliseconds."""
        return {
            "Retry-After": str(self.reset_ms),
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_ms),
        }


# The verdict when the limiter's own store does not respond.
FAILED_OPEN = Verdict(admitted=True, limit=0, remaining=0, reset_ms=0)


@dataclass
class _Usage:
    window: int
    previous: int = 0
    current: int = 0

    def advance_to(self, window: int) -> None:
        if window != self.window:
            self.previous = self.current if window == self.window + 1 else 0
            self.current = 0
            self.window = window


class SlidingWindow:
    """Counts the requests of each key.

    :param window_seconds: The window's length; Dub's is 60.
    :param clock: The time in seconds since the epoch.
    """

    def __init__(self, window_seconds: float = 60.0, clock: Callable[[], float] = time.time) -> None:
        self._window_ms = round(window_seconds * 1000)
        self._clock = clock
        self._usage: dict[str, _Usage] = {}

    def admit(self, key: str, limit: int) -> Verdict:
        """Return the verdict on one request, which counts if it is admitted.

        :param key: The key that the budget belongs to.
        :param limit: The number of requests per window.
        """
        window, elapsed_ms = self._now()
        usage = self._usage_in(window, key)
        weighted_previous = math.floor((1 - elapsed_ms / self._window_ms) * usage.previous)
        if weighted_previous + usage.current >= limit:
            return self.refuse(limit)
        usage.current += 1
        remaining = max(0, limit - weighted_previous - usage.current)
        return Verdict(admitted=True, limit=limit, remaining=remaining, reset_ms=(window + 1) * self._window_ms)

    def refuse(self, limit: int) -> Verdict:
        """Return the verdict on a request that is refused and does not count.

        :param limit: The number of requests per window.
        """
        window, _ = self._now()
        return Verdict(admitted=False, limit=limit, remaining=0, reset_ms=(window + 1) * self._window_ms)

    def spend(self, key: str, requests: int) -> None:
        """Count requests that are taken to have happened in the current window.

        :param key: The key that the budget belongs to.
        :param requests: The number of requests.
        """
        window, _ = self._now()
        self._usage_in(window, key).current += requests

    def _now(self) -> tuple[int, int]:
        return divmod(int(self._clock() * 1000), self._window_ms)

    def _usage_in(self, window: int, key: str) -> _Usage:
        usage = self._usage.setdefault(key, _Usage(window))
        usage.advance_to(window)
        return usage
