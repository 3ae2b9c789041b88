"""TLS, proxies and sockets: what a session of requests does for a connection holds for every request of ours."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.hooks.dub import DubHook


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

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps({"id": "cus_1LABA", "externalId": "user_1"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def proxy():
    Proxy.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_proxy_of_the_environment_is_used(proxy, connect, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    connect("http://dub.example.com/base")
    DubHook().get_customer("cus_1LABA")
    assert Proxy.asked == ["http://dub.example.com/base/customers/cus_1LABA"]


def test_a_host_without_proxy_is_reached_directly(proxy, connected, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    DubHook().get_customer("cus_1LABA")
    assert Proxy.asked == []


def test_there_are_never_more_sockets_than_workers(connect) -> None:
    with DubEmulator(latency_ms=30) as dub:
        connect(dub.url)
        hook = DubHook()
        for _ in hook.update_customers(({"id": f"cus_{n}", "name": "n"} for n in range(100)), max_workers=4):
            pass
        assert len(dub.requests) == 100
        assert 2 <= hook.client._transport._pool.num_connections <= 4
