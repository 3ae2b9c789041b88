"""A server that sends bytes as they are, however wrong or slow."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class RawServer(socketserver.ThreadingTCPServer):
    """Responds to the n-th request with the n-th bytes, and with the last of them to all further requests."""

    allow_reuse_address = daemon_threads = True
    #: The kernel tries a connection again after a second where many come at once.
    request_queue_size = 128

    def __init__(
        self, responses: list[bytes], tls: ssl.SSLContext | None, then: Callable[[], bytes] | None, closes: bool
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses, self.tls, self.then, self.closes = responses, tls, then, closes
        self.requests: list[bytes] = []
        self.connections = 0
        self.is_over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what is tested."""


class Handler(socketserver.BaseRequestHandler):
    server: RawServer

    def handle(self) -> None:
        self.server.connections += 1
        connected = self.server.tls.wrap_socket(self.request, server_side=True) if self.server.tls else self.request
        with connected, connected.makefile("rb") as received:
            while request := _read_request(received):
                self.server.requests.append(request)
                response = self.server.responses.pop(0) if len(self.server.responses) > 1 else self.server.responses[0]
                connected.sendall(response)
                with suppress(OSError):
                    while self.server.then and not self.server.is_over.is_set():
                        connected.sendall(self.server.then())
                if self.server.closes or b"Content-Length" not in response:
                    return


def _read_request(received) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (line := received.readline()):
            return b""
        head += line
    length = [int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return head + received.read(*length) if length else head


@contextmanager
def serving(
    *responses: bytes,
    tls: ssl.SSLContext | None = None,
    then: Callable[[], bytes] | None = None,
    closes: bool = False,
) -> Iterator[RawServer]:
    """Serve these bytes, one after the other.

    A connection stays open after a response that has the text ``Content-Length`` anywhere: a test that wants one to
    stay open without a length says ``X: Content-Length``, and one that wants it closed writes the header otherwise.

    :param responses: What is sent, a response to each request.
    :param tls: How to speak TLS.
    :param then: Returns what is sent after each, again and again.
    :param closes: Whether every connection is closed after one response.
    """
    with RawServer(list(responses), tls, then, closes) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
