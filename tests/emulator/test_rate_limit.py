"""The rate limit: a window that slides, and what responses say of it."""

from __future__ import annotations

import time

import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.emulator.rate_limit import SlidingWindow

from .conftest import Call, send


class Clock:
    now = 600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def window(clock: Clock) -> SlidingWindow:
    return SlidingWindow(60, clock)


def admitted(window: SlidingWindow, attempts: int, limit: int = 10) -> int:
    return sum(window.admit("key", limit).admitted for _ in range(attempts))


def test_a_whole_budget_at_once_then_nothing(window: SlidingWindow) -> None:
    assert admitted(window, 15) == 10


def test_at_the_reset_one_request_per_share_of_a_window(window: SlidingWindow, clock: Clock) -> None:
    admitted(window, 10)
    clock.now = 660.001
    assert admitted(window, 15) == 1
    clock.now = 665.999
    assert admitted(window, 15) == 0
    clock.now = 666.001
    assert admitted(window, 15) == 1
    clock.now = 690
    assert admitted(window, 15) == 3


def test_an_idle_window_forgets_everything(window: SlidingWindow, clock: Clock) -> None:
    admitted(window, 10)
    clock.now += 120

    assert admitted(window, 15) == 10


def test_a_verdict_tells_what_remains_and_when_it_resets(window: SlidingWindow, clock: Clock) -> None:
    window.spend("key", 4)
    clock.now = 675  # three quarters of the window still count: 3 of 4

    assert window.admit("key", 10).headers == {
        "Retry-After": "720000",
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "6",
        "X-RateLimit-Reset": "720000",
    }
    assert window.admit("key", 4).remaining == 0


def test_errors_count_and_refusals_do_not() -> None:
    with DubEmulator(requests_per_minute=3, window_seconds=3600) as dub:
        statuses = [
            send(dub, "GET", "/customers/ext_missing").status,
            send(dub, "PATCH", "/customers/cus_1LABA", "{").status,
            send(dub, "GET", "/customers", headers={}).status,
            send(dub, "GET", "/customers").status,
            send(dub, "GET", "/customers").status,
        ]
        other_key = send(dub, "GET", "/customers", headers={"Authorization": "Bearer dub_TESTKEY2"})

    assert statuses == [404, 400, 401, 200, 429]
    assert other_key.status == 200


def test_a_short_window_refills() -> None:
    with DubEmulator(requests_per_minute=2, window_seconds=0.2) as dub:
        dub.reset(rate_limit_used=2)
        until = time.monotonic() + 5
        while send(dub, "GET", "/customers").status == 429:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_changed_limit_holds_until_a_reset() -> None:
    with DubEmulator(requests_per_minute=4, window_seconds=3600) as dub:
        dub.change_limit(2)
        assert [send(dub, "GET", "/customers").status for _ in range(3)] == [200, 200, 429]
        dub.reset()
        assert [send(dub, "GET", "/customers").status for _ in range(3)] == [200, 200, 200]


def test_a_reset_may_leave_no_budget(dub: DubEmulator, call: Call) -> None:
    dub.reset(rate_limit_used=1200)

    response = call("GET", "/customers")

    assert response.status == 429
    assert response.headers["retry-after"] == response.headers["x-ratelimit-reset"]
    assert response.json["error"]["doc_url"].endswith("#rate-limit_exceeded")
