"""Rows are accounted for through interruptions, errors of the input and impossible policies."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from airflow_provider_dub.exceptions import DubWrongCustomerError
from airflow_provider_dub.sync.duplicates import Duplicates
from airflow_provider_dub.sync.engine import Engine
from airflow_provider_dub.sync.report import Outcome, RowResult
from airflow_provider_dub.sync.rows import rows_of
from airflow_provider_dub.sync.stop import Stop
from airflow_provider_dub.sync.updates import UpdateReader


def engine(send, **options) -> Engine:
    defaults = {
        "max_workers": 4,
        "on_missing": "fail",
        "on_duplicate": "fail",
        "dry_run": False,
        "stopped": threading.Event(),
    }
    return Engine(send, **{**defaults, **options})


def updates(rows) -> UpdateReader:
    return UpdateReader(rows_of(rows))


def rows(count: int) -> list[dict[str, str]]:
    return [{"id": f"cus_{n}", "name": "n"} for n in range(count)]


@pytest.mark.parametrize(
    "options",
    [{"max_workers": 0}, {"max_workers": 65}, {"max_workers": True}, {"on_missing": "x"}, {"on_duplicate": "first"}],
)
def test_an_impossible_policy_is_a_value_error(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        engine(None, **options)


def test_what_was_sent_before_the_input_failed_is_reported() -> None:
    def broken():
        yield from rows(50)
        raise RuntimeError("warehouse gone")

    results = collected(engine(lambda update: {"id": update.customer_id}).run(updates(broken())), RuntimeError)
    assert [result.row for result in results] == list(range(50))


def collected(running, expected: type[BaseException]) -> list[RowResult]:
    """Take all results; the expected exception comes, in between or at the end."""
    results: list[RowResult] = []
    came = False
    while not came or running.gi_frame is not None:
        try:
            for result in running:
                results.append(result)  # noqa: PERF402 - what was taken before an exception counts
            break
        except expected:
            came = True
    assert came
    return results


class Interrupted(BaseException):
    """As Airflow's time-out of a task, or Ctrl-C."""


PLACES = [
    (Duplicates, "__init__", 2),
    (UpdateReader, "_read", 700),
    (Engine, "_settled", 700),
    (Engine, "_outcome", 300),
    (Engine, "_wait", 2),
    (Engine, "_outcome", 1500),
]


@pytest.mark.parametrize(("owner", "method", "call"), PLACES, ids=[method for _, method, _ in PLACES])
def test_an_interruption_anywhere_loses_no_row(monkeypatch, owner, method: str, call: int) -> None:
    sent, original, calls = set(), getattr(owner, method), iter(range(1, 10**9))

    def send(update):
        sent.add(update.row)
        time.sleep(0.0002)
        return {"id": update.customer_id}

    def interrupting(self, *args):
        if next(calls) == call:
            raise Interrupted
        return original(self, *args)

    monkeypatch.setattr(owner, method, interrupting)
    results = collected(engine(send).run(updates(rows(3000))), Interrupted)
    assert [result.row for result in results] == list(range(len(results)))
    assert {result.row for result in results if result.outcome is Outcome.UPDATED} == sent
    assert len(sent) < 3000


def test_an_interruption_between_two_rows_loses_none(monkeypatch) -> None:
    interruptions = [Interrupted]

    class Waiting(deque):
        def popleft(self):
            if interruptions:
                raise interruptions.pop()
            return super().popleft()

    monkeypatch.setattr("airflow_provider_dub.sync.engine.deque", Waiting)
    results = collected(engine(lambda update: {"id": update.customer_id}).run(updates(rows(10))), Interrupted)
    assert [result.row for result in results] == [0, *range(10)]  # the first one is told again, not forgotten


def test_a_defect_ends_the_run_and_every_row_has_its_outcome() -> None:
    def send(update):
        if update.row == 100:
            raise KeyError("planted")
        return {"id": update.customer_id}

    results = list(engine(send).run(updates(rows(2000))))
    assert [result.row for result in results] == list(range(2000))
    assert results[100].outcome is Outcome.FAILED
    assert results[100].code == "internal"
    assert results[100].reason.startswith("KeyError at test_engine.py:")
    assert "planted" not in results[100].reason
    assert results[-1].outcome is Outcome.NOT_ATTEMPTED


def test_a_run_that_may_not_go_on_sends_nothing_more() -> None:
    sent = []
    stopped = Stop(lambda: len(sent) < 10)
    running = engine(lambda update: sent.append(update) or {"id": update.customer_id}, max_workers=1, stopped=stopped)
    outcomes = [result.outcome for result in running.run(updates(rows(2000)))]
    assert outcomes[:10] == [Outcome.UPDATED] * len(sent)
    assert set(outcomes[10:]) <= {Outcome.NOT_ATTEMPTED}


def test_answers_about_another_customer_end_the_run() -> None:
    def wrong(update):
        raise DubWrongCustomerError(changed=True)

    outcomes = [result.outcome for result in engine(wrong).run(updates(rows(500)))]
    assert outcomes.count(Outcome.FAILED) < 20
    assert outcomes.count(Outcome.NOT_ATTEMPTED) > 480
