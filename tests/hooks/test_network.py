"""TLS, proxies and sockets: what a session of requests does for a connection holds for every request of ours."""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import trustme

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubConnectionError, DubError
from airflow_provider_dub.hooks.dub import DubHook
from airflow_provider_dub.sync.options import SyncOptions
from tests.support.raw_server import serving


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A local Dub over https, and the CA bundle that trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    with DubEmulator(ssl_certfile=str(folder / "cert.pem"), ssl_keyfile=str(folder / "key.pem")) as dub:
        yield dub, str(folder / "ca.pem")


def test_a_certificate_of_ones_own_is_not_trusted_by_itself(tls, connect) -> None:
    connect(tls[0].url, max_retries=0)
    works, message = DubHook().test_connection()
    assert not works
    assert "SSLError" in message
    assert "certificate" in message


@pytest.mark.parametrize("how", ["the extra verify", "REQUESTS_CA_BUNDLE", "no verification"])
def test_a_ca_bundle_is_trusted(tls, connect, monkeypatch, recwarn, how: str) -> None:
    dub, bundle = tls
    if how == "REQUESTS_CA_BUNDLE":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    connect(dub.url, **{"the extra verify": {"verify": bundle}, "no verification": {"verify": "false"}}.get(how, {}))
    assert DubHook().get_customer("cus_1LABA")["name"] == "Alice"


