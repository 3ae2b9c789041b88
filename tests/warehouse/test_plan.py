"""The plan reads as a person would write it."""

from __future__ import annotations

import pytest

from airflow_provider_dub.warehouse.plan import Plan
from airflow_provider_dub.warehouse.status import Status


@pytest.mark.parametrize(
    ("counts", "look_ups", "limit", "line"),
    [
        ({}, 0, None, "0 rows in the query; 0 to send"),
        ({"unchanged": 1}, 0, None, "1 row in the query (1 unchanged); 0 to send"),
        ({"new": 2}, 1, 1200, "2 rows in the query (2 new); 2 to send (and at most 1 look-up of ids)"),
        ({"new": 20}, 0, 1200, "20 rows in the query (20 new); 20 to send, 1 s at 1,200 a minute"),
        (
            {"new": 90_000, "missing": 9},
            2000,
            None,
            (
                "90,009 rows in the query (90,000 new, 9 missing); 90,000 to send (and at most 2,000 look-ups of ids), "
                "1 h 15 min at 1,200 a minute or 30 min at 3,000 a minute"
            ),
        ),
    ],
)
def test_a_plan_is_one_line(counts, look_ups, limit, line) -> None:
    by_status = {status: counts.get(status, 0) for status in Status}
    assert Plan(by_status, look_ups, limit).log_line() == line
