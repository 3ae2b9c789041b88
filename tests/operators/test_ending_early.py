"""A task that is told to stop, runs out of time or meets a dead host still accounts for every row, and soon."""

from __future__ import annotations

import gc
import json
import signal
import threading
import time
from urllib.parse import urlsplit

import pandas as pd
import pytest

from airflow_provider_dub.emulator import DubEmulator
from airflow_provider_dub.exceptions import DubRetryLaterError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.version_compat import AirflowTaskTimeout
from tests.support.task_instance import TaskInstance

ROWS = [{"id": f"cus_{n}", "name": "n"} for n in range(2000)]


@pytest.fixture(autouse=True)
def no_garbage_collection():
    """Hypothesis listens to the collector, and what a signal raises there is lost."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def hanging_dub():
    """A local Dub that takes a minute for each response."""
    with DubEmulator(faults=["stall=1.0", "stall-seconds=60"]) as dub:
        yield dub


def interrupted(hanging_dub, tmp_path, interrupt, expected, **options):
    """Execute the operator, interrupt it; return its summary, rejected rows and duration."""
    path = tmp_path / "rejected.jsonl"
    options = {"customers": ROWS, "rejected_path": str(path), **options}
    operator = DubUpdateCustomersOperator(task_id="update", **options)
    task_instance = TaskInstance()
    interrupt(operator, hanging_dub)
    started = time.monotonic()
    with pytest.raises(expected):
        operator.execute({"ti": task_instance})
    took = time.monotonic() - started
    return task_instance.xcoms["summary"], [json.loads(line) for line in path.read_text().splitlines()], took


def as_soon_as_rows_are_under_way(dub, act) -> None:
    before = len(dub.requests)

    def watch() -> None:
        while len(dub.requests) == before:
            time.sleep(0.01)
        act()

    threading.Thread(target=watch, daemon=True).start()


def on_kill(operator, dub) -> None:
    as_soon_as_rows_are_under_way(dub, operator.on_kill)


def signalled(number: int, handler):
    def interrupt(operator, dub) -> None:
        signal.signal(number, handler)
        main_thread = threading.main_thread().ident
        as_soon_as_rows_are_under_way(dub, lambda: signal.pthread_kill(main_thread, number))

    return interrupt


def raise_time_out(signum, frame):
    raise AirflowTaskTimeout("Timeout")


time_out = signalled(signal.SIGALRM, raise_time_out)
ctrl_c = signalled(signal.SIGINT, signal.default_int_handler)  # a background job ignores it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("interrupt", "expected"),
    [
        (on_kill, DubRetryLaterError),
        (time_out, AirflowTaskTimeout),
        (ctrl_c, KeyboardInterrupt),
    ],
    ids=["on_kill", "a time-out", "Ctrl-C"],
)
def test_every_row_has_an_outcome_within_four_seconds(hanging_dub, connect, tmp_path, interrupt, expected) -> None:
    connect(hanging_dub.url)
    summary, rejected, took = interrupted(hanging_dub, tmp_path, interrupt, expected)
    assert took < 4
    assert summary["total"] == len(rejected) == len(ROWS)
    assert 1 <= summary["failed"] <= 8
    assert summary["failed"] + summary["not_attempted"] == len(ROWS)
    assert {line["dub_code"] for line in rejected} == {"stopped", "not_attempted"}


@pytest.mark.slow
def test_a_task_that_is_stopped_while_ids_are_checked_ends_as_soon(hanging_dub, connect, tmp_path) -> None:
    connect(hanging_dub.url)
    options = {"customers": [{"id": f"ext_u{n}", "name": "n"} for n in range(2000)]}
    summary, rejected, took = interrupted(hanging_dub, tmp_path, on_kill, DubRetryLaterError, **options)
    assert took < 4
    assert summary["not_attempted"] == len(rejected) == len(ROWS)


def test_a_dead_host_ends_the_run_early_and_is_named(connect) -> None:
    with DubEmulator() as gone:
        pass
    connect(gone.url, max_retries=0)
    task_instance = TaskInstance()
    operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS)
    with pytest.raises(DubRetryLaterError, match=rf"dub_default.*No response from {gone.url}"):
        operator.execute({"ti": task_instance})
    summary = task_instance.xcoms["summary"]
    assert summary["failed"] < 50
    assert summary["failed"] + summary["not_attempted"] == len(ROWS)


def test_a_retry_in_the_same_process_sends_what_an_outage_left(connect) -> None:
    with DubEmulator() as dub:
        port = urlsplit(dub.url).port
    connect(dub.url, max_retries=0)
    operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS[:100], on_missing="skip")
    with pytest.raises(DubRetryLaterError, match="not attempted"):
        operator.prepare_for_execution().execute({"ti": TaskInstance()})
    with DubEmulator(port=port):
        task_instance = TaskInstance(try_number=2)
        operator.prepare_for_execution().execute({"ti": task_instance})
    assert task_instance.xcoms["summary"]["missing"] == 100


def test_a_task_that_is_stopped_before_it_begins_sends_nothing(connected) -> None:
    operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS[:3]).prepare_for_execution()
    operator.on_kill()  # Airflow calls it from the handler of a signal, and goes on
    with pytest.raises(DubRetryLaterError, match="3 not attempted"):
        operator.execute({"ti": TaskInstance()})
    assert connected.requests == []


def test_failures_that_are_no_outage_do_not_end_the_run(connected) -> None:
    task_instance = TaskInstance()
    operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS[:100], max_failure_rate=1.0)
    operator.execute({"ti": task_instance})
    assert task_instance.xcoms["summary"]["failed"] == 100


def test_a_task_that_was_stopped_is_not_a_success(connect) -> None:
    with DubEmulator(latency_ms=20) as dub:
        connect(dub.url)
        operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS, on_missing="skip", max_failure_rate=1.0)
        on_kill(operator, dub)
        with pytest.raises(DubRetryLaterError, match="not attempted"):
            operator.execute({"ti": TaskInstance()})


@pytest.mark.slow
def test_a_stop_while_the_last_row_is_under_way_leaves_it_to_airflows_retries(hanging_dub, connect) -> None:
    connect(hanging_dub.url)
    operator = DubUpdateCustomersOperator(task_id="update", customers=ROWS[:1])
    on_kill(operator, hanging_dub)
    with pytest.raises(DubRetryLaterError, match="may have been applied"):
        operator.execute({"ti": TaskInstance()})


def test_a_file_that_cannot_be_written_ends_the_run_and_every_row_is_counted(connected) -> None:
    task_instance = TaskInstance()
    rows = [{"id": f"cus_{n}", "name": "n" * 100} for n in range(2000)]
    operator = DubUpdateCustomersOperator(task_id="update", customers=rows, rejected_path="/dev/full")
    with pytest.raises(OSError, match="No space"):
        operator.execute({"ti": task_instance})
    summary = task_instance.xcoms["summary"]
    assert summary["total"] >= 1999
    assert summary["requests_sent"] == len(connected.requests)


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [on_kill, time_out], ids=["on_kill", "a time-out"])
def test_a_million_rows_have_outcomes_within_four_seconds(hanging_dub, connect, tmp_path, interrupt) -> None:
    connect(hanging_dub.url)
    path = tmp_path / "rejected.jsonl"
    rows = pd.DataFrame({"id": [f"cus_{n}" for n in range(1_000_000)], "name": "n", "note": "x"})
    operator = DubUpdateCustomersOperator(task_id="update", customers=rows, rejected_path=str(path))
    task_instance = TaskInstance()
    stopped_at = []
    interrupt(operator, Noting(hanging_dub, stopped_at))
    with pytest.raises((DubRetryLaterError, AirflowTaskTimeout)):
        operator.execute({"ti": task_instance})
    assert time.monotonic() - stopped_at[0] < 4
    summary = task_instance.xcoms["summary"]
    assert summary["total"] == summary["failed"] + summary["not_attempted"] == len(rows)
    written = path.read_text().splitlines()
    assert len(written) + summary["not_in_rejected_path"] == len(rows)
    assert [json.loads(line)["dub_row"] for line in written] == list(range(len(written)))


class Noting:
    """Notes when rows were seen to be under way."""

    def __init__(self, dub: DubEmulator, at: list[float]) -> None:
        self._dub = dub
        self._at = at

    @property
    def requests(self) -> list[dict]:
        found = self._dub.requests
        self._at[:] = [time.monotonic()]
        return found


def test_an_outage_ends_a_run_red_whatever_may_fail_and_is_named_behind_other_failures(connect) -> None:
    with DubEmulator() as gone:
        pass
    connect(gone.url, max_retries=0)
    invalid = [{"id": f"cus_bad{n}", "name": "n", "email": "no e-mail"} for n in range(20)]
    operator = DubUpdateCustomersOperator(task_id="update", customers=invalid + ROWS, max_failure_rate=1.0)
    with pytest.raises(DubRetryLaterError, match=f"ended early, after this: No response from {gone.url}"):
        operator.execute({"ti": TaskInstance()})
