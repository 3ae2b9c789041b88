"""The emulator as a context manager, as a command, and over HTTPS; its own routes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_dub.emulator import DubEmulator

from .conftest import Call, send

COMMAND = [sys.executable, "-m", "airflow_provider_dub.emulator"]


def test_several_run_at_once_and_leave_nothing_behind() -> None:
    threads = threading.active_count()
    with DubEmulator() as one, DubEmulator() as two:
        send(one, "PATCH", "/customers/cus_1LABA", {"name": "One"})
        assert one.url != two.url
        assert (one.customers[0]["name"], two.customers[0]["name"]) == ("One", "Alice")
        assert (len(one.requests), len(two.requests)) == (1, 0)

    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        send(one, "GET", "/customers")


def test_an_idle_connection_does_not_hold_up_the_end() -> None:
    with DubEmulator() as dub:
        connection = http.client.HTTPConnection(urlsplit(dub.url).netloc)
        connection.request("GET", "/_emulator/requests")
        connection.getresponse().read()
        began = time.monotonic()

    assert time.monotonic() - began < 2
    connection.close()


def test_a_taken_port_is_an_error_at_once() -> None:
    with DubEmulator() as dub, pytest.raises(OSError, match="in use"), DubEmulator(port=urlsplit(dub.url).port or 0):
        pass


def test_a_response_takes_at_least_the_latency() -> None:
    with DubEmulator(latency_ms=100, latency_jitter_ms=10) as dub:
        began = time.monotonic()
        send(dub, "GET", "/customers")

    assert time.monotonic() - began >= 0.1


def test_it_serves_https_with_the_given_certificate(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with DubEmulator(ssl_certfile=certificate, ssl_keyfile=tmp_path / "key.pem") as dub:
        assert dub.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection(urlsplit(dub.url).netloc, context=context)
        connection.request("GET", "/customers", headers={"Authorization": f"Bearer {dub.api_key}"})
        assert connection.getresponse().status == 200
        connection.close()


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "emulator")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "certificate.pem"


def test_the_request_log_has_no_key(dub: DubEmulator, call: Call) -> None:
    call("GET", "/customers/ext_a%20b?pageSize=3")

    assert dub.requests == call("GET", "/_emulator/requests", headers={}).json
    (request,) = dub.requests
    assert request.pop("at") == pytest.approx(time.time(), abs=60)
    assert request == {"method": "GET", "path": "/customers/ext_a%20b", "query": "pageSize=3", "status": 404}


def test_no_request_is_logged_elsewhere(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    call("GET", "/customers/ext_PLANTED")

    assert "PLANTED" not in caplog.text


def test_a_reset_over_http_restores_customers_requests_and_budget(dub: DubEmulator, call: Call) -> None:
    call("PATCH", "/customers/cus_1LABA", {"name": "Changed"})
    setup = {"id": "cus_1LABB", "externalId": "user_2", "name": "Replaced", "saleAmount": "7"}

    assert call("POST", "/_emulator/reset", {"setup_customers": [setup], "rate_limit_used": 1200}).status == 200

    rows = {row["id"]: row for row in call("GET", "/_emulator/customers").json}
    assert (rows["cus_1LABA"]["name"], rows["cus_1LABB"]["name"]) == ("Alice", "Replaced")
    assert rows["cus_1LABB"]["saleAmount"] == 7
    assert rows["cus_1LABB"]["createdAt"] == "2025-05-01T00:00:00.000Z"
    assert dub.requests == []
    assert call("GET", "/customers").status == 429
    assert call("POST", "/_emulator/reset").status == 200
    assert call("GET", "/customers").status == 200


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        '{"customers": []}',
        '{"setup_customers": [1]}',
        '{"setup_customers": [{"externalId": "user_1"}]}',
        '{"setup_customers": [{"externalId": 5}]}',
        '{"setup_customers": [{"id": 5}]}',
        '{"setup_customers": [{"external_id": "a"}]}',
    ],
)
def test_a_bad_reset_changes_nothing(dub: DubEmulator, call: Call, body: str) -> None:
    before = dub.customers

    assert call("POST", "/_emulator/reset", body).status == 422
    assert dub.customers == before


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would the command
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_interrupted(ending: signal.Signals) -> None:
    with command("--port", "0", "--fault", "fail-open=1", "--ignore-field", "country") as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        assert "not Dub" in greeting
        connection = json.loads(greeting.partition("AIRFLOW_CONN_DUB_DEFAULT='")[2].rstrip("'\n"))
        assert connection["conn_type"] == "dub"
        client = http.client.HTTPConnection(urlsplit(connection["host"]).netloc, timeout=5)
        client.request("GET", "/customers", headers={"Authorization": f"Bearer {connection['password']}"})
        assert len(json.loads(client.getresponse().read())) == 3
        client.close()

        process.send_signal(ending)
        output, errors = process.communicate(timeout=5)

    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "error=5"], "at most 1"),
        (["--ignore-field", "county"], "No such field"),
        (["--seed", "/nowhere.json"], "/nowhere.json"),
        (["--latency-ms", "nan"], "latency_ms and latency_jitter_ms must be at least 0, and finite"),
        (["--latency-jitter-ms", "inf"], "latency_ms and latency_jitter_ms must be at least 0, and finite"),
        (["--window-seconds", "inf"], "window_seconds must be at least 0.001, and finite"),
        (["--window-seconds", "nan"], "window_seconds must be at least 0.001, and finite"),
        (["--keep-requests", "9" * 20], "keep_requests must be at least 0 and at most"),
    ],
)
def test_the_command_explains_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_provider_dub.emulator.__main__ import main

    assert main(["--port", "0", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_the_command_explains_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_dub.emulator.__main__ import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1

    error = capsys.readouterr().err
    assert f"Cannot listen on 127.0.0.1:{port}" in error
    assert "Try --port 0" in error


def test_the_command_explains_a_host_that_is_none_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_dub.emulator.__main__ import main

    assert main(["--host", "192.0.2.1", "--port", "0"]) == 1
    error = capsys.readouterr().err
    assert "--host must be an address of this machine" in error
    assert "--port 0" not in error


def test_it_listens_on_an_address_of_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with DubEmulator(host="::1") as dub:
        assert dub.url.startswith("http://[::1]:")
        assert send(dub, "GET", "/customers").status == 200


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_extra_is_explained(package: str, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('no {package}', name='{package}')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    result = subprocess.run(COMMAND, capture_output=True, text=True, check=False, env=environment)

    assert (result.returncode, result.stdout) == (1, "")
    assert "pip install 'airflow-provider-dub[emulator]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_needs_neither_airflow_nor_pandas() -> None:
    code = "import sys, airflow_provider_dub.emulator.server; sys.exit(bool({'airflow', 'pandas'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
