"""One run: updates are sent side by side, and each result goes to the sinks once, in input order.

A run has a thread of its own. It reads the rows, hands updates to a fixed pool of threads that send, waits for their
results and writes them to the sinks. The thread that began the run only polls: so an interruption (Ctrl-C, Airflow's
time-out of a task, a signal) meets nothing half done, and a sink that hangs does not hold up the end.

How a run ends before its last row:

* **The circuit breaker** opens after an error that every row would meet, after many consecutive failures of sending,
  or after a bug. Nothing more is sent, and every other row is not attempted.
* **An urgent stop** comes from outside: seconds count. What is in flight has a grace period; rows that were not read
  are only counted.
* **A source or a sink that fails** ends the run like an urgent stop, and its error is raised.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from airflow_provider_dub.api.stop import GRACE_PERIOD, POLL_INTERVAL, Stop
from airflow_provider_dub.customers.fields import unapplied_fields
from airflow_provider_dub.exceptions import (
    DubCustomerNotFoundError,
    DubError,
    DubRetryLaterError,
    DubStoppedError,
    DubWrongCustomerError,
)
from airflow_provider_dub.sync.results import Outcome, RowResult, SyncSummary, not_attempted
from airflow_provider_dub.sync.updates import CustomerUpdate
from airflow_provider_dub.sync.workers import Workers

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.results import Sink

#: Sends one update and returns the customer.
Send: TypeAlias = Callable[[CustomerUpdate], "Customer"]

#: Rows that are delivered at a time, and rows that wait behind them, for each worker.
_ROWS_PER_WORKER = 16
#: Consecutive failures after which the circuit breaker opens; at least one for each worker.
_CONSECUTIVE_FAILURES = 5
#: Seconds that the sinks have in addition to requests in flight.
_GRACE_PERIOD_OF_SINKS = 1.5


class _Submitted(NamedTuple):
    """An update that a worker has, or will have."""

    update: CustomerUpdate
    result: Future[RowResult]


def run_sync(
    updates: Iterable[CustomerUpdate | RowResult],
    send: Send,
    options: SyncOptions,
    sinks: Sequence[Sink],
    *,
    summary: SyncSummary | None = None,
    total: int | None = None,
    stop: Stop | None = None,
    poll: Callable[[], object] = lambda: None,
    checkpoint_every: int | None = None,
) -> SyncSummary:
    """Send updates, and write the result of each row to the sinks; return when the run is over.

    :param updates: What each row asks for, in order: an update, or the result of a row that needs none. It is read in
        the run's thread.
    :param send: Sends one update; called in several threads.
    :param options: The options of the sync.
    :param sinks: Whoever takes the results.
    :param summary: Counts the results, before the sinks have them; by default a new one.
    :param total: The number of rows, if it is known.
    :param stop: Ends the run when it is set, also by somebody else.
    :param poll: Called now and then in the thread of the caller, for instance to log the progress.
    :param checkpoint_every: Deliver results so many rows at a time, and send only as many rows ahead as there are
        workers: of a run that is killed, only these are not delivered.
    :raises Exception: What the source or a sink raised, after the other sinks have had every result.
    """
    stop = stop or Stop()
    summary = summary if summary is not None else SyncSummary()
    run = _Run(send, options, sinks, summary, stop, total, checkpoint_every)
    thread = threading.Thread(target=copy_context().run, args=(run.loop, updates), name="dub-run", daemon=True)
    try:
        thread.start()  # which waits, so that an interruption may come here, too
        while not run.is_over.wait(POLL_INTERVAL):
            poll()
            if stop.is_urgent and not run.is_over.wait(GRACE_PERIOD + _GRACE_PERIOD_OF_SINKS):
                break
    except BaseException:
        stop.set(urgent=True)
        run.is_over.wait(GRACE_PERIOD + _GRACE_PERIOD_OF_SINKS)
        raise
    finally:
        run.abandon()
    if run.error:
        raise run.error
    if not run.is_over.is_set():
        raise DubRetryLaterError(
            "The run was stopped, and a file or a table did not take its results in time: what it holds is not whole."
        )
    return summary


class _Run:
    def __init__(
        self,
        send: Send,
        options: SyncOptions,
        sinks: Sequence[Sink],
        summary: SyncSummary,
        stop: Stop,
        total: int | None,
        checkpoint_every: int | None,
    ) -> None:
        self._send = send
        self._options = options
        self._sinks = [*sinks]
        self._summary = summary
        self._stop = stop
        self._total = total
        self._delivered_at_once = checkpoint_every or _ROWS_PER_WORKER * options.max_workers
        self._left_in_flight = options.max_workers * (1 if checkpoint_every else _ROWS_PER_WORKER)
        self._workers: Workers[RowResult] = Workers(options.max_workers)
        self._pending: deque[RowResult | _Submitted] = deque()
        self._read = 0
        self._consecutive_failures = 0
        #: Held while a result is counted and leaves the queue, so that an abandoned run counts no row twice.
        self._counting = threading.Lock()
        self._is_abandoned = False
        #: What the source or a sink raised.
        self.error: BaseException | None = None
        self.is_over = threading.Event()

    def loop(self, updates: Iterable[CustomerUpdate | RowResult]) -> None:
        """Run until every result is delivered."""
        try:
            self._send_all(updates)
            self._workers.close()
            self._close_sinks()
        except BaseException as bug:
            self._fail(bug)
        finally:
            self.is_over.set()

    def _send_all(self, updates: Iterable[CustomerUpdate | RowResult]) -> None:
        try:
            for update in updates:
                if self._stop.is_urgent:
                    break
                self._accept(update)
                if len(self._pending) >= self._delivered_at_once + self._left_in_flight:
                    self._deliver(self._left_in_flight)
        except BaseException as error:  # raised in the thread of the caller
            self._fail(error)
        self._deliver(0)

    def _close_sinks(self) -> None:
        with self._counting:
            if self._is_abandoned:
                return
            unread = self._count_unread()
        for sink in self._sinks:
            self._close(sink, unread)

    def abandon(self) -> None:
        """Count what is not delivered yet, where the run could not end in time."""
        with self._counting:
            self._is_abandoned = True
            while self._pending:
                entry = self._pending.popleft()
                self._summary.write(
                    entry if isinstance(entry, RowResult) else self._result(entry) or self._given_up(entry)
                )
            self._count_unread()

    def _count_unread(self) -> range:
        unread = range(self._read, self._total or 0)  # empty if that is less
        self._summary.close(unread)
        self._read += len(unread)
        return unread

    def _accept(self, update: CustomerUpdate | RowResult) -> None:
        self._read += 1
        if isinstance(update, CustomerUpdate) and self._stop.is_set():
            update = not_attempted(update.row, update.key)
        if isinstance(update, CustomerUpdate):
            self._pending.append(_Submitted(update, self._workers.submit(partial(self._apply, update))))
        else:
            self._pending.append(update)

    def _deliver(self, keep: int) -> None:
        """Deliver results until only so many rows are pending."""
        while len(self._pending) > keep:
            first = islice(self._pending, len(self._pending) - keep)
            unknown = [entry.result for entry in first if isinstance(entry, _Submitted) and not entry.result.done()]
            wait(unknown[-1:], timeout=POLL_INTERVAL)  # one wake-up for many rows
            while len(self._pending) > keep and (result := self._result(self._pending[0])):
                with self._counting:
                    if self._is_abandoned:
                        return
                    self._summary.write(result)
                    self._pending.popleft()
                for sink in self._sinks:
                    self._write(sink, result)

    def _write(self, sink: Sink, result: RowResult) -> None:
        """Give a result to a sink; one that fails is closed, has no more results, and its error ends the run."""
        try:
            sink.write(result)
        except BaseException as error:
            self._fail(error)
            self._sinks = [one for one in self._sinks if one is not sink]
            self._close(sink, range(0))

    def _close(self, sink: Sink, unread: range) -> None:
        try:
            sink.close(unread)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self._stop.set(urgent=True)

    def _result(self, entry: RowResult | _Submitted) -> RowResult | None:
        """Return the result of the row, or None as long as it may still come."""
        if isinstance(entry, RowResult):
            return entry
        if entry.result.done():
            return entry.result.result()
        return self._given_up(entry) if self._stop.is_overdue() else None

    def _given_up(self, entry: _Submitted) -> RowResult:
        if entry.result.cancel():
            return not_attempted(entry.update.row, entry.update.key)
        return _failed(entry.update, DubStoppedError(sent=True))

    def _apply(self, update: CustomerUpdate) -> RowResult:
        """Send one update, in a thread of a worker."""
        if self._stop.is_set():
            return not_attempted(update.row, update.key)
        try:
            customer = self._send(update)
        except DubStoppedError as stopped:
            return _failed(update, stopped) if stopped.maybe_applied else not_attempted(update.row, update.key)
        except DubCustomerNotFoundError as error:
            self._consecutive_failures = 0
            return _failed(update, error, Outcome.MISSING if self._options.on_missing == "skip" else Outcome.FAILED)
        except DubError as error:
            if error.fatal or self._opens_the_circuit(error):
                self._stop.set()
            return _failed(update, error)
        except BaseException as bug:  # another row would only meet it again
            self._stop.set()
            return RowResult(update.row, update.key, Outcome.FAILED, code="internal", reason=_place_of(bug))
        self._consecutive_failures = 0
        return RowResult(
            update.row,
            update.key,
            Outcome.UPDATED,
            record=customer,
            fields=tuple(update.fields),
            unapplied_fields=tuple(unapplied_fields(update.fields, customer)),
            omitted_fields=update.omitted_fields,
        )

    def _opens_the_circuit(self, error: DubError) -> bool:
        """Return whether so many rows failed one after another that the next ones would only do the same."""
        hit_another = isinstance(error, DubWrongCustomerError) and error.changed
        self._consecutive_failures = self._consecutive_failures + 1 if error.transient or hit_another else 0
        return self._consecutive_failures >= max(_CONSECUTIVE_FAILURES, self._options.max_workers)


def _failed(update: CustomerUpdate, error: DubError, outcome: Outcome = Outcome.FAILED) -> RowResult:
    reason = f"{error} The change may have been applied all the same." if error.maybe_applied else str(error)
    return RowResult(update.row, update.key, outcome, error=error, code=error.code, reason=reason)


def _place_of(bug: BaseException) -> str:
    """Return where a bug happened, as a reason; its message may hold a value."""
    place = traceback.extract_tb(bug.__traceback__)[-1]
    return (
        f"{type(bug).__name__} at {Path(place.filename).name}:{place.lineno}. This is a bug of the provider; "
        "please report it. The change may have been applied all the same."
    )