class Proxy(BaseHTTPRequestHandler):
    """Answers every request itself and remembers what it was asked for."""

    asked: list[str]
    passwords: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.passwords.append(self.headers["Proxy-Authorization"])
        body = json.dumps({"id": "cus_1LABA", "externalId": "user_1"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def proxy():
    """The address of a proxy for http."""
    Proxy.asked, Proxy.passwords = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_proxy_of_the_environment_is_used(proxy, connect, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    connect("http://dub.example.com/base")
    DubHook().get_customer("cus_1LABA")
    assert Proxy.asked == ["http://dub.example.com/base/customers/cus_1LABA"]


class Tunnel(socketserver.BaseRequestHandler):
    """A proxy for https: joins the client with the host it names, if its password is right."""

    asked: list[bytes]

    def handle(self) -> None:
        head = self.request.recv(65536)
        self.asked.append(head)
        if b"Proxy-Authorization: Basic " + base64.b64encode(b"ada:secret") not in head:
            self.request.sendall(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split()[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            thread = threading.Thread(target=self._pass_on, args=(there, self.request), daemon=True)
            thread.start()
            self._pass_on(self.request, there)
            thread.join()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # a side that has closed its end may reset the connection
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnel():
    """The port of a proxy for https."""
    Tunnel.asked = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_https_goes_through_a_proxy_that_sees_nothing_of_it(tls, tunnel, connect, monkeypatch) -> None:
    dub, bundle = tls
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:secret@127.0.0.1:{tunnel}")
    connect(dub.url, verify=bundle)
    hook = DubHook()
    assert hook.get_customer("cus_1LABA")["name"] == "Alice"
    assert hook.update_customer("cus_1LABA", {"name": "Alice"})["name"] == "Alice"
    (head,) = Tunnel.asked
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert b"dub_TESTKEY" not in head


def test_a_proxy_that_refuses_is_named(tls, tunnel, connect, monkeypatch) -> None:
    dub, bundle = tls
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:wrong@127.0.0.1:{tunnel}")
    connect(dub.url, verify=bundle, max_retries=0)
    works, message = DubHook().test_connection()
    assert not works
    assert "ProxyError" in message
    assert "wrong" not in message
    with pytest.raises(DubConnectionError) as failure:
        DubHook().update_customer("cus_1LABA", {"name": "n"})
    assert not failure.value.maybe_applied


def test_every_variable_that_may_name_a_proxy_is_named(connect, monkeypatch) -> None:
    connect("https://dub.example")
    monkeypatch.setenv("ALL_PROXY", "socks4000://ada:secret@127.0.0.1:1")
    works, message = DubHook().test_connection()
    assert not works
    assert "ALL_PROXY" in message
    assert "secret" not in message


def test_a_request_whose_response_a_proxy_loses_may_have_arrived(connect, monkeypatch) -> None:
    with serving(b"") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        connect("http://dub.example.com")
        with pytest.raises(DubConnectionError) as failure:
            DubHook().request("POST", "/links", json={})
    assert len(proxy.requests) == 1
    assert failure.value.maybe_applied
    assert "has lost the response" in str(failure.value)


def test_a_proxy_gets_its_password_with_every_request(proxy, connect, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.replace("//", "//ada:secret@"))
    connect("http://dub.example.com")
    DubHook().get_customer("cus_1LABA")
    DubHook().get_customer("cus_1LABA")
    assert Proxy.passwords == ["Basic " + base64.b64encode(b"ada:secret").decode()] * 2


def test_a_host_without_proxy_is_reached_directly(proxy, connected, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hook = DubHook()
    hook.get_customer("cus_1LABA")
    with hook.get_conn() as session:
        assert session.get(f"{connected.url}/customers/cus_1LABA", timeout=5).json()["name"] == "Alice"
    assert Proxy.asked == []


def test_there_are_never_more_sessions_than_workers(connect) -> None:
    class CountingHook(DubHook):
        sessions = 0

        def get_conn(self):
            self.sessions += 1
            return super().get_conn()

    with DubEmulator(latency_ms=10) as dub:
        connect(dub.url)
        hook = CountingHook()
        rows = ({"id": f"cus_{n}", "name": "n"} for n in range(100))
        for _ in hook.update_customers(rows, SyncOptions(max_workers=4)):
            pass
        assert len(dub.requests) == 100
        assert 2 <= hook.sessions <= 4


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_ca_bundle_of_the_connection_goes_before_the_environments(tls, connect, monkeypatch, tmp_path) -> None:
    dub, bundle = tls
    another = tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(another)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(another))
    for verify, trusted in ((bundle, True), ("false", True), ("true", False), (None, False)):
        connect(dub.url, max_retries=0, **({"verify": verify} if verify else {}))
        hook = DubHook()
        assert works_for_hook(hook) is works_for_session(hook, dub.url) is trusted


def works_for_hook(hook: DubHook) -> bool:
    try:
        return hook.get_customer("cus_1LABA")["name"] == "Alice"
    except DubError:
        return False


def works_for_session(hook: DubHook, url: str) -> bool:
    with hook.get_conn() as session:
        try:
            return session.get(f"{url}/customers/cus_1LABA", timeout=5).json()["name"] == "Alice"
        except requests.exceptions.SSLError:
            return False


def test_a_certificate_that_is_not_trusted_ends_a_run_at_once(tls, connect) -> None:
    connect(tls[0].url)
    began = time.monotonic()
    rows = [{"id": f"cus_{n}", "name": "n"} for n in range(50)]
    results = list(DubHook().update_customers(rows, SyncOptions(max_workers=2)))
    assert time.monotonic() - began < 5
    assert results[0].code == "configuration"
    assert results[-1].code == "not_attempted"
    assert "REQUESTS_CA_BUNDLE" in results[0].reason


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_session_takes_the_way_of_the_hook(proxy, connect, monkeypatch, variable: str) -> None:
    monkeypatch.setenv(variable, proxy)
    connect("http://dub.example.com")
    with DubHook().get_conn() as session:
        session.get("http://dub.example.com/customers/cus_1LABA", timeout=5)
    DubHook().get_customer("cus_1LABA")
    assert Proxy.asked == ["http://dub.example.com/customers/cus_1LABA"] * 2


class TricklingTunnel(socketserver.BaseRequestHandler):
    """A proxy for https that never gets to the end of its first line."""

    def handle(self) -> None:
        self.request.recv(65536)
        with suppress(OSError):
            self.request.sendall(b"HTTP/1.1 ")
            while True:
                self.request.sendall(b"2")
                time.sleep(0.05)


@pytest.mark.slow
def test_a_proxy_that_trickles_is_given_up_in_time(connect, monkeypatch) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), TricklingTunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_address[1]}")
        connect("https://dub.example.com", max_retries=0, timeout=1)
        began = time.monotonic()
        works, message = DubHook().test_connection()
        server.shutdown()
    assert not works
    assert "Timeout" in message
    assert time.monotonic() - began < 5
