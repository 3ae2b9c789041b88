"""HTTP connections that spare the work which is the same for every request.

urllib3 pools the connections, finds proxies and checks certificates. What it leaves to Python's ``http.client`` is done
here in half the CPU time: a request is written in one piece, with header lines that were made ready once, and llhttp
parses the answer.
"""

from __future__ import annotations

import io
import ssl
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httptools
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ProtocolError

if TYPE_CHECKING:
    import socket

    import requests
    import urllib3

_READ_AT_ONCE = 64 * 1024
#: More than any answer of Dub's, and little enough for many threads: bytes of a head, with what goes before it...
_LONGEST_HEAD = 64 * 1024
#: ...and of a body.
_LONGEST_BODY = 16 * 1024 * 1024


def spare_work(pool: urllib3.HTTPConnectionPool, request: requests.PreparedRequest) -> None:
    """Have a pool, before its first request, make connections of this kind.

    :param pool: A pool for requests to one host, whose bodies are bytes.
    :param request: Its host and headers are those of every request.
    :raises ValueError: A header cannot be sent.
    """
    url = urlsplit(str(request.url))
    host = url.netloc.rpartition("@")[2].removesuffix(":443" if url.scheme == "https" else ":80")
    headers = CaseInsensitiveDict({"Host": host, **request.headers})
    headers.pop("Content-Type", None)  # goes with a body
    attributes = {"lines_of_every_request": _lines(headers)}
    pool.ConnectionCls = type("SparingConnection", (_SparingConnection, pool.ConnectionCls), attributes)


class _SparingConnection(HTTPConnection):
    lines_of_every_request: bytes

    def request(  # type: ignore[override] # http.client's and urllib3's own differ, too
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> None:
        lines = _lines(headers or {})
        if body is not None:
            lines += b"Content-Length: %d\r\n" % len(body)
        request_line = f"{method} {url} HTTP/1.1\r\n".encode("ascii")
        self.send(b"".join((request_line, self.lines_of_every_request, lines, b"\r\n", body or b"")))

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        answer = _Answer()
        try:
            answer.read_from(self.sock, self.timeout)
        except ssl.SSLError as error:  # is taken for one of the handshake otherwise, when nothing was sent yet
            raise ProtocolError(f"TLS failed while the answer was read ({type(error).__name__}).") from None
        if not answer.leaves_connection_usable:
            self.close()
        is_plain = answer.body and "content-encoding" not in answer.headers
        return HTTPResponse(
            body=bytes(answer.body) if is_plain else io.BytesIO(answer.body),
            headers=answer.headers,
            status=answer.status,
        )


class _Answer:
    """What llhttp finds in the bytes of an answer."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_complete = False
        self.leaves_connection_usable = True
        self.status = 0
        self._head = 0
        self.headers = HTTPHeaderDict()
        self.body = bytearray()

    def read_from(self, connected: socket.socket, timeout: float | None) -> None:
        """Read the answer to its end.

        :param connected: Where it comes from.
        :param timeout: Seconds for all of it.
        :raises ProtocolError: It is not HTTP, it ended too early, or it is too long.
        :raises TimeoutError: It took too long.
        """
        connected.settimeout(timeout)
        until = None if timeout is None else time.monotonic() + timeout
        while not self._is_complete:
            if data := connected.recv(_READ_AT_ONCE):
                self._parse(data)
                self._check_length(len(data))
                if until and not self._is_complete:
                    connected.settimeout(max(until - time.monotonic(), 0.001))
            elif self.status and not ("content-length" in self.headers or "transfer-encoding" in self.headers):
                self._is_complete, self.leaves_connection_usable = True, False
            else:
                raise ProtocolError("The connection was closed before the answer's end.")

    def _check_length(self, received: int) -> None:
        self._head += 0 if self.status else received
        if self._head > _LONGEST_HEAD or len(self.body) > _LONGEST_BODY:
            raise ProtocolError("The answer is longer than any of Dub's.")

    def _parse(self, data: bytes) -> None:
        handled_by_a_caller = sys.exception()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            # A time-out or Ctrl-C during one of the calls below is the cause, but Python prefers what a caller handles.
            if cause and cause is not handled_by_a_caller and not isinstance(cause, ProtocolError):
                raise cause from None
            if not self._is_complete:
                raise ProtocolError(f"The answer is not HTTP ({type(error).__name__}).") from None
            self.leaves_connection_usable = False

    # What httptools calls:

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise ProtocolError("There is another answer, which nobody asked for.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # what follows the body is no header
            self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        else:  # "103 Early Hints" and the like go before the answer
            self.headers.clear()

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        if self.status:
            self._is_complete = True
            self.leaves_connection_usable = self._parser.should_keep_alive()


def _lines(headers: Mapping[str, str | bytes]) -> bytes:
    return b"".join(map(_line, headers, headers.values()))


def _line(name: str, value: str | bytes) -> bytes:
    line = b"%b: %b" % (name.encode("ascii"), value if isinstance(value, bytes) else value.encode("latin-1"))
    if b"\r" in line or b"\n" in line:
        raise ValueError(f"The header {name!r} has a line break.")
    return line + b"\r\n"
