"""Every row has its result once and in order, through interruptions, errors of the input and of sinks, and bugs."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_dub.api.stop import Stop
from airflow_provider_dub.exceptions import DubRetryLaterError, DubWrongCustomerError
from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.iterator import iterate_sync
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome, RowResult, SyncSummary
from airflow_provider_dub.sync.run import run_sync
from airflow_provider_dub.sync.updates import UpdateReader, updates_of


class Results:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[RowResult] = []
        self.closed: list[range] = []
        self.threads: set[int] = set()

    def write(self, result: RowResult) -> None:
        self.threads.add(threading.get_ident())
        self.written.append(result)

    def close(self, unread: range) -> None:
        self.threads.add(threading.get_ident())
        self.closed.append(unread)

    @property
    def rows(self) -> list[int]:
        return [result.row for result in self.written]

    @property
    def outcomes(self) -> list[Outcome]:
        return [result.outcome for result in self.written]


def rows(count: int) -> list[dict[str, str]]:
    return [{"id": f"cus_{n}", "name": "n"} for n in range(count)]


def shown(update) -> dict[str, str]:
    return {"id": update.customer_id, **update.fields}


def run(customers, send=shown, *sinks, max_workers: int = 4, **arguments) -> SyncSummary:
    options = SyncOptions(max_workers=max_workers)
    updates = updates_of(UpdateReader(rows_of(customers), options))
    total = len(customers) if isinstance(customers, list) else None
    return run_sync(updates, send, options, sinks, **{"total": total, **arguments})


def test_each_sink_has_every_result_once_in_order_in_one_thread_and_is_closed_once() -> None:
    sinks = Results(), Results()
    summary = run(rows(3000), shown, *sinks)
    assert summary.counts == {Outcome.UPDATED: 3000}
    for sink in sinks:
        assert sink.rows == list(range(3000))
        assert sink.closed == [range(3000, 3000)]
        assert len(sink.threads) == 1
        assert threading.get_ident() not in sink.threads


def test_what_was_sent_before_the_input_failed_is_reported() -> None:
    def broken():
        yield from rows(50)
        raise RuntimeError("warehouse gone")

    results = Results()
    with pytest.raises(RuntimeError, match="warehouse gone"):
        run(broken(), shown, results)
    assert results.rows == list(range(50))
    assert results.closed == [range(50, 50)]


class Interruption(BaseException):
    """As Airflow's time-out of a task, or Ctrl-C."""


@pytest.mark.parametrize("after", [0, 0.05, 0.2])
def test_an_interruption_loses_no_row_and_is_over_soon(after: float) -> None:
    sent, results, summary = set(), Results(), SyncSummary()
    began = time.monotonic()

    def send(update):
        sent.add(update.row)
        time.sleep(0.01)
        return shown(update)

    def poll() -> None:
        if time.monotonic() > began + after:
            raise Interruption

    with pytest.raises(Interruption):
        run(rows(3000), send, results, summary=summary, poll=poll)
    assert results.rows == list(range(len(results.rows)))
    assert {result.row for result in results.written if result.outcome is Outcome.UPDATED} == sent
    assert len(sent) < 3000
    assert summary.total == 3000
    assert len(results.rows) + len(results.closed[0]) == 3000
    assert time.monotonic() - began < after + 2


def test_an_interruption_while_the_thread_starts_loses_no_row_and_ends_the_run(monkeypatch) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "dub-run":  # as the handler of a signal may, while start() waits
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    summary, sink, stop = SyncSummary(), Results(), Stop()
    with pytest.raises(KeyboardInterrupt):
        run(rows(3000), lambda update: time.sleep(0.001) or shown(update), sink, summary=summary, stop=stop)
    assert stop.is_urgent
    assert summary.total == 3000
    assert sink.closed == [range(len(sink.written), 3000)]


@pytest.mark.slow
def test_requests_that_hang_are_given_up_after_an_urgent_stop() -> None:
    stop, hanging, summary = Stop(), threading.Event(), SyncSummary()
    threading.Timer(0.2, lambda: stop.set(urgent=True)).start()
    began = time.monotonic()
    run(rows(3000), lambda update: hanging.wait(60), summary=summary, stop=stop)
    assert time.monotonic() - began < 4
    assert summary.counts == {Outcome.FAILED: 4, Outcome.NOT_ATTEMPTED: 2996}
    assert summary.failures[0]["code"] == "stopped"
    hanging.set()


class Hanging(Results):
    """A sink that hangs."""

    def write(self, result: RowResult) -> None:
        time.sleep(30)


