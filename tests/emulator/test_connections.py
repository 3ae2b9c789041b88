"""The emulator as a server that is reachable: what it refuses, and its bounds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from airflow_provider_dub.emulator import DubEmulator, connections

from .conftest import Call, send


def address(dub: DubEmulator) -> tuple[str, int]:
    url = urlsplit(dub.url)
    assert url.hostname
    assert url.port
    return url.hostname, url.port


@pytest.fixture
def talk(dub: DubEmulator) -> Callable[[bytes], bytes]:
    """Send bytes and return all that comes until the connection ends."""

    def talk(data: bytes) -> bytes:
        with socket.create_connection(address(dub), timeout=10) as connection:
            connection.sendall(data)
            received = b""
            try:
                while part := connection.recv(65536):
                    received += part
            except ConnectionResetError:
                pass
        return received

    return talk


REQUEST = "GET /customers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dub_TESTKEY\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"FOO /customers HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /customers HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /customers HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /customers HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /customers HTTP/1.1\r\n\r\n",
    ],
)
def test_a_malformed_request_is_a_400_without_body(talk: Callable[[bytes], bytes], data: bytes) -> None:
    head, _, body = talk(data).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert body == b""


@pytest.mark.parametrize(
    "head",
    [
        f"GET /customers?x={'y' * 20_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"{REQUEST}X: {'y' * 20_000}\r\n\r\n",
        f"{REQUEST}X: {'y' * 200_000}",
        REQUEST + "".join(f"X-{n}: {'y' * 100}\r\n" for n in range(200)) + "\r\n",
    ],
)
def test_a_large_head_is_a_431(talk: Callable[[bytes], bytes], head: str) -> None:
    assert talk(head.encode()) == b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"


def test_a_head_of_16_kb_is_read(talk: Callable[[bytes], bytes]) -> None:
    assert talk(f"{REQUEST}X: {'y' * 16_000}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_expectation_that_nobody_meets_is_refused(talk: Callable[[bytes], bytes]) -> None:
    assert talk(f"{REQUEST}Expect: miracles\r\n\r\n".encode()).startswith(b"HTTP/1.1 417 ")


@pytest.mark.parametrize("path", ["/customers", "/_emulator/reset"])
def test_a_body_of_more_than_a_megabyte_is_refused(dub: DubEmulator, call: Call, path: str) -> None:
    call("POST", path, {"externalId": "x", "country": "DE", "unknown": "y" * 900_000})
    before = dub.customers

    assert call("POST", path, {"unknown": "y" * 1_100_000}).status == 413
    assert dub.customers == before


def test_a_body_in_parts_is_refused_when_it_is_too_long(talk: Callable[[bytes], bytes]) -> None:
    part = b"10000\r\n" + b"y" * 65536 + b"\r\n"
    head = "POST /customers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert talk(head.encode() + part * 17 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_the_log_keeps_the_newest_requests() -> None:
    with DubEmulator(keep_requests=3) as dub:
        for n in range(5):
            send(dub, "GET", f"/customers/{n}{'x' * 5000}")

        assert [request["path"][: len("/customers/0")] for request in dub.requests] == [
            "/customers/2",
            "/customers/3",
            "/customers/4",
        ]
        assert max(len(request["path"]) for request in dub.requests) == 1000


@pytest.fixture
def begin_request(dub: DubEmulator) -> Iterator[Callable[[bytes], socket.socket]]:
    """Open a connection, send a part of a request over it, and return it."""
    with ExitStack() as open_connections:

        def begin_request(data: bytes) -> socket.socket:
            connection = open_connections.enter_context(socket.create_connection(address(dub), timeout=10))
            connection.sendall(data)
            return connection

        yield begin_request


@pytest.mark.parametrize(
    "part",
    [b"", b"GET /customers HT", b"PATCH /customers/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"],
)
def test_a_request_must_arrive_in_time(
    begin_request: Callable[[bytes], socket.socket], monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_SECONDS", 0.2)

    assert begin_request(part).recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_response_may_take_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_SECONDS", 0.1)
    with DubEmulator(latency_ms=400) as dub:
        assert send(dub, "PATCH", "/customers/cus_1LABA", {"name": "Slow"}).status == 200


def test_half_open_connections_are_bounded(
    call: Call, begin_request: Callable[[bytes], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_HALF_OPEN", 3)
    half_open = []
    for _ in range(4):
        half_open.append(begin_request(b"GET /customers HT"))
        time.sleep(0.05)

    assert half_open[0].recv(100) == b""
    assert call("GET", "/customers").status == 200
    half_open[-1].sendall(b"TP/1.1\r\nHost: localhost\r\n\r\n")
    assert half_open[-1].recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.slow
def test_many_may_wait_for_a_response() -> None:
    clients = connections.MAX_HALF_OPEN + 20
    with DubEmulator(latency_ms=1000) as dub:
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(send(dub, "GET", "/customers").status)

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for number, thread in enumerate(threads):
            thread.start()
            if number % 50 == 0:  # not all at once, before a busy emulator has read any
                send(dub, "GET", "/_emulator/requests")
        for thread in threads:
            thread.join()

    assert statuses == [200] * clients


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "api.localhost", "127.9.9.9:80", "[::1]:80", "localhost."]
)
def test_it_responds_to_the_loopback(call: Call, host: str) -> None:
    assert call("GET", "/_emulator/requests", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1", "", "[", "a@b", "128.0.0.1"]
)
@pytest.mark.parametrize("path", ["/customers", "/_emulator/requests"])
def test_it_responds_to_no_other_name(dub: DubEmulator, call: Call, host: str, path: str) -> None:
    response = call("GET", path, headers={"Host": host, "Authorization": f"Bearer {dub.api_key}"})

    assert response.status == 403
    assert "allowed_hosts" in response.json["error"]
    assert dub.requests == []


@pytest.mark.parametrize("allowed", ["Dub", "*"])
def test_other_names_can_be_allowed(allowed: str) -> None:
    with DubEmulator(allowed_hosts=[allowed]) as dub:
        headers = {"Host": "dub:8787", "Authorization": f"Bearer {dub.api_key}"}
        assert send(dub, "GET", "/customers", headers=headers).status == 200


def test_the_address_that_it_listens_on_is_allowed() -> None:
    with DubEmulator(host="0.0.0.0") as dub:  # noqa: S104
        assert send(dub, "GET", "/customers").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_cannot_reset(dub: DubEmulator, call: Call, headers: dict[str, str]) -> None:
    call("PATCH", "/customers/cus_1LABA", {"name": "Kept"})

    assert call("POST", "/_emulator/reset", "{}", headers={"Content-Type": "text/plain", **headers}).status == 403
    assert dub.customers[0]["name"] == "Kept"


def test_a_page_of_the_emulator_itself_can_reset(dub: DubEmulator, call: Call) -> None:
    headers = {"Origin": dub.url, "Sec-Fetch-Site": "same-origin"}

    assert json.loads(call("POST", "/_emulator/reset", headers=headers).text) == {"customers": 4}
