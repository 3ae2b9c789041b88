"""HTTP as Node.js speaks it, with bounds: on the size of a head, on the time that a request takes to arrive, and on the
connections that have not sent a whole one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: As in Node.js: the bytes of a URL with the names and values of the headers.
MAX_HEAD_BYTES = 16 * 1024
#: How long a request may take to arrive.
REQUEST_TIMEOUT_SECONDS = 30.0
#: How many connections may be open without a whole request; the oldest is closed for one more.
MAX_HALF_OPEN = 256

_BAD_REQUEST = b"400 Bad Request"
_TIMEOUT = b"408 Request Timeout"
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. The application may drop it, by ``scope["extensions"]["transport"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        self.access_log = False  # with external ids in it; the emulator's own log is enough
        self._refusal = _BAD_REQUEST
        self._head_bytes = self._received_of_head = 0
        self._is_in_head = self.is_half_open = True
        self._since = time.monotonic()
        self._timeout: asyncio.TimerHandle | None = self.loop.call_later(REQUEST_TIMEOUT_SECONDS, self._give_up)
        self._make_room()
        app: ASGIApp = self.app

        async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "extensions": {"transport": transport}}, receive, send)

        self.app = app_with_transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._is_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request, or refuse what is none."""
        if self._is_in_head:
            self._received_of_head += len(data)
        super().data_received(data)
        if self.transport.is_closing() or not self.is_half_open:
            return
        # The parser keeps a header to itself until it is whole.
        if self._is_in_head and self._received_of_head > 2 * MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._timeout is None:
            self._timeout = self.loop.call_later(REQUEST_TIMEOUT_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_bytes = self._received_of_head = 0
        self._is_in_head = self.is_half_open = True
        self._since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request."""
        self._is_complete()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what is not HTTP, without a body.

        :param msg: What uvicorn would say.
        """
        self._refuse(self._refusal)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refusal = _HEAD_TOO_LARGE
            raise ValueError("The head is too large.")  # which makes it a parser's error

    def _is_complete(self) -> None:
        self.is_half_open = False
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _make_room(self) -> None:
        half_open = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.is_half_open]
        if len(half_open) > MAX_HALF_OPEN:
            min(half_open, key=lambda each: each._since).transport.abort()

    def _give_up(self) -> None:
        self._timeout = None
        self._refuse(_TIMEOUT)

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n")
        self.transport.close()


def drop(scope: Any) -> None:
    """End the connection of a request at once.

    :param scope: The request, served through :class:`BoundedProtocol`.
    """
    scope["extensions"]["transport"].abort()
