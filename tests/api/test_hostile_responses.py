"""Whatever a server responds, the run ends, nothing counts as updated that is not, and no value gets into a log."""

from __future__ import annotations

import json
import random

import pytest

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError, DubRetryLaterError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from tests.support.raw_server import serving
from tests.support.task_instance import TaskInstance

SECRET = "Zaphod-Beeblebrox"
ROWS = [{"id": f"cus_{n}", "name": SECRET, "email": "zaphod@example.com"} for n in range(30)]


def response(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def customer(**changes: object) -> bytes:
    return json.dumps({"id": "cus_other", "externalId": "other", "name": SECRET, **changes}).encode()


noise = random.Random(20261122)
RESPONSES: dict[str, list[bytes]] = {
    "random bytes": [noise.randbytes(noise.randrange(1, 400)) for _ in range(60)],
    "random bodies": [
        response(noise.choice([200, 400, 404, 409, 422, 500, 503]), noise.randbytes(200)) for _ in range(60)
    ],
    "random status": [response(noise.randrange(100, 999), b"{}") for _ in range(60)],
    "another customer": [response(200, customer())],
    "no customer": [response(200, json.dumps(value).encode()) for value in (None, [], {}, 7, "x", {"id": 5}, [[]] * 9)],
    # One status each, since the first fatal one ends a run.
    **{
        f"the value as a message of {status}": [response(status, json.dumps({"error": {"message": SECRET}}).encode())]
        for status in (400, 403, 409, 422, 500)
    },
    **{
        f"the value in html of {status}": [response(status, f"<html>{SECRET}</html>".encode())]
        for status in (200, 404, 502)
    },
    "the value in headers": [
        response(404, b"", f"X-RateLimit-Limit: {SECRET}", f"Retry-After: {SECRET}", f"Date: {SECRET}")
    ],
    "a redirect": [response(302, b"", "Location: http://127.0.0.1:9/elsewhere")],
    "deep json": [response(200, b"[" * 100_000), response(422, b'{"error":' * 50_000)],
    "cut short": [b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"id"', b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1", b""],
    "odd headers": [
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        response(200, b"not gzip", "Content-Encoding: gzip"),
    ],
    "odd limits": [
        response(429, b"{}", "Retry-After: -1", "X-RateLimit-Reset: 9e99", "X-RateLimit-Limit: 99999999999999999999"),
        response(404, b"{}", "Retry-After: Thu, 99 Foo 2026", "X-RateLimit-Remaining: -7"),
    ],
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_hostile_server_is_survived(connect, monkeypatch, no_back_off, logged, kind: str) -> None:
    monkeypatch.setattr("airflow_provider_dub.api.transport.RATE_LIMIT_TIMEOUT", 0.1)
    monkeypatch.setattr("airflow_provider_dub.api.rate_limit.WINDOW", 0.2)  # a minute
    task_instance = TaskInstance()
    with serving(*RESPONSES[kind] * 1000, closes=True) as server:
        connect(server.url, max_retries=1, timeout=2)
        operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS)
        with pytest.raises((DubRetryLaterError, DubFixRowsError, DubFixSetupError)) as failure:
            operator.execute({"ti": task_instance})
    summary = task_instance.xcoms["summary"]
    assert (summary["total"], summary["updated"]) == (len(ROWS), 0)
    shown = logged() + str(failure.value) + json.dumps(summary)
    assert SECRET not in shown
    assert "zaphod@" not in shown
