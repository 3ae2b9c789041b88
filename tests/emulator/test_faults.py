"""The faults that the emulator can be told to have."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_dub.emulator import DubEmulator

from .conftest import send

RENAME = {"name": "Renamed"}


def rename(dub: DubEmulator) -> Any:
    return send(dub, "PATCH", "/customers/cus_1LABA", RENAME)


def is_renamed(dub: DubEmulator) -> bool:
    return dub.customers[0]["name"] == "Renamed"


def fault_of_last(dub: DubEmulator) -> str | None:
    return dub.requests[-1].get("fault")


def test_a_server_error_changes_nothing_and_has_the_body_of_an_error_or_none() -> None:
    with DubEmulator(faults=["error=1"]) as dub:
        responses = [rename(dub) for _ in range(20)]

        assert {response.status for response in responses} == {500, 502, 503, 504}
        bodies = {response.text for response in responses}
        assert "" in bodies
        assert json.loads(max(bodies))["error"]["code"] == "internal_server_error"
        assert not is_renamed(dub)
        assert fault_of_last(dub) == "error"


def test_an_html_error_changes_nothing() -> None:
    with DubEmulator(faults=["html-error=1"]) as dub:
        response = rename(dub)

        assert response.status in (500, 502, 503)
        assert response.headers["content-type"].startswith("text/html")
        assert not is_renamed(dub)


@pytest.mark.parametrize(("fault", "applied"), [("reset-before", False), ("reset-after", True)])
def test_a_connection_is_reset_before_or_after_the_update_is_applied(fault: str, applied: bool) -> None:
    with DubEmulator(faults=[f"{fault}=1"]) as dub:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            rename(dub)

        assert is_renamed(dub) is applied
        assert fault_of_last(dub) == fault


def test_an_update_whose_response_is_truncated_is_applied() -> None:
    with DubEmulator(faults=["truncate=1"]) as dub:
        with pytest.raises(http.client.IncompleteRead) as caught:
            rename(dub)

        assert caught.value.partial.startswith(b'{"id":"cus_1LABA"')
        assert is_renamed(dub)
        assert fault_of_last(dub) == "truncate"


def test_a_stalled_response_comes_late_and_is_a_success() -> None:
    with DubEmulator(faults=["stall=1", "stall-seconds=0.3"]) as dub:
        began = time.monotonic()
        response = rename(dub)

        assert (response.status, time.monotonic() - began > 0.3) == (200, True)
        assert fault_of_last(dub) == "stall"


def test_a_transient_422_refuses_updates_and_lets_reads_pass() -> None:
    with DubEmulator(faults=["transient-422=1"]) as dub:
        response = rename(dub)
        read = send(dub, "GET", "/customers/cus_1LABA")

        assert response.status == 422
        assert "deadlock" in response.message
        assert "x-ratelimit-limit" in response.headers
        assert not is_renamed(dub)
        assert (read.status, fault_of_last(dub)) == (200, None)


@pytest.mark.slow
def test_a_storm_refuses_requests_as_long_as_it_lasts() -> None:
    with DubEmulator(faults=["storm=0.5:0.5"]) as dub:
        dub.reset()
        statuses = [rename(dub).status]
        for _ in range(2):
            time.sleep(0.7)
            statuses.append(rename(dub).status)

        assert statuses == [200, 429, 200]
        assert [entry.get("fault") for entry in dub.requests] == [None, "storm", None]


def test_a_rate_limiter_that_fails_open_refuses_nobody_and_says_zero() -> None:
    with DubEmulator(faults=["fail-open=1"], requests_per_minute=1) as dub:
        responses = [send(dub, "GET", "/customers/ext_missing") for _ in range(3)]

        assert {response.status for response in responses} == {404}
        names = ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
        assert [responses[-1].headers[name] for name in names] == ["0"] * 4
        assert fault_of_last(dub) == "fail-open"


def test_faults_exclude_each_other_and_repeat_with_the_seed() -> None:
    def run(seed: int) -> list[str | None]:
        with DubEmulator(faults=["error=0.3", "html-error=0.3", "transient-422=0.3"], fault_seed=seed) as dub:
            for _ in range(100):
                rename(dub)
            return [entry.get("fault") for entry in dub.requests]

    first = run(7)

    assert first == run(7) != run(8)
    counts = Counter(first)
    assert set(counts) == {None, "error", "html-error", "transient-422"}
    assert all(20 <= counts[fault] <= 40 for fault in ("error", "html-error", "transient-422"))


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["error=2"], "at least 0 and at most 1"),
        (["error"], "needs a number"),
        (["error=often"], "needs a number"),
        (["error=0.6", "stall=0.6"], "add up to 1.2"),
        (["storm=5"], "needs a number"),
        (["fail-open=yes"], "Unknown fault 'fail-open=yes'"),
        (["eror=0.1"], "Known are error, html-error"),
    ],
)
def test_bad_faults_are_explained(faults: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DubEmulator(faults=faults)


def test_an_abandoned_stall_does_not_hold_up_the_end() -> None:
    with DubEmulator(faults=["stall=1"]) as dub:
        connection = http.client.HTTPConnection(urlsplit(dub.url).netloc)
        connection.request("GET", "/customers", headers={"Authorization": f"Bearer {dub.api_key}"})
        while not dub.requests:
            time.sleep(0.01)
        began = time.monotonic()

    assert time.monotonic() - began < 2
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    connection.close()
