"""One HTTP exchange over a session of requests, bounded in time and in size.

The time-outs of requests are for single reads, so a server that sends a byte now and then holds up its caller for
ever, and a name look-up has no time-out at all. Therefore the calling thread waits for a thread of its own that does
the exchange, and gives both thread and session up when they are late. That thread owns the session, so no session is
used by two threads.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import requests
from urllib3.exceptions import HTTPError

from airflow_provider_dub.api import DEFAULT_TIMEOUT
from airflow_provider_dub.api.failures import error_from_exception
from airflow_provider_dub.api.locks import ForkSafeLock
from airflow_provider_dub.api.stop import POLL_INTERVAL, Stop
from airflow_provider_dub.exceptions import (
    TOO_MANY_THREADS,
    DubConnectionError,
    DubError,
    DubStoppedError,
    DubUnreadableResponseError,
)

#: Seconds for connecting, which is also TLS.
CONNECT_TIMEOUT = 10.0
#: Decoded bytes of a body; more than any response of Dub's, and little enough for many threads.
LONGEST_BODY = 16 * 1024 * 1024

#: What is asked for. Each byte of these becomes at most a thousand, so what is decoded at once is bounded, too.
_ENCODINGS = ("gzip", "deflate")
_READ_AT_ONCE = 16 * 1024

_THREAD_NAME = "dub-session"


def _without_url(record: logging.LogRecord) -> bool:
    """Take the URL, which has a customer's id, and the header out of what urllib3 says of a malformed header."""
    if threading.current_thread().name == _THREAD_NAME and str(record.msg).startswith("Failed to parse headers"):
        record.msg, record.args, record.exc_info = "A response has a malformed header: of a proxy?", (), None
    return True


logging.getLogger("urllib3.connection").addFilter(_without_url)


class Request(NamedTuple):
    """What is sent.

    :param method: The HTTP method.
    :param path: Path and query, percent-encoded, from ``/`` on.
    :param body: JSON, or None.
    """

    method: str
    path: str
    body: bytes | None = None


