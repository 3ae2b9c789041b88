"""One request to Dub, sent at the pace of the rate limit and again while that can help.

Source of the facts: Dub's server, measured in August 2026. ``Retry-After`` is not a number of seconds there, so waiting
is left to :class:`~airflow_provider_dub.api.rate_limit.RateLimiter`, which knows what it means.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_dub.api import DEFAULT_MAX_RETRIES
from airflow_provider_dub.api.exchange import Exchanges, Request, Response, Server
from airflow_provider_dub.api.locks import ForkSafeLock
from airflow_provider_dub.api.rate_limit import RateLimiter
from airflow_provider_dub.api.stop import Stop
from airflow_provider_dub.exceptions import (
    DubApiError,
    DubConfigurationError,
    DubConnectionError,
    DubError,
    DubRateLimitError,
    DubServerError,
    DubStoppedError,
    DubUnreadableResponseError,
)

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

#: A request that Dub keeps refusing for its rate is given up after this many seconds, unless somebody waits for it.
RATE_LIMIT_TIMEOUT = 600.0
#: As long as nothing but foreign pages came, say from a proxy that is just starting, a request is sent so often again.
RETRIES_AT_THE_START = 3

#: Errors that say whether the request may have reached Dub; any other comes after that.
_MAYBE_BEFORE_SENDING = (DubConfigurationError, DubConnectionError, DubStoppedError)


@dataclass
class Traffic:
    """What a client did so far, counted over all its threads."""

    requests_sent: int = 0
    rate_limited: int = 0
    seconds_waited: float = 0.0
    #: The last error, as long as nothing succeeded after it, and when the first of them came (``time.monotonic``).
    trouble: DubError | None = None
    trouble_since: float = 0.0
    _lock: ForkSafeLock = field(default_factory=ForkSafeLock, repr=False)

    def count(self, *, requests_sent: int = 0, rate_limited: int = 0, seconds_waited: float = 0.0) -> None:
        """Count requests, responses 429, and seconds that one thread waited for the rate limit."""
        with self._lock:
            self.requests_sent += requests_sent
            self.rate_limited += rate_limited
            self.seconds_waited += seconds_waited

    def record_trouble(self, error: DubError) -> None:
        """Keep a transient error until something succeeds.

        :param error: The error.
        """
        if self.trouble is None:
            self.trouble_since = time.monotonic()
        self.trouble = error


class Transport:
    """Sends requests with retries and pacing; safe to share between threads.

    :param make_session: Returns a new session that authenticates itself; see ``DubHook.get_conn``. Each thread has one.
    :param server: Where requests go, and the seconds for each.
    :param max_retries: Retries of one request after a transient failure. Waiting for the rate limit is not one.
    :param rate_limiter: Decides when a request may leave. By default the key's limit is learnt from Dub.
    :param rate_limit_timeout: Seconds after which a request that Dub keeps refusing for its rate is given up.
    """

    def __init__(
        self,
        make_session: Callable[[], requests.Session],
        server: Server,
        *,
        max_retries: int = DEFAULT_MAX_RETRIES,
        rate_limiter: RateLimiter | None = None,
        rate_limit_timeout: float | None = None,
    ) -> None:
        self.traffic = Traffic()
        self._exchanges = Exchanges(make_session, server)
        self._max_retries = max_retries
        self.rate_limiter = rate_limiter or RateLimiter()
        self._stop = Stop()
        self._rate_limit_timeout = rate_limit_timeout or RATE_LIMIT_TIMEOUT
        self._heard_from_dub = False

    def for_run(self, stop: Stop) -> Transport:
        """Return a transport with the same pace and counts, but sessions of its own.

        :param stop: When set, no further request is sent and waits end.
        """
        transport = copy(self)
        transport._exchanges = self._exchanges.another()
        transport._stop = stop
        return transport

    def close(self) -> None:
        """Close the sessions; no further request is sent."""
        self._exchanges.close()

    def send(self, request: Request, read: Callable[[Response], T]) -> T:
        """Send a request until its response is final, and return what is read from that.

        :param request: What to send.
        :param read: Returns the result of a response, or raises a :class:`DubError`.
        :raises DubError: The last failure, after the retries that it deserves.
        """
        attempt, maybe_applied = 0, False
        changes_something = request.method not in ("GET", "HEAD")
        while True:
            try:
                return self._send_within_limit(request, read)
            except DubStoppedError as stopped:
                raise DubStoppedError(sent=maybe_applied or (changes_something and stopped.maybe_applied)) from None
            except DubError as error:
                self._note(error)
                maybe_applied = changes_something and (maybe_applied or error.maybe_applied)
                error.maybe_applied = maybe_applied
                if attempt >= self._max_retries or not self._deserves_retry(request, error, attempt):
                    raise
            self._pause(back_off(attempt), sent=maybe_applied)
            attempt += 1

    def _send_within_limit(self, request: Request, read: Callable[[Response], T]) -> T:
        give_up_at = time.monotonic() + self._rate_limit_timeout
        while True:
            self._wait_for_turn()
            response = self._exchange(request)
            if response.status == 429:
                self.traffic.count(rate_limited=1)
                if time.monotonic() < give_up_at:
                    continue
            result = read(response)
            self._heard_from_dub = True
            self.traffic.trouble = None
            return result

    def _wait_for_turn(self) -> None:
        self._stop.wait_while_paused()  # before a turn is taken that could not be used
        while pause := self.rate_limiter.delay():
            self.traffic.count(seconds_waited=pause)
            self._pause(pause)
        if self._stop.wait_while_paused():
            raise DubStoppedError

    def _pause(self, seconds: float, *, sent: bool = False) -> None:
        if self._stop.wait(seconds):
            raise DubStoppedError(sent=sent)

    def _exchange(self, request: Request) -> Response:
        self.traffic.count(requests_sent=1)
        try:
            response = self._exchanges.exchange(request, self._stop)
        except BaseException as error:
            sent = error.maybe_applied if isinstance(error, _MAYBE_BEFORE_SENDING) else True
            self.rate_limiter.record_failure(sent=sent)
            raise
        self.rate_limiter.record_response(response.status, response.headers)
        return response

    def _note(self, error: DubError) -> None:
        """Learn from an error whether this is Dub at all."""
        if error.transient:
            self.traffic.record_trouble(error)
        if isinstance(error, DubUnreadableResponseError):
            error.fatal = not self._heard_from_dub
        elif isinstance(error, DubApiError) and not isinstance(error, DubServerError):
            self._heard_from_dub = True

    def _deserves_retry(self, request: Request, error: DubError, attempt: int) -> bool:
        if request.method == "POST" and (error.maybe_applied or isinstance(error, DubUnreadableResponseError)):
            return False  # it may do twice what it does
        if isinstance(error, DubUnreadableResponseError):
            # A success that cannot be read; an idle connection that was closed; a request that came too early.
            return error.status in (200, 408, 425) or (error.fatal and attempt < RETRIES_AT_THE_START)
        return error.transient and not isinstance(error, DubRateLimitError)


def back_off(attempt: int) -> float:
    """Return the seconds to wait before a retry: 0.5, 1.5, 4.5, 13.5, 15... and up to half as much again.

    :param attempt: How many retries there were.
    """
    return min(0.5 * 3.0 ** min(attempt, 5), 15.0) * random.uniform(1.0, 1.5)
