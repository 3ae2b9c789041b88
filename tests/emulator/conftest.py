"""An emulator whose rate limit does not refill during a test, and what sends it one request."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_dub.emulator import DubEmulator


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return self.json["error"]["message"]


def send(
    emulator: DubEmulator,
    method: str,
    path: str,
    body: str | bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Send one request, with the path as it is: other clients would tidy it up."""
    if headers is None:
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
    if isinstance(body, dict):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read().decode()
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def running() -> Iterator[DubEmulator]:
    with DubEmulator(window_seconds=3600) as emulator:
        yield emulator


@pytest.fixture
def dub(running: DubEmulator) -> DubEmulator:
    """An emulator in the state of its seed."""
    running.reset()
    return running


Call = Callable[..., Response]


@pytest.fixture
def call(dub: DubEmulator) -> Call:
    """Send one request to the emulator, and return the response."""

    def call_dub(*arguments: Any, **options: Any) -> Response:
        return send(dub, *arguments, **options)

    return call_dub