class Response(NamedTuple):
    """What came back.

    :param status: The HTTP status.
    :param headers: The HTTP headers, with keys of any case.
    :param body: The body, decoded.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server(NamedTuple):
    """Where requests go.

    :param base_url: Scheme, host and port, without a trailing slash.
    :param timeout: Seconds for a whole exchange; connecting may take at most :data:`CONNECT_TIMEOUT` of them.
    :param https_assumed: Whether the scheme is a guess, which is worth a hint when TLS fails.
    """

    base_url: str
    timeout: float = DEFAULT_TIMEOUT
    https_assumed: bool = False


class Exchanges:
    """HTTP exchanges with one server; safe to share between threads, each of which has a session.

    :param make_session: Returns a new session with its authentication, headers, ``verify`` and adapters set.
    :param server: Where requests go.
    """

    def __init__(self, make_session: Callable[[], requests.Session], server: Server) -> None:
        self._make_session = make_session
        self._server = server
        self._own = threading.local()
        self._all: weakref.WeakSet[_SessionThread] = weakref.WeakSet()
        self._lock = ForkSafeLock()
        self._is_closed = False

    def another(self) -> Exchanges:
        """Return exchanges with the same server over other sessions."""
        return Exchanges(self._make_session, self._server)

    def exchange(self, request: Request, stop: Stop) -> Response:
        """Send a request once and return the response, whatever its status.

        :param request: What to send.
        :param stop: Ends the wait for a response that is not there soon after an urgent stop.
        :raises DubError: There was no response in time, it is too long, or it cannot be decoded.
        """
        session_thread = self._session_thread()
        try:
            result = session_thread.exchange(request, stop)
        except BaseException as error:  # also Ctrl-C or a time-out of the task: the next result would be this one's
            del self._own.session_thread
            session_thread.abandon()
            if isinstance(error, Empty):
                raise DubConnectionError("Timeout", self._server.base_url, sent=True) from None
            raise
        if isinstance(result, Response):
            return result
        try:
            raise result
        finally:
            del result, session_thread  # an error that is kept would keep the session, too

    def close(self) -> None:
        """Close the sessions as soon as they are idle; no further request is sent."""
        with self._lock:
            self._is_closed = True
            session_threads = list(self._all)
        for session_thread in session_threads:
            session_thread.close()

    def _session_thread(self) -> _SessionThread:
        session_thread: _SessionThread | None = getattr(self._own, "session_thread", None)
        if self._is_closed:
            raise DubStoppedError
        if session_thread is None or session_thread.process != os.getpid():  # of a parent: it does not run here
            session_thread = _SessionThread(_Sender(self._make_session(), self._server))
            with self._lock:
                self._all.add(session_thread)
            self._own.session_thread = session_thread
        return session_thread


class _SessionThread:
    """A daemon thread that owns a session. It ends, and closes the session, when nobody refers to this object."""

    def __init__(self, sender: _Sender) -> None:
        self.process = os.getpid()
        self._sender = sender
        self._requests: SimpleQueue[tuple[contextvars.Context, Request] | None] = SimpleQueue()
        self._results: SimpleQueue[Response | BaseException] = SimpleQueue()
        #: Lets the thread end when it is idle.
        self.close = weakref.finalize(self, self._requests.put, None)
        self.close.atexit = False
        arguments = (sender, self._requests, self._results)
        thread = threading.Thread(target=_serve, args=arguments, name=_THREAD_NAME, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise DubConnectionError(TOO_MANY_THREADS, sender.server.base_url, sent=False) from None

    def exchange(self, request: Request, stop: Stop) -> Response | BaseException:
        """Have the thread send a request, and return what came of it.

        :raises Empty: It is late.
        :raises DubStoppedError: It is not there, and the run must be over.
        """
        until = time.monotonic() + self._sender.server.timeout
        self._requests.put((contextvars.copy_context(), request))  # so that a tracer knows whose request it is
        while (left := until - time.monotonic()) > POLL_INTERVAL:
            with suppress(Empty):
                return self._results.get(timeout=POLL_INTERVAL)
            if stop.is_overdue():
                raise DubStoppedError(sent=True)
        return self._results.get(timeout=max(left, 0))

    def abandon(self) -> None:
        """Let the thread end when it can. A body that trickles is cut off; a head that does is not."""
        self.close()
        self._sender.interrupt()


def _serve(
    sender: _Sender,
    todo: SimpleQueue[tuple[contextvars.Context, Request] | None],
    results: SimpleQueue[Response | BaseException],
) -> None:
    with sender.session:
        while job := todo.get():
            results.put(job[0].run(sender.send, job[1]))
            del job  # what it refers to may be large


class _Sender:
    """Sends requests over one session.

    What is the same for all requests to one server (headers, proxies, CA bundle) is found out once: that is half of
    the CPU time of a request.
    """

    def __init__(self, session: requests.Session, server: Server) -> None:
        self.session = session
        self.server = server
        self._prepared: requests.PreparedRequest | None = None
        self._settings: dict[str, Any] = {}
        self._received: requests.Response | None = None

    def send(self, request: Request) -> Response | BaseException:
        """Send a request and return the response, or else the error to raise."""
        try:
            return self._send(request)
        except DubError as error:
            return error.with_traceback(None)
        except (requests.RequestException, HTTPError, OSError) as error:
            return error_from_exception(error, self.server)
        except BaseException as error:  # a bug, here or in what is plugged into requests
            return error
        finally:
            self._received = None

    def interrupt(self) -> None:
        """End the wait for the rest of a response, from another thread."""
        received = self._received
        if received is not None:
            with suppress(Exception):  # it has ended meanwhile
                received.raw.shutdown()

    def _send(self, request: Request) -> Response:
        read_timeout = self.server.timeout
        until = time.monotonic() + read_timeout
        timeout = (min(read_timeout, CONNECT_TIMEOUT), read_timeout)
        received = self.session.send(self._prepare(request), timeout=timeout, allow_redirects=False, **self._settings)
        self._received = received
        with received:
            response = Response(received.status_code, received.headers, b"".join(_body(received, until)))
        if response.status < 200:  # Python takes it for the response: what follows would be the next request's
            self.session.close()
            raise DubUnreadableResponseError(response.status, "it is an interim one")
        return response

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        if self._prepared is None:
            headers = {"Accept-Encoding": ", ".join(_ENCODINGS)}
            self._prepared = self.session.prepare_request(requests.Request("GET", self.server.base_url, headers))
            self._settings = dict(self.session.merge_environment_settings(self._prepared.url, {}, True, None, None))
        prepared = self._prepared.copy()
        prepared.method = request.method
        prepared.url = _joined(str(prepared.url), request.path)
        if request.body is not None:
            prepared.body = request.body
            prepared.headers["Content-Type"] = "application/json"
            prepared.headers["Content-Length"] = str(len(request.body))
        if self.session.auth is not None:  # it may depend on the request
            prepared.prepare_auth(self.session.auth)
        return prepared


def _joined(url: str, path: str) -> str:
    """Return the address of a path; a query that the session gives to every request (``params``) stays."""
    base, _, of_session = url.partition("?")
    path, _, own = path.partition("?")
    query = "&".join(filter(None, (of_session, own)))  # of two of one name, Dub takes the last: the guard's
    return f"{base.rstrip('/')}{path}{f'?{query}' if query else ''}"


def _body(received: requests.Response, until: float) -> Iterator[bytes]:
    """Yield a body in decoded pieces, none of which is large whatever the server sends."""
    encoding = received.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *_ENCODINGS):
        raise DubUnreadableResponseError(received.status_code, "it has an encoding that was not asked for")
    length = 0
    try:
        for piece in received.iter_content(_READ_AT_ONCE):
            length += len(piece)
            if length > LONGEST_BODY:
                raise DubUnreadableResponseError(received.status_code, "the body is longer than any of Dub's")
            if time.monotonic() > until:
                raise requests.exceptions.ReadTimeout
            yield piece
    except requests.exceptions.ContentDecodingError:
        raise DubUnreadableResponseError(received.status_code, "the body cannot be decoded") from None
