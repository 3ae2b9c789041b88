"""Pacing below Dub's rate limit, from what Dub's responses say.

Dub counts the requests of a key per clock minute and admits one while ``(1 - p) * previous + current < limit``, where
``p`` is the elapsed share of the minute. It names the limit in errors only, other clients may use the same key, and
sleeping until the reset that it announces wastes half of the throughput. So the limiter keeps a copy of the window:

* **Its minute** is Dub's. Each ``Date`` (and each announced reset) bounds Dub's clock from both sides; this machine's
  clock is used for nothing but durations.
* **Its requests** are ours, less those that Dub refused, because Dub does not count them either.
* **Its limit** is our *share*: what we used of the window when Dub refused a request (or, after another error, that
  plus what Dub says remains). The rest of the limit belongs to clients that we cannot see.
* **Searching.** When nothing was refused for a while, the share may be too small: others have stopped, or the limit
  was raised. So it grows by one request, then two, then four... until a refusal, which costs nothing at Dub. A search
  that found much is followed by another one soon.
* **Backing off.** While everything is refused, one request at a time tries again, at growing intervals.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_dub.api.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds of Dub's window.
WINDOW = 60.0
#: Seconds after which the first of the waiting threads looks again: no busy loop, and no sleeping through a change.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.002, 1.0
#: Seconds after which the last of them does.
_LAST_TURN = 5.0
#: Seconds between tries while everything is refused; the first covers what was in flight at the first refusal.
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 2.0
#: Parts of a window without a refusal before the share grows: normally, and after a search that found much.
_CALM, _SHORT_CALM = 0.35, 1 / 60
#: Part of a window in which a growing share doubles its growth.
_DOUBLING = 1 / 60
#: Part of the limit that is too much to be chance.
_MUCH = 0.02
#: Requests a minute of Dub's plans that have customers.
PLAN_LIMITS = (1_200, 3_000)
#: ``Date`` has whole seconds, and servers reuse one for up to a second.
_DATE_AGE = 2.0


class RateLimiter:
    """Decides when each of many threads may send its next request. It never sleeps itself.

    :param requests_per_minute: An upper bound of our own, counted as Dub counts; Dub's clock is known only roughly, so
        up to 1 % more may leave (10 % if no response has a ``Date``). Dub's limit holds if it is lower.
    :param monotonic: A clock that never jumps.
    """

    def __init__(
        self, requests_per_minute: int | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute must be at least 1, not {requests_per_minute}.")
        self._lock = ForkSafeLock()
        self._monotonic = monotonic
        self._cap = math.inf if requests_per_minute is None else requests_per_minute
        self._limit: int | None = None  # Dub's
        self._clock_offset = 0.0  # Dub's clock minus ours; far too little until the first response
        self._sent: list[float] = []  # when, of the last windows' requests that Dub may have counted
        self._share = math.inf
        self._learnt_at = -math.inf
        self._calm = _CALM
        self._backoff = 0.0
        self._resume_at = -math.inf
        self._turns: list[float] = []  # when the threads that wait will ask again

    @property
    def limit(self) -> int | None:
        """The requests per minute that we know to hold: the lower of Dub's limit and our own."""
        known = min(self._cap, self._limit or math.inf)
        return None if known == math.inf else int(known)

    def seconds_to_send(self, requests: int) -> float | None:
        """Return how long so many more requests take within the limit; None as long as the limit is not known.

        :param requests: The number of requests.
        """
        with self._lock:
            limit = min(self._share, self._cap)
            if limit == math.inf:
                return None
            limit, now = max(limit, 1.0), self._monotonic()
            elapsed, previous, _ = self._minute(now)
            until_next_minute = WINDOW - elapsed
            left = requests - max(limit - self._used(now), 0.0)
            if left <= 0:
                return 0.0
            in_this_minute = previous * until_next_minute / WINDOW
            if left <= in_this_minute:
                return left * WINDOW / previous
            return until_next_minute + (left - in_this_minute) * WINDOW / limit

    def delay(self) -> float:
        """Ask for permission to send one request.

        :return: 0.0: send it now. Otherwise the seconds (at most 60) after which to ask again.
        """
        with self._lock:
            now = self._monotonic()
            wait = max(self._until_room(now), self._resume_at - now)
            if wait > 0:
                return self._turn_after(now, wait)
            self._sent.append(now)
            if self._sent[0] < now - 3 * WINDOW:
                del self._sent[: bisect_left(self._sent, now - 2 * WINDOW)]
            if self._backoff:
                self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
                self._resume_at = now + self._backoff
            return 0.0

    def record_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from a response. Call it once for each, from any thread, in any order.

        :param status: The HTTP status.
        :param headers: The HTTP headers, with keys of any case.
        """
        limit = _count(headers.get("X-RateLimit-Limit"))  # 0 when Dub's limiter is out of order and lets all pass
        with self._lock:
            now = self._monotonic()
            if (date := _epoch(headers.get("Date", ""))) is not None:
                self._set_clock(date - now, date + _DATE_AGE - now)
            if limit and (reset := _count(headers.get("X-RateLimit-Reset")) / 1000):
                self._set_clock(reset - WINDOW - now, reset - now)
            if status == 429:
                self._refused(now, limit)
                if not limit:  # somebody else's refusal, say a proxy's; what Dub asks for is not meant
                    asked = seconds_to_wait(headers.get("Retry-After", ""), now + self._clock_offset)
                    self._resume_at = max(self._resume_at, now + asked)
            else:
                self._backoff, self._resume_at = 0.0, -math.inf
                if limit:
                    self._admitted(now, limit, _count(headers.get("X-RateLimit-Remaining")))

    def record_failure(self, *, sent: bool) -> None:
        """Learn that a request has no response. Call it where :meth:`record_response` is not called.

        :param sent: Whether Dub may have counted it.
        """
        with self._lock:
            if not sent and self._sent:
                self._sent.pop()

    def _set_clock(self, least: float, most: float) -> None:
        self._clock_offset = min(max(self._clock_offset, least), most)

    def _refused(self, now: float, limit: int) -> None:
        if self._sent:
            self._sent.pop()
        before, self._limit = self._limit, limit or self._limit
        first = not self._backoff
        # Refusals after the first back-off do not say what our share is: nobody is admitted.
        if self._backoff <= _FIRST_BACKOFF:
            share = min(self._allowance(now), self._used(now) - 1)
            if limit:
                share = min(share * min(1, limit / (before or limit)), limit)
            if first:
                found = share - self._share > _MUCH * (self._limit or share)
                self._calm = _SHORT_CALM if found else min(2 * self._calm, _CALM)
            self._share = share
        if first:
            self._backoff = _FIRST_BACKOFF
            self._resume_at = now + _FIRST_BACKOFF
        self._learnt_at = now

    def _admitted(self, now: float, limit: int, remaining: int) -> None:
        self._limit = limit
        room = min(self._used(now) + remaining, limit)
        # All clients see the same few remaining requests: nobody takes them.
        if room < self._allowance(now) or remaining > _MUCH * limit:
            self._share, self._learnt_at = room, now

    def _allowance(self, now: float) -> float:
        if self._share == math.inf:
            return self._cap
        # The less of the limit we have, the sooner we look for more: three times as soon, and at once if next to none.
        part = min(self._share / (self._limit or self._share or 1), 1)
        calm_period = self._calm * (1 + 2 * part) / 3 if part > _MUCH else _SHORT_CALM
        calm = (now - self._learnt_at) / WINDOW - calm_period
        growth = math.exp2(min(calm / _DOUBLING, 30)) if calm > 0 else 0
        return min(max(self._share, 1) + growth, self._cap)

    def _minute(self, now: float) -> tuple[float, int, int]:
        elapsed = (now + self._clock_offset) % WINDOW
        start = bisect_left(self._sent, now - elapsed)
        before = bisect_left(self._sent, now - elapsed - WINDOW)
        return elapsed, start - before, len(self._sent) - start

    def _used(self, now: float) -> float:
        elapsed, previous, current = self._minute(now)
        return (1 - elapsed / WINDOW) * previous + current

    def _until_room(self, now: float) -> float:
        excess = self._used(now) + 1 - self._allowance(now)
        if excess <= 0:
            return 0.0
        elapsed, previous, _ = self._minute(now)
        end = WINDOW - elapsed
        return min(excess * WINDOW / previous, end) if previous else end

    def _turn_after(self, now: float, wait: float) -> float:
        # One thread for each request that becomes free, instead of all of them at the first.
        self._turns = [turn for turn in self._turns if turn > now]
        wait = min(max(wait, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        wait = min(wait + len(self._turns) * WINDOW / self._allowance(now), _LAST_TURN)
        self._turns.append(now + wait)
        return wait


def seconds_to_wait(retry_after: str, now: float) -> float:
    """Read a ``Retry-After`` in any of its dialects: seconds, an HTTP date, or an epoch in seconds or milliseconds.

    :param retry_after: The header's value.
    :param now: The server's time as an epoch in seconds.
    :return: Between 0 (also for what makes no sense) and 60 seconds.
    """
    number = float(_count(retry_after)) or _epoch(retry_after) or 0.0
    if number > 1e11:
        number /= 1000
    seconds = number - now if number > 1e8 else number
    return min(seconds, 60.0) if 0 < seconds < 86_400 else 0.0


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else 0


@lru_cache(maxsize=16)
def _epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
