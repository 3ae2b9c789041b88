"""One HTTP exchange: what is sent, how a response is read, and that it ends in time and in bounds, whatever comes."""

from __future__ import annotations

import contextvars
import errno
import gc
import gzip
import os
import signal
import socket
import socketserver
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from unittest.mock import Mock

import psutil
import pytest
import requests
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dub.api.exchange import LONGEST_BODY, Exchanges, Request, Server
from airflow_provider_dub.api.stop import Stop
from airflow_provider_dub.exceptions import (
    DubConfigurationError,
    DubConnectionError,
    DubStoppedError,
    DubUnreadableResponseError,
)
from airflow_provider_dub.hooks.session import DubSession
from tests.support.dub_client import client_of
from tests.support.free_port import free_port
from tests.support.raw_server import OK, RawServer, serving

PATCH = Request("PATCH", "/customers/cus_1?a=b%2Fc", b'{"a":1}')
GET = Request("GET", "/customers")


def exchanges_with(server: RawServer | str, timeout: float = 10, **options) -> Exchanges:
    url = server if isinstance(server, str) else server.url
    return Exchanges(lambda: DubSession("dub_KEY", **options), Server(url, timeout))


def test_a_malformed_header_gets_neither_the_id_nor_the_header_into_the_log(caplog) -> None:
    caplog.set_level("WARNING")
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n: PLANTED\r\n\r\n{}") as server:
        response = exchanges_with(server).exchange(Request("GET", "/customers/ext_PLANTED"), Stop())
    assert response.body == b"{}"
    assert "malformed header" in caplog.text
    assert "PLANTED" not in caplog.text


def test_a_request_is_sent_as_it_is() -> None:
    with serving(OK) as server:
        exchanges_with(f"{server.url}/base/").exchange(PATCH, Stop())
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    request_line, *headers = head.split(b"\r\n")
    assert request_line == b"PATCH /base/customers/cus_1?a=b%2Fc HTTP/1.1"
    assert body == b'{"a":1}'
    assert {
        b"Authorization: Bearer dub_KEY",
        b"Accept: application/json",
        b"Accept-Encoding: gzip, deflate",
        b"Content-Type: application/json",
        b"Content-Length: 7",
        b"Host: localhost:%d" % server.server_address[1],
    } <= set(headers)
    assert len(headers) == len({header.split(b":")[0].lower() for header in headers})


def test_a_request_without_a_body_says_nothing_about_one() -> None:
    with serving(OK) as server:
        exchanges = exchanges_with(server)
        exchanges.exchange(PATCH, Stop())
        exchanges.exchange(GET, Stop())
    assert b"Content" not in server.requests[1]


def test_a_connection_is_used_again() -> None:
    with serving(OK) as server:
        exchanges = exchanges_with(server)
        assert [exchanges.exchange(PATCH, Stop()).body for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(OK + OK, id="another response, which nobody asked for"),
        pytest.param(OK + b"rubbish", id="rubbish"),
        pytest.param(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), id="Connection: close"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", id="without length"),
    ],
)
def test_what_follows_a_response_is_nobody_elses(response: bytes) -> None:
    with serving(response, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[2]") as server:
        exchanges = exchanges_with(server)
        assert exchanges.exchange(PATCH, Stop()).body == b"{}"
        assert exchanges.exchange(PATCH, Stop()).body == b"[2]"


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"102 Processing", b"103 Early Hints"])
def test_what_follows_an_interim_response_is_nobody_elses(status: bytes) -> None:
    def late() -> bytes:
        time.sleep(0.2)
        return OK

    interim = b"HTTP/1.1 %b\r\nX: Content-Length\r\n\r\n" % status
    with serving(interim, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[2]", then=late) as server:
        exchanges = exchanges_with(server)
        with pytest.raises(DubUnreadableResponseError) as failure:
            exchanges.exchange(PATCH, Stop())
        assert failure.value.maybe_applied
        assert exchanges.exchange(PATCH, Stop()).body == b"[2]"


def encoded(encoding: str, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        % (
            encoding.encode(),
            len(body),
        )
        + body
    )


@pytest.mark.parametrize(
    ("response", "body"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\nX: Content-Length\r\n\r\n", b"", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
            b"[]",
            id="chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nLink: \r\n\r\n",
            b"{}",
            id="trailers",
        ),
        pytest.param(encoded("gzip", gzip.compress(b"{}")), b"{}", id="gzip"),
        pytest.param(encoded("deflate", zlib.compress(b"{}")), b"{}", id="deflate"),
        pytest.param(encoded("gzip", gzip.compress(b"x" * LONGEST_BODY)), b"x" * LONGEST_BODY, id="a long one"),
    ],
)
def test_every_kind_of_response_is_read(response: bytes, body: bytes) -> None:
    with serving(response, OK) as server:
        exchanges = exchanges_with(server)
        received = exchanges.exchange(GET, Stop())
        assert received.body == body
        assert "Link" not in received.headers
        exchanges.exchange(PATCH, Stop())
        assert server.connections == 1


