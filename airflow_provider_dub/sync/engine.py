"""Applies updates on several threads, in bounded memory, and yields what became of each row in input order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from airflow_provider_dub.api.errors import DubCustomerNotFoundError, DubError
from airflow_provider_dub.api.transport import DubStoppedError
from airflow_provider_dub.sync.duplicates import Duplicates, SeenSoFar
from airflow_provider_dub.sync.fields import not_applied
from airflow_provider_dub.sync.report import Outcome, RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate, RejectedRow, UpdateReader
from airflow_provider_dub.sync.workers import Workers

if TYPE_CHECKING:
    from airflow_provider_dub.api.customers import Customer
    from airflow_provider_dub.sync.duplicates import OnDuplicate

OnMissing: TypeAlias = Literal["fail", "skip"]

#: Rows that may be ahead of the oldest unfinished one, for each worker: one slow row does not hold up the others.
_AHEAD = 32
#: Rows that in a row exhaust their retries before the run ends; at least one for each worker.
_BREAK_AFTER = 5
#: Seconds between two looks at whether the run was stopped, and seconds that requests then have to finish. Airflow
#: kills a task about five seconds after it has told it to stop.
_GLANCE = 0.25
_GRACE = 2.0


class Sent(NamedTuple):
    """An update that a worker has, or will have."""

    update: CustomerUpdate
    future: Future[RowResult]


class Engine:
    """Applies updates under the policies of a run.

    :param send: Sends an update and returns the customer; the flag asks to look the customer up first.
    :param max_workers: Threads that send.
    :param on_missing: What a customer that Dub does not know is: a failure, or skipped.
    :param on_duplicate: Of several rows for one customer, reject all but the first, or send the last.
    :param dry_run: Send nothing.
    :param stopped: When set, rows that were not sent yet are reported as not attempted. An error that would hit
        every row sets it.
    """

    def __init__(
        self,
        send: Callable[[CustomerUpdate, bool], Customer],
        *,
        max_workers: int,
        on_missing: OnMissing,
        on_duplicate: OnDuplicate,
        dry_run: bool,
        stopped: threading.Event,
    ) -> None:
        self._send = send
        self._max_workers = max_workers
        self._on_missing = on_missing
        self._on_duplicate = on_duplicate
        self._dry_run = dry_run
        self._stopped = stopped
        self._exhausted = 0
        self._give_up_at: float | None = None
        self._interruption: BaseException | None = None

    def run(self, updates: UpdateReader) -> Iterator[RowResult]:
        """Apply updates while the results are consumed.

        An interruption of the waiting thread (Ctrl-C, Airflow's time-out of the task) ends the run like ``stopped``:
        every row is still reported, and then it is raised.

        :param updates: What each row asks for, in order; taken as they are needed.
        """
        duplicates = self._duplicates(updates)
        waiting: deque[RowResult | Sent] = deque()
        workers: Workers[RowResult] = Workers(self._max_workers)
        size = self._max_workers * _AHEAD
        try:
            for update in updates:
                waiting.append(self._settled(update, duplicates) or self._sent(update, duplicates, workers))
                if len(waiting) >= size:
                    yield from self._first(size // 2, waiting, workers)
            yield from self._first(len(waiting), waiting, workers)
        except BaseException:
            self._stopped.set()
            raise
        finally:
            workers.close()
        if self._interruption:
            raise self._interruption

    def _duplicates(self, updates: UpdateReader) -> Duplicates:
        if updates.rereadable:
            return Duplicates(updates.customer_ids)
        if self._on_duplicate == "last":
            raise ValueError('on_duplicate="last" needs rows that can be read twice: a DataFrame or a list.')
        return SeenSoFar()

    def _sent(self, update: CustomerUpdate | RejectedRow, duplicates: Duplicates, workers: Workers[RowResult]) -> Sent:
        assert isinstance(update, CustomerUpdate)  # noqa: S101 - a rejected row is settled
        return Sent(update, workers.submit(partial(self._apply, update, duplicates)))

    def _first(self, count: int, waiting: deque[RowResult | Sent], workers: Workers[RowResult]) -> Iterator[RowResult]:
        """Take the outcomes of the first rows, or of more if they are known."""
        keep = len(waiting) - count
        while len(waiting) > keep:
            unknown = [
                entry.future for entry in islice(waiting, count) if isinstance(entry, Sent) and not self._over(entry)
            ]
            if unknown:
                self._wait(unknown[-1], workers)  # one wake-up for many rows
            while waiting and self._over(waiting[0]):
                yield self._outcome(waiting.popleft())

    def _wait(self, future: Future[RowResult], workers: Workers[RowResult]) -> None:
        try:
            if not wait([future], timeout=_GLANCE).done:
                workers.grow()
        except BaseException as interruption:
            self._interruption = interruption
            self._stopped.set()

    def _over(self, entry: RowResult | Sent) -> bool:
        return isinstance(entry, RowResult) or entry.future.done() or self._out_of_patience()

    def _outcome(self, entry: RowResult | Sent) -> RowResult:
        if isinstance(entry, RowResult):
            return entry
        if entry.future.done():
            return entry.future.result()
        return _not_attempted(entry.update) if entry.future.cancel() else _failed(entry.update, DubStoppedError())

    def _out_of_patience(self) -> bool:
        if not self._stopped.is_set():
            return False
        self._give_up_at = self._give_up_at or time.monotonic() + _GRACE
        return time.monotonic() > self._give_up_at

    def _settled(self, update: CustomerUpdate | RejectedRow, duplicates: Duplicates) -> RowResult | None:
        """Return the outcome of a row for which nothing needs to be sent."""
        if isinstance(update, RejectedRow):
            return _rejected(update)
        row, key, customer_id, fields = update
        if self._on_duplicate == "last" and (last := duplicates.last_row(customer_id, row)) != row:
            return RowResult(row, key, Outcome.SUPERSEDED, code="superseded", reason=f"row {last} is sent instead")
        if self._on_duplicate == "fail" and (first := duplicates.first_row(customer_id, row)) != row:
            return _rejected(RejectedRow(row, key, None, f"row {first} names the same customer", "duplicate"))
        if not fields:
            return RowResult(row, key, Outcome.UNCHANGED)
        if self._dry_run:
            return RowResult(row, key, Outcome.WOULD_UPDATE, fields=tuple(fields))
        if self._stopped.is_set():
            return _not_attempted(update)
        return None

    def _apply(self, update: CustomerUpdate, duplicates: Duplicates) -> RowResult:
        try:
            customer = self._send(update, duplicates.has_look_alike(update.customer_id))
        except DubStoppedError as stop:
            return _failed(update, stop) if stop.sent_before else _not_attempted(update)
        except DubCustomerNotFoundError as error:
            self._exhausted = 0
            outcome = Outcome.MISSING if self._on_missing == "skip" else Outcome.FAILED
            return _failed(update, error, outcome)
        except DubError as error:
            if error.hits_every_row or self._breaks(error):
                self._stopped.set()
            return _failed(update, error)
        self._exhausted = 0
        return RowResult(
            update.row,
            update.key,
            Outcome.UPDATED,
            record=customer,
            fields=tuple(update.fields),
            ignored_fields=tuple(not_applied(update.fields, customer)),
        )

    def _breaks(self, error: DubError) -> bool:
        """Tell whether so many rows in a row exhausted their retries that the next ones would only do the same."""
        self._exhausted = self._exhausted + 1 if error.transient else 0
        return self._exhausted >= max(_BREAK_AFTER, self._max_workers)


def _rejected(row: RejectedRow) -> RowResult:
    return RowResult(row.row, row.key, Outcome.REJECTED, code=row.code, field=row.field, reason=row.reason)


def _not_attempted(update: CustomerUpdate) -> RowResult:
    reason = "the run ended before this row was sent"
    return RowResult(update.row, update.key, Outcome.NOT_ATTEMPTED, code="not_attempted", reason=reason)


def _failed(update: CustomerUpdate, error: DubError, outcome: Outcome = Outcome.FAILED) -> RowResult:
    return RowResult(update.row, update.key, outcome, error=error, code=error.code, reason=str(error))
