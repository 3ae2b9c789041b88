"""One HTTP exchange with Dub, repeated while that can help, at the pace of the rate limit.

Source of the facts: Dub's server, measured in August 2026. ``Retry-After`` is no number of seconds there, so waiting
is left to :class:`~airflow_provider_dub.api.rate_limit.RateLimiter`, which knows what it means.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

import requests
import urllib3

from airflow_provider_dub.api.http_connection import spare_work
from airflow_provider_dub.api.responses import error_from_response
from airflow_provider_dub.exceptions import (
    DubConfigurationError,
    DubConnectionError,
    DubError,
    DubRateLimitError,
    DubServerError,
    DubStoppedError,
    DubUnreadableResponseError,
)

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

    from airflow_provider_dub.api.rate_limit import RateLimiter
    from airflow_provider_dub.api.stop import Stop

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
#: A request that Dub keeps refusing for its rate is given up after this many seconds.
RATE_LIMIT_PATIENCE = 600.0

#: Repeats and redirects are our own affair; built once, since urllib3 would build it for every request.
_NO_RETRIES = urllib3.Retry(False, redirect=False)

_JSON = {"Content-Type": "application/json"}

_BEFORE_SENDING = (
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.SSLError,
)


@dataclass
class Traffic:
    """What a client did so far, counted over all its threads."""

    requests_sent: int = 0
    rate_limited: int = 0
    seconds_waited: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sent(self) -> None:
        """Count one request."""
        with self._lock:
            self.requests_sent += 1

    def refused(self) -> None:
        """Count one answer 429."""
        with self._lock:
            self.rate_limited += 1

    def waited(self, seconds: float) -> None:
        """Add seconds that one thread waited for the rate limit."""
        with self._lock:
            self.seconds_waited += seconds


class Transport:
    """Sends requests over a session's connections, with retries and pacing; safe to share between threads.

    What a session finds out anew for every request (headers, proxies, CA bundles, the pool of connections) is the
    same for all of ours, so it is asked once. That is two thirds of the CPU time of a request.

    :param session: A session with its authentication, headers, ``verify`` and adapters set.
    :param base_url: Scheme, host and port, without a trailing slash.
    :param timeout: Seconds to wait for an answer; the connection itself has at most :data:`CONNECT_TIMEOUT`.
    :param max_retries: Repeats of one request after a transient failure. Waiting for the rate limit is not one.
    :param rate_limiter: Decides when a request may leave.
    :param stopped: When set, no further request is sent and waits end.
    """

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        *,
        timeout: float,
        max_retries: int,
        rate_limiter: RateLimiter,
        stopped: Stop,
    ) -> None:
        self.base_url = base_url
        self.traffic = Traffic()
        self.stopped = stopped
        try:
            self._connect(session)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise DubConfigurationError(
                f"{base_url} cannot be called ({type(error).__name__}): check the connection's host and verify, and "
                "the worker's HTTP_PROXY, HTTPS_PROXY and REQUESTS_CA_BUNDLE."
            ) from None
        self._timeout = urllib3.Timeout(connect=min(timeout, CONNECT_TIMEOUT), read=timeout)
        self._rate_limiter = rate_limiter
        self._heard_from_dub = False
        self._max_retries = max_retries

    def _connect(self, session: requests.Session) -> None:
        request = session.prepare_request(requests.Request("GET", self.base_url))
        # The session's own `verify` goes before REQUESTS_CA_BUNDLE only if it is handed over.
        settings = session.merge_environment_settings(self.base_url, {}, False, session.verify, None)
        adapter = _twin(cast("HTTPAdapter", session.get_adapter(self.base_url)))
        verify, cert, proxies = settings["verify"], settings["cert"], settings["proxies"]
        pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        adapter.cert_verify(pool, self.base_url, verify, cert)  # type: ignore[no-untyped-call]
        self._pool = cast("urllib3.HTTPConnectionPool", pool)
        spare_work(self._pool, request)
        self._target = adapter.request_url(request, proxies).rstrip("/")  # a proxy wants the whole URL

    def send(self, method: str, path: str, expected: Callable[[Any], TypeGuard[T]], body: bytes | None = None) -> T:
        """Send a request until it is answered for good and return the JSON of the 200.

        :param method: The HTTP method.
        :param path: Path and query, percent-encoded, from ``/`` on.
        :param expected: Tells whether the JSON is what Dub answers here.
        :param body: JSON, or None.
        :raises DubError: The last failure, after the retries that it deserves.
        """
        attempt, maybe_applied = 0, False
        while True:
            try:
                return self._send_at_the_limit(method, path, expected, body)
            except DubStoppedError:
                raise DubStoppedError(sent=maybe_applied) from None
            except DubError as error:
                error.maybe_applied = maybe_applied = maybe_applied or error.maybe_applied
                if attempt >= self._max_retries or not _deserves_a_repeat(error):
                    raise
            self._pause(back_off(attempt), sent=maybe_applied)
            attempt += 1

    def _send_at_the_limit(
        self, method: str, path: str, expected: Callable[[Any], TypeGuard[T]], body: bytes | None
    ) -> T:
        give_up = time.monotonic() + RATE_LIMIT_PATIENCE
        while True:
            self._wait_for_turn()
            response = self._exchange(method, path, body)
            self._rate_limiter.answered(response.status, response.headers)
            if response.status == 429:
                self.traffic.refused()
                if time.monotonic() < give_up:
                    continue
            return self._read(response, expected)

    def _wait_for_turn(self) -> None:
        while pause := self._rate_limiter.delay():
            self.traffic.waited(pause)
            self._pause(pause)
        if self.stopped.is_set():
            raise DubStoppedError

    def _pause(self, seconds: float, *, sent: bool = False) -> None:
        if self.stopped.wait(seconds):
            raise DubStoppedError(sent=sent)

    def _exchange(self, method: str, path: str, body: bytes | None) -> urllib3.BaseHTTPResponse:
        self.traffic.sent()
        try:
            return self._pool.urlopen(
                method,
                self._target + path,
                body=body,
                headers={} if body is None else _JSON,
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            sent = not isinstance(error, _BEFORE_SENDING)
            self._rate_limiter.unanswered(sent=sent)
            raise DubConnectionError(type(error).__name__, self.base_url, sent=sent) from None

    def _read(self, response: urllib3.BaseHTTPResponse, expected: Callable[[Any], TypeGuard[T]]) -> T:
        try:
            answer = _answer(response)
            if not expected(answer):
                raise DubUnreadableResponseError(response.status, "the JSON has another shape")
        except DubUnreadableResponseError as error:
            error.fatal = not self._heard_from_dub
            raise
        except DubServerError:
            raise
        except DubError:
            self._heard_from_dub = True
            raise
        self._heard_from_dub = True
        return answer


def _twin(adapter: HTTPAdapter) -> HTTPAdapter:
    """Return an adapter with connections of its own: the session's may be used by others, too."""
    twin = object.__new__(type(adapter))  # a copy would lose what a subclass adds, such as an SSL context
    twin.__dict__ |= adapter.__dict__ | {"proxy_manager": {}}
    settings = twin.__dict__
    twin.init_poolmanager(settings["_pool_connections"], settings["_pool_maxsize"], block=settings["_pool_block"])
    return twin


def back_off(attempt: int) -> float:
    """Return the seconds to wait before repeating a request: 0.5, 1.5, 4.5, 13.5, 15... and up to half as much again.

    :param attempt: How often it was repeated already.
    """
    return min(0.5 * 3.0 ** min(attempt, 5), 15.0) * random.uniform(1.0, 1.5)


def _deserves_a_repeat(error: DubError) -> bool:
    if isinstance(error, DubUnreadableResponseError):
        return error.status in (200, 408, 425)  # also: an idle connection was closed, or the request came too early
    return error.transient and not isinstance(error, DubRateLimitError)


def _answer(response: urllib3.BaseHTTPResponse) -> Any:
    if response.status != 200:
        raise error_from_response(response.status, response.data)
    try:
        return json.loads(response.data)
    except (ValueError, RecursionError):
        raise DubUnreadableResponseError(response.status, "the body is no JSON") from None
