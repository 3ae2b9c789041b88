"""A long run tells how it goes, at most every ten seconds."""

from __future__ import annotations

from airflow_provider_dub.api.transport import Traffic
from airflow_provider_dub.sync.progress import Progress


def test_a_line_is_due_every_ten_seconds() -> None:
    now = 100.0
    progress = Progress(20_000, 8, clock=lambda: now)
    lines = []
    for second in range(31):
        now = 100.0 + second
        lines.append(progress.line(second * 20, Traffic(seconds_waited=second * 4)))
    assert [line for line in lines if line] == [
        "200 of 20,000 (1%) rows, 20.0 rows/s, about 16 min 30 s left, 50% of the time waiting for the rate limit",
        "400 of 20,000 (2%) rows, 20.0 rows/s, about 16 min 20 s left, 50% of the time waiting for the rate limit",
        "600 of 20,000 (3%) rows, 20.0 rows/s, about 16 min 10 s left, 50% of the time waiting for the rate limit",
    ]


def test_without_a_total_there_is_no_time_left() -> None:
    now = 0.0
    progress = Progress(None, 8, clock=lambda: now)
    now = 7200.0
    assert progress.line(7200, Traffic()) == "7,200 rows, 1.0 rows/s, 0% of the time waiting for the rate limit"


def test_before_the_first_row_there_is_no_rate_to_reckon_with() -> None:
    now = 0.0
    progress = Progress(10, 8, clock=lambda: now)
    now = 20.0
    assert progress.line(0, Traffic()) == "0 of 10 (0%) rows, 0.0 rows/s, 0% of the time waiting for the rate limit"


def test_what_an_earlier_try_did_makes_this_one_no_faster() -> None:
    now = 0.0
    progress = Progress(1_000, 8, clock=lambda: now)
    now = 10.0
    told = "600 of 1,000 (60%) rows, 10.0 rows/s, about 40 s left, 0% of the time waiting for the rate limit"
    assert progress.line(600, Traffic(), resumed=500) == told