@given(
    body=st.binary(max_size=300),
    chunked=st.booleans(),
    values=st.lists(st.from_regex(r"[!-~]{1,9}( [!-~]{1,9})?", fullmatch=True), max_size=4),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_any_response_is_read_as_it_was_sent(body: bytes, chunked: bool, values: list[str]) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    headers = b"".join(b"X-%d: %b\r\n" % (n, value.encode()) for n, value in enumerate(values))
    framed = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if chunked else body
    with serving(b"HTTP/1.1 422 X\r\n" + headers + framing + b"\r\n\r\n" + framed) as server:
        received = exchanges_with(server).exchange(GET, Stop())
    assert (received.status, received.body) == (422, body)
    assert [received.headers[f"x-{n}"] for n in range(len(values))] == values


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX: Content-Len",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Lengt: 1\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}",
    ],
)
def test_half_a_response_is_none(response: bytes) -> None:
    with serving(response) as server:
        client = client_of(server, max_retries=0)
        with pytest.raises((DubConnectionError, DubUnreadableResponseError)) as failure:
            client.update_customer("cus_1", {"name": "n"})
    assert failure.value.maybe_applied


def test_a_body_that_is_cut_short_is_none() -> None:
    with serving(OK.replace(b"Content-Length: 2", b"content-length: 9")) as server, pytest.raises(DubConnectionError):
        exchanges_with(server).exchange(PATCH, Stop())


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    response = encoded(encoding, gzip.compress(gzip.compress(b"{}")))
    with serving(response) as server, pytest.raises(DubUnreadableResponseError, match="encoding"):
        exchanges_with(server).exchange(PATCH, Stop())


def test_a_body_that_cannot_be_decoded_is_refused() -> None:
    with serving(encoded("gzip", b"not gzip")) as server, pytest.raises(DubUnreadableResponseError, match="decoded"):
        exchanges_with(server).exchange(PATCH, Stop())


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "nothing": (b"", b"", 0.05),
    "a head that trickles": (HEAD, b"X", 0.05),
    "a body that trickles": (HEAD + b"content-length: 100000\r\n\r\n", b" ", 0.05),
    "chunks that trickle": (CHUNKED, b"1\r\n \r\n", 0.05),
    "trailers that trickle": (CHUNKED + b"0\r\n", b"X: y\r\n", 0.05),
    "trailers without end": (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000, 0),
    "a gzip body that trickles": (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0", 0.05),
}


@contextmanager
def endless(kind: str) -> Iterator[RawServer]:
    first, again, pause = ENDLESS[kind]

    def then() -> bytes:
        time.sleep(pause)
        return again

    with serving(first, then=then) as server:
        yield server


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_response_without_end_is_given_up_in_time(kind: str) -> None:
    with endless(kind) as server:
        exchanges = exchanges_with(server, timeout=0.5)
        began = time.monotonic()
        with pytest.raises(DubConnectionError, match="Time") as failure:
            exchanges.exchange(PATCH, Stop())
        assert time.monotonic() - began < 2
        assert failure.value.maybe_applied


@pytest.mark.parametrize("kind", ["a body that trickles", "trailers without end"])
def test_the_thread_of_a_response_without_end_ends(kind: str) -> None:
    with endless(kind) as server:
        with pytest.raises(DubConnectionError):
            exchanges_with(server, timeout=0.3).exchange(PATCH, Stop())
        assert_soon(lambda: not session_threads())


def test_after_a_response_that_was_late_the_next_one_is_its_own() -> None:
    late = threading.Event()

    def then() -> bytes:
        late.wait(5)
        return OK

    with serving(b"", then=then) as silent:
        exchanges = exchanges_with(silent, timeout=0.3)
        with pytest.raises(DubConnectionError):
            exchanges.exchange(PATCH, Stop())
        late.set()
        silent.is_over.set()
        silent.then, silent.responses = None, [OK.replace(b"{}", b"[]")]
        assert exchanges.exchange(PATCH, Stop()).body == b"[]"