@pytest.mark.slow
def test_a_sink_that_hangs_does_not_hold_up_an_urgent_end_and_every_row_is_counted() -> None:
    stop, summary = Stop(), SyncSummary()
    threading.Timer(0.2, lambda: stop.set(urgent=True)).start()
    began = time.monotonic()
    with pytest.raises(DubRetryLaterError, match="in time"):
        run(rows(500), shown, Hanging(), summary=summary, stop=stop)
    assert time.monotonic() - began < 4.5
    assert summary.total == 500


class Failing(Results):
    """A sink that fails at one row."""

    def write(self, result: RowResult) -> None:
        if result.row == 100:
            raise OSError("disk full")
        super().write(result)


def test_a_sink_that_fails_ends_the_run_and_the_others_have_every_result() -> None:
    failing, other, summary = Failing(), Results(), SyncSummary()
    with pytest.raises(OSError, match="disk full"):
        run(rows(5000), shown, failing, other, summary=summary)
    assert failing.rows == list(range(100))
    assert failing.closed == [range(0)]
    assert other.rows == list(range(len(other.rows)))
    assert len(other.rows) + len(other.closed[0]) == 5000 == summary.total
    assert summary.counts[Outcome.UPDATED] < 5000


def test_a_bug_ends_the_run_and_every_row_has_its_outcome() -> None:
    def send(update):
        if update.row == 100:
            raise KeyError("planted")
        return shown(update)

    results = Results()
    run(rows(2000), send, results)
    assert results.rows == list(range(2000))
    bug = results.written[100]
    assert (bug.outcome, bug.code) == (Outcome.FAILED, "internal")
    assert bug.reason.startswith("KeyError at test_run.py:")
    assert "planted" not in bug.reason
    assert results.outcomes[-1] is Outcome.NOT_ATTEMPTED


def test_a_stop_that_is_not_urgent_reads_every_row_and_sends_none() -> None:
    stop, results = Stop(), Results()
    stop.set()
    run(rows(2000), shown, results, stop=stop)
    assert results.outcomes == [Outcome.NOT_ATTEMPTED] * 2000


def test_responses_about_another_customer_open_the_circuit_breaker() -> None:
    def wrong(update):
        raise DubWrongCustomerError(changed=True)

    results = Results()
    run(rows(500), wrong, results)
    assert results.outcomes.count(Outcome.FAILED) < 20
    assert results.outcomes.count(Outcome.NOT_ATTEMPTED) > 480


def test_one_slow_row_does_not_hold_up_the_others() -> None:
    slow = threading.Event()
    sent = []

    def send(update):
        if update.row == 0:
            slow.wait(10)
        sent.append(update.row)
        if len(sent) == 60:
            slow.set()
        return shown(update)

    assert run(rows(100), send).counts == {Outcome.UPDATED: 100}
    assert sent.index(0) >= 60


def test_with_checkpoints_only_so_many_rows_are_sent_ahead() -> None:
    delivered, ahead = Results(), []

    def send(update):
        ahead.append(update.row - len(delivered.written))
        return shown(update)

    run(rows(500), send, delivered, max_workers=2, checkpoint_every=10)
    assert max(ahead) <= 10 + 2


def iterated(customers, send=shown, **options):
    options = SyncOptions(**options)
    return iterate_sync(updates_of(UpdateReader(rows_of(customers), options)), send, options, Stop())


def test_an_iterator_yields_every_result_in_order() -> None:
    assert [result.row for result in iterated(rows(1000))] == list(range(1000))


def test_an_iterator_raises_what_the_input_raised_after_its_rows() -> None:
    def broken():
        yield from rows(5)
        raise RuntimeError("gone")

    seen = []
    with pytest.raises(RuntimeError, match="gone"):
        seen.extend(result.row for result in iterated(broken()))
    assert seen == list(range(5))


def count_at_rest(sent: list[int]) -> int:
    """Return how many were sent once no more is for a while."""
    count = -1
    while count < len(sent):
        count = len(sent)
        time.sleep(0.2)
    return count


@pytest.mark.parametrize(("taken", "workers"), [(1, 1), (1, 8), (20, 8)])
def test_an_iterator_sends_little_more_than_is_taken_and_nothing_once_it_is_closed(taken: int, workers: int) -> None:
    sent = []
    results = iterated(rows(1000), lambda update: sent.append(update.row) or shown(update), max_workers=workers)
    for _ in range(taken):
        next(results)
    assert count_at_rest(sent) <= taken + 2 * workers + 1
    results.close()
    assert count_at_rest(sent) <= taken + 2 * workers + 1
