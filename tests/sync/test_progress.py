"""A long run tells how it goes, at most every ten seconds."""

from __future__ import annotations

import re
import time

import pytest

from airflow_provider_dub.api.rate_limit import RateLimiter
from airflow_provider_dub.api.transport import Traffic
from airflow_provider_dub.exceptions import DubConnectionError
from airflow_provider_dub.sync.progress import Progress


def test_a_line_is_due_every_ten_seconds() -> None:
    now = 100.0
    progress = Progress(20_000, 8, clock=lambda: now)
    lines = []
    for second in range(31):
        now = 100.0 + second
        lines.append(progress.line(second * 20, Traffic(seconds_waited=second * 4)))
    assert [line for line in lines if line] == [
        "200 of 20,000 rows (1%), 20.0 rows/s, about 16 min 30 s left, 50% of the time waiting for the rate limit",
        "400 of 20,000 rows (2%), 20.0 rows/s, about 16 min 20 s left, 50% of the time waiting for the rate limit",
        "600 of 20,000 rows (3%), 20.0 rows/s, about 16 min 10 s left, 50% of the time waiting for the rate limit",
    ]


def test_before_the_first_row_there_is_no_rate_to_reckon_with() -> None:
    now = 0.0
    progress = Progress(10, 8, clock=lambda: now)
    now = 20.0
    assert progress.line(0, Traffic()) == "0 of 10 rows (0%), 0.0 rows/s, 0% of the time waiting for the rate limit"


def test_what_an_earlier_try_did_makes_this_one_no_faster() -> None:
    now = 0.0
    progress = Progress(1_000, 8, clock=lambda: now)
    now = 10.0
    line = "600 of 1,000 rows (60%), 10.0 rows/s, about 40 s left, 0% of the time waiting for the rate limit"
    assert progress.line(600, Traffic(), resumed=500) == line


def test_the_time_left_follows_from_the_limit_where_that_is_slower() -> None:
    now, limiter = 0.0, RateLimiter(1200, monotonic=lambda: now)
    sent, lines = 0, []
    progress = Progress(1500, 8, limiter.seconds_to_send, clock=lambda: now)
    traffic = Traffic()
    while sent < 1500:
        if limiter.delay() == 0.0:
            sent += 1
            traffic.requests_sent += 1
            now += 0.005
        else:
            now += 0.1
            traffic.seconds_waited += 0.1 * 8
        if line := progress.line(sent, traffic):
            lines.append((now, line))
    assert len(lines) > 3
    for at, line in lines[1:-1]:
        said = re.search(r"about (?:(\d+) min )?(\d+) s left", line)
        seconds = int(said[1] or 0) * 60 + int(said[2])
        assert seconds == pytest.approx(now - at, rel=0.2, abs=1.5), (at, line)


def test_while_nothing_works_the_line_says_why_and_since_when() -> None:
    now = time.monotonic()
    progress = Progress(2, 8, clock=lambda: now)
    traffic = Traffic()
    traffic.record_trouble(DubConnectionError("ConnectTimeout", "https://api.dub.co", sent=False))
    now += 12
    line = progress.line(0, traffic)
    assert "Nothing has worked for 12 s: No response from https://api.dub.co (ConnectTimeout)" in line


def test_no_time_left_is_shown_while_a_limit_that_others_used_up_is_being_learnt() -> None:
    now = 0.0
    progress = Progress(1500, 8, lambda _requests: 3780.0, clock=lambda: now)
    traffic = Traffic(requests_sent=27, rate_limited=1)
    now = 10.0
    line = progress.line(27, traffic)
    assert line is not None
    assert "left" not in line
    now = 61.0
    line = progress.line(200, traffic)
    assert line is not None
    assert "about 1 h 3 min left" in line