def test_an_interruption_of_the_wait_is_raised_and_leaves_no_response_behind() -> None:
    class Interrupted(BaseException):
        pass

    def interrupted(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        with serving(b"", OK.replace(b"{}", b"[]"), then=lambda: time.sleep(0.05) or b"") as server:
            exchanges = exchanges_with(server)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                exchanges.exchange(PATCH, Stop())
            server.then = None
            assert exchanges.exchange(PATCH, Stop()).body == b"[]"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20) and [])
    began = time.monotonic()
    with pytest.raises(DubConnectionError, match="Timeout"):
        exchanges_with("http://dub.example", timeout=0.3).exchange(GET, Stop())
    over.set()
    assert time.monotonic() - began < 2


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Half a gigabyte of zeros, packed."""
    packed = zlib.compressobj(1, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    return b"".join(packed.compress(zeros) for _ in range(512)) + packed.flush()


@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_bomb_is_not_unpacked(bomb: bytes, pieces: int) -> None:
    body = encoded("gzip", bomb)
    if pieces > 1:
        size = len(bomb) // pieces + 1
        cut = [bomb[n : n + size] for n in range(0, len(bomb), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut)
        body = HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    with serving(body) as server:
        exchanges = exchanges_with(server)
        tracemalloc.start()
        try:
            with pytest.raises(DubUnreadableResponseError, match="longer"):
                exchanges.exchange(GET, Stop())
            assert tracemalloc.get_traced_memory()[1] < 5 * LONGEST_BODY
        finally:
            tracemalloc.stop()


def test_a_redirect_with_a_bomb_is_not_unpacked_either() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"
    body = gzip.compress(bytes(2 * LONGEST_BODY))
    moved += b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with serving(moved) as server, pytest.raises(DubUnreadableResponseError, match=r"302.*longer"):
        exchanges_with(server).exchange(GET, Stop())


def test_a_redirect_is_not_followed() -> None:
    with serving(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n") as server:
        assert exchanges_with(server).exchange(GET, Stop()).status == 302
        with DubSession("dub_KEY") as session:
            assert session.get(server.url, timeout=5).status_code == 302
    assert len(server.requests) == 2


def test_what_fails_before_a_request_is_sent_was_not_sent() -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://nobody.invalid"):
        with pytest.raises(DubConnectionError) as failure:
            exchanges_with(url).exchange(PATCH, Stop())
        assert not failure.value.maybe_applied


class NoTls(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(10)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_worker_without_threads_is_to_blame_and_nothing_was_sent(monkeypatch) -> None:
    start = threading.Thread.start

    def starts(thread: threading.Thread) -> None:
        if thread.name == "dub-session":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts)
    with pytest.raises(DubConnectionError, match=r"no thread can be started.*max_workers") as failure:
        exchanges_with("http://localhost:9").exchange(PATCH, Stop())
    assert not failure.value.maybe_applied


def test_a_worker_with_too_many_open_files_is_to_blame(monkeypatch) -> None:
    monkeypatch.setattr(socket, "socket", Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(DubConnectionError, match=r"too many open files.*max_workers") as failure:
        exchanges_with("http://127.0.0.1:9").exchange(PATCH, Stop())
    assert not failure.value.maybe_applied


def test_where_tls_breaks_after_the_request_it_may_have_arrived(tmp_path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    class BreaksTls(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with context.wrap_socket(self.request, server_side=True) as connection:
                connection.recv(65536)
                with socket.socket(fileno=os.dup(connection.fileno())) as plain, suppress(OSError):
                    plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(1)  # until the client hangs up

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), BreaksTls) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"https://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(DubConnectionError, match="SSLError") as failure:
            exchanges_with(url, verify=str(tmp_path / "ca.pem")).exchange(PATCH, Stop())
        server.shutdown()
    assert failure.value.maybe_applied


@pytest.mark.parametrize("https_assumed", [True, False])
def test_a_server_without_tls_is_named_where_https_was_assumed(https_assumed: bool) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NoTls) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        exchanges = Exchanges(
            lambda: DubSession("dub_KEY"),
            Server(f"https://127.0.0.1:{server.server_address[1]}", 5, https_assumed=https_assumed),
        )
        with pytest.raises(DubConnectionError, match="SSLError") as failure:
            exchanges.exchange(PATCH, Stop())
        server.shutdown()
    assert not failure.value.maybe_applied
    assert ("https was assumed" in str(failure.value)) is https_assumed


@pytest.mark.parametrize("url", ["http://[::1", "http://dub..example", "ftp://dub.example", "http://*.example"])
def test_an_address_that_cannot_be_is_a_matter_of_configuration(url: str) -> None:
    with pytest.raises(DubConfigurationError, match="host"):
        exchanges_with(url).exchange(GET, Stop())


def test_a_ca_bundle_that_is_none_is_a_matter_of_configuration(tmp_path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with serving(OK) as server:
        for bundle in (empty, tmp_path / "missing.pem"):
            with pytest.raises(DubConfigurationError, match="verify"):
                exchanges_with(server.url.replace("http:", "https:"), verify=str(bundle)).exchange(GET, Stop())


def test_a_ca_bundle_that_may_not_be_read_is_a_matter_of_configuration(tmp_path, monkeypatch) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    refused = PermissionError(errno.EACCES, "Permission denied")  # root, who runs some tests, may read all
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", Mock(side_effect=refused))
    with serving(OK) as server, pytest.raises(DubConfigurationError, match=r"PermissionError.*verify"):
        exchanges_with(server.url.replace("http:", "https:"), verify=str(bundle)).exchange(GET, Stop())


_of_other_tests: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def other_tests_threads_do_not_count() -> None:
    """Remember the threads that other tests have left, which end in their own time."""
    _of_other_tests.update(session_threads())


def session_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "dub-session" and one not in _of_other_tests]


def assert_soon(holds, seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert holds()


def in_threads(count: int, work) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_each_thread_has_a_session_and_no_session_has_two_threads() -> None:
    used: dict[int, set[int]] = {}

    class Session(DubSession):
        def send(self, request, **kwargs):
            used.setdefault(id(self), set()).add(threading.get_ident())
            return super().send(request, **kwargs)

    made: list[Session] = []

    def make() -> Session:
        made.append(Session("dub_KEY"))
        return made[-1]

    with serving(OK) as server:
        exchanges = Exchanges(make, Server(server.url, 10))
        all_there = threading.Barrier(4)

        def work() -> None:
            all_there.wait()
            for _ in range(20):
                exchanges.exchange(PATCH, Stop())

        in_threads(4, work)
        assert len(made) == len(used) == server.connections == 4
        assert all(len(threads) == 1 for threads in used.values())


def test_sessions_end_with_their_threads() -> None:
    with serving(OK) as server:
        exchanges = exchanges_with(server)
        in_threads(4, lambda: exchanges.exchange(PATCH, Stop()))
        assert_soon(lambda: not session_threads())


def test_sessions_end_with_close_and_nothing_is_sent_any_more() -> None:
    with serving(OK) as server:
        exchanges = exchanges_with(server)
        exchanges.exchange(PATCH, Stop())
        exchanges.close()
        assert_soon(lambda: not session_threads())
        with pytest.raises(DubStoppedError):
            exchanges.exchange(PATCH, Stop())
        assert exchanges.another().exchange(PATCH, Stop()).status == 200
        assert len(server.requests) == 2


def test_sessions_and_sockets_do_not_pile_up_over_many_runs() -> None:
    def sockets() -> int:
        return len(psutil.Process().net_connections())

    with serving(OK) as server:
        exchanges = exchanges_with(server)
        for _ in range(3):
            exchanges.another().exchange(PATCH, Stop())
        assert_soon(lambda: len(session_threads()) == 0)
        before = sockets()
        for _ in range(30):
            run = exchanges.another()
            in_threads(2, lambda run=run: run.exchange(PATCH, Stop()))
            run.close()
        del run
        assert_soon(lambda: not session_threads() and sockets() <= before)


def test_an_error_that_is_kept_does_not_keep_its_session() -> None:
    kept = []

    def work() -> None:
        try:
            exchanges.exchange(PATCH, Stop())
        except DubConnectionError as error:
            kept.append(error)

    with serving(b"") as server:
        exchanges = exchanges_with(server)
        in_threads(2, work)
        assert_soon(lambda: not session_threads())
    assert len(kept) == 2


def test_a_process_that_was_forked_has_a_session_of_its_own() -> None:
    with serving(OK) as server:
        exchanges = exchanges_with(server)
        exchanges.exchange(PATCH, Stop())
        if (child := os.fork()) == 0:
            status = 1
            try:
                status = exchanges.exchange(PATCH, Stop()).status != 200
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        exchanges.exchange(PATCH, Stop())
        assert server.connections == 2
        assert len(server.requests) == 3


def test_what_is_plugged_into_requests_sees_the_context_of_the_caller() -> None:
    caller = contextvars.ContextVar("caller", default="nobody")
    seen = []

    class Session(DubSession):
        def send(self, request, **kwargs):
            seen.append(caller.get())
            return super().send(request, **kwargs)

    with serving(OK) as server:
        exchanges = Exchanges(lambda: Session("dub_KEY"), Server(server.url, 10))
        for name in ("first", "second"):
            caller.set(name)
            exchanges.exchange(PATCH, Stop())
    assert seen == ["first", "second"]


def test_a_session_whose_authentication_changes_is_asked_every_time() -> None:
    class Auth(requests.auth.AuthBase):
        count = 0

        def __call__(self, request):
            self.count += 1
            request.headers["Authorization"] = f"Bearer {self.count}"
            return request

    def session() -> requests.Session:
        session = requests.Session()
        session.auth = Auth()
        return session

    with serving(OK) as server:
        exchanges = Exchanges(session, Server(server.url, 10))
        exchanges.exchange(PATCH, Stop())
        exchanges.exchange(PATCH, Stop())
    tokens = [line for request in server.requests for line in request.splitlines() if b"Authorization" in line]
    assert len(set(tokens)) == 2
