"""Failures are grouped by their reasons."""

from __future__ import annotations

from airflow_provider_dub.sync.results import SyncSummary, rejected


def test_many_reasons_of_one_field_do_not_hide_the_reason_of_another() -> None:
    summary = SyncSummary()
    for row, letter in enumerate("abcdefghijklmnopqrstuvwxyz"):
        summary.write(rejected(row, None, "country", f"reason {letter}"))
    summary.write(rejected(26, None, "email", "is not an e-mail address"))
    summary.write(rejected(27, None, "country", "reason a"))
    lines = [group.line() for group in summary.failure_groups.values()]
    assert any("email: is not an e-mail address" in line for line in lines)
    assert any(line.startswith("2 rows") and "reason a" in line for line in lines)
    assert any("other reasons" in line for line in lines)
    assert sum(group.rows for group in summary.failure_groups.values()) == 28
