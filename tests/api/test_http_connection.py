"""What goes over the wire, and how the bytes that come back become an answer."""

from __future__ import annotations

import gzip
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import requests
import trustme
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from airflow_provider_dub.api.http_connection import _Answer, spare_work

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server(socketserver.ThreadingTCPServer):
    """Answers the n-th request with the n-th bytes and keeps what each read gave it."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, answers: list[bytes], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.tls = answers, tls
        self.received: list[bytes] = []
        self.connections = 0


class Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        connected = self.server.tls.wrap_socket(self.request, server_side=True) if self.server.tls else self.request
        self.server.connections += 1
        try:
            while self.server.answers and (data := connected.recv(65536)):
                self.server.received.append(data)
                connected.sendall(answer := self.server.answers.pop(0))
                if b"Content-Length" not in answer:
                    return
        finally:
            connected.close()


@contextmanager
def serving(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(list(answers), tls) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def sparing_pool(server: Server, **options: object) -> urllib3.HTTPConnectionPool:
    url = f"{'https' if server.tls else 'http'}://localhost:{server.server_address[1]}/base"
    pool = urllib3.connection_from_url(url, **options)
    headers = {"User-Agent": "tests", "Authorization": b"Bearer \xe9"}
    spare_work(pool, requests.Request("GET", url, headers).prepare())
    return pool


def patch(pool: urllib3.HTTPConnectionPool, timeout: float = 10) -> urllib3.BaseHTTPResponse:
    headers = {"Content-Type": "application/json"}
    return pool.urlopen("PATCH", "/base/customers/cus_1", b'{"a":1}', headers, retries=False, timeout=timeout)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_is_written_in_one_piece(scheme) -> None:
    authority, tls = trustme.CA(), None
    if scheme == "https":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)
    with serving(OK, tls=tls) as server:
        patch(sparing_pool(server, **({"ca_cert_data": authority.cert_pem.bytes().decode()} if tls else {})))
        host = b"Host: localhost:%d" % server.server_address[1]
    (written,) = server.received  # of TLS, one read gives at most one record
    assert written.split(b"\r\n") == [
        b"PATCH /base/customers/cus_1 HTTP/1.1",
        host,
        b"User-Agent: tests",
        b"Authorization: Bearer \xe9",
        b"Content-Type: application/json",
        b"Content-Length: 7",
        b"",
        b'{"a":1}',
    ]


def test_a_request_without_a_body_says_nothing_about_one() -> None:
    with serving(OK) as server:
        sparing_pool(server).urlopen("GET", "/", headers={}, retries=False)
    assert b"Content" not in server.received[0]


def test_connections_are_used_again() -> None:
    with serving(OK, OK, OK) as server:
        pool = sparing_pool(server)
        assert [patch(pool).data for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + OK, id="another answer, which nobody asked for"),
        pytest.param(OK + b"rubbish", id="rubbish"),
        pytest.param(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), id="Connection: close"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", id="without length"),
    ],
)
def test_what_follows_an_answer_is_nobody_elses(answer) -> None:
    with serving(answer, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[2]") as server:
        pool = sparing_pool(server)
        assert patch(pool).data == b"{}"
        assert patch(pool).data == b"[2]"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, b"{}", id="early hints"),
        pytest.param(b"HTTP/1.1 204 No Content\r\nX: Content-Length\r\n\r\n", b"", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
            b"[]",
            id="chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\nContent-Encoding: gzip\r\nLink: x\r\n\r\n",
            b"{}",
            id="trailers",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"{}"))
            + gzip.compress(b"{}"),
            b"{}",
            id="gzip",
        ),
    ],
)
def test_every_kind_of_answer_is_read(answer, body) -> None:
    with serving(answer, OK) as server:
        pool = sparing_pool(server)
        response = patch(pool)
        assert response.data == body
        assert "Link" not in response.headers
        patch(pool)
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX: Content-Len",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
def test_half_an_answer_is_none(answer) -> None:
    with serving(answer) as server, pytest.raises(ProtocolError):
        patch(sparing_pool(server))


def test_a_body_that_is_cut_short_is_none() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(OK[:-1])
        there.close()
        with pytest.raises(ProtocolError, match="before the answer's end"):
            _Answer().read_from(here, 5)


def test_silence_ends_with_the_time_out() -> None:
    with serving(OK[:-1], OK) as server, pytest.raises(ReadTimeoutError):
        patch(sparing_pool(server), timeout=0.2)


def lines_for(url: str, headers: dict[str, str]) -> list[bytes]:
    pool = urllib3.connection_from_url(url)
    spare_work(pool, requests.Request("GET", url, headers).prepare())
    return pool.ConnectionCls.lines_of_every_request.splitlines()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.dub.co:443", b"api.dub.co"),
        ("http://api.dub.co:80/base", b"api.dub.co"),
        ("https://api.dub.co:80", b"api.dub.co:80"),
        ("http://[::1]:8080", b"[::1]:8080"),
        ("http://ada:secret@api.dub.co", b"api.dub.co"),
        ("http://bücher.example", b"xn--bcher-kva.example"),
    ],
)
def test_the_host_is_named_as_browsers_do(url, host) -> None:
    assert b"Host: " + host in lines_for(url, {})


def test_no_header_is_sent_twice_however_it_is_spelled() -> None:
    lines = lines_for("http://localhost", {"host": "dub.example", "content-type": "text/plain"})
    assert lines == [b"host: dub.example"]


def test_a_header_that_cannot_be_sent_is_refused_before_the_first_request() -> None:
    with pytest.raises(ValueError, match="latin-1"):
        lines_for("http://localhost", {"Authorization": "Bearer \u0444"})


def test_a_header_cannot_smuggle_in_another_one() -> None:
    request = requests.Request("GET", "http://localhost").prepare()
    request.headers["Authorization"] = "Bearer key\nHost: elsewhere"  # as by a session's auth, which nobody checks
    with pytest.raises(ValueError, match="The header 'Authorization' has a line break"):
        spare_work(urllib3.connection_from_url("http://localhost"), request)


def test_an_interruption_while_an_answer_is_parsed_is_not_lost() -> None:
    class Interrupted(BaseException):
        pass

    class Headers(urllib3.HTTPHeaderDict):
        def add(self, *_: object, **__: object) -> None:
            raise Interrupted

    here, there = socket.socketpair()
    with here, there:
        there.sendall(OK)
        answer = _Answer()
        answer.headers = Headers()
        with pytest.raises(Interrupted):
            answer.read_from(here, 5)


def test_what_a_caller_is_handling_is_not_taken_for_the_fault_of_an_answer() -> None:
    with serving(b"SSH-2.0-OpenSSH\r\n", OK + OK) as server:
        pool = sparing_pool(server)
        try:
            raise KeyError("the caller's own")
        except KeyError:
            with pytest.raises(ProtocolError):
                patch(pool)
            assert patch(pool).data == b"{}"


def test_tls_that_fails_after_the_request_was_sent_is_no_failed_handshake() -> None:
    class Broken(socket.socket):
        def recv(self, *_: object) -> bytes:
            raise ssl.SSLError("bad record")

    with serving(OK) as server:
        pool = sparing_pool(server)
        connection = pool._get_conn()
        connection.connect()
        connection.sock = Broken(fileno=connection.sock.detach())
        pool._put_conn(connection)
        with pytest.raises(ProtocolError, match="TLS failed"):
            patch(pool)


@given(
    body=st.binary(max_size=300),
    chunked=st.booleans(),
    values=st.lists(st.from_regex(r"[!-~]{1,9}( [!-~]{1,9})?", fullmatch=True), max_size=4),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12),
)
def test_an_answer_does_not_depend_on_how_its_bytes_arrive(body, chunked, values, cuts) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    headers = b"".join(b"X-%d: %b\r\n" % (n, value.encode()) for n, value in enumerate(values))
    framed = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if chunked else body
    left = b"HTTP/1.1 422 X\r\n" + headers + framing + b"\r\n\r\n" + framed

    class Pieces:
        def settimeout(self, _: float) -> None:
            pass

        def recv(self, _: int) -> bytes:
            nonlocal left
            cuts.append(cuts.pop(0))
            piece, left = left[: cuts[-1]], left[cuts[-1] :]
            return piece

    answer = _Answer()
    answer.read_from(Pieces(), 5)
    assert (answer.status, bytes(answer.body), answer.leaves_connection_usable) == (422, body, True)
    assert [answer.headers[f"X-{n}"] for n in range(len(values))] == values


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "a head that trickles": (HEAD, b"X: y\r\n", 0.05),
    "a body that trickles": (HEAD + b"Content-Length: 100000\r\n\r\n", b" ", 0.05),
    "early hints without end": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500, 0),
    "a head without end": (HEAD, b"X: " + b"y" * 50_000 + b"\r\n", 0),
    "a body without end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n", 0),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_without_end_is_given_up(kind: str) -> None:
    first, again, pause = ENDLESS[kind]
    here, there = socket.socketpair()
    over = threading.Event()

    def answer() -> None:
        with suppress(OSError):
            there.sendall(first)
            while not over.wait(pause):
                there.sendall(again)

    thread = threading.Thread(target=answer)
    with here, there:
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises((ProtocolError, TimeoutError)):
                _Answer().read_from(here, 1)
        finally:
            over.set()
            here.close()
    thread.join()
    assert time.monotonic() - began < 5
