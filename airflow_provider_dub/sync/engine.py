"""Applies updates on several threads, in bounded memory, and yields what became of each row in input order."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

from airflow_provider_dub.customers.fields import not_applied
from airflow_provider_dub.exceptions import DubCustomerNotFoundError, DubError, DubStoppedError, DubWrongCustomerError
from airflow_provider_dub.sync.duplicates import Duplicates, SeenSoFar
from airflow_provider_dub.sync.report import Outcome, RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate, RejectedRow, UpdateReader
from airflow_provider_dub.sync.workers import Workers

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.checkpoints import Checkpoints
    from airflow_provider_dub.sync.duplicates import OnDuplicate

OnMissing: TypeAlias = Literal["fail", "skip"]

#: Rows that may be ahead of the oldest unfinished one, for each worker: one slow row does not hold up the others.
_AHEAD = 32
#: The most threads of a run, and so the connections that a hook keeps open.
MAX_WORKERS = 64
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

    :param send: Sends an update and returns the customer.
    :param max_workers: Threads that send, from 1 to :data:`MAX_WORKERS`.
    :param on_missing: What a customer that Dub does not know is: a failure, or skipped.
    :param on_duplicate: Of several rows for one customer, reject all but the first, send the last, or none.
    :param dry_run: Send nothing.
    :param stopped: When set, rows that were not sent yet are reported as not attempted. An error that would hit
        every row sets it. If somebody else did, rows that were not even read are left out: there are seconds left,
        and there may be a million rows.
    :param while_waiting: Called now and then while results are waited for.
    :param checkpoints: Rows that it knows as settled are not sent, and it is given every outcome. Only as many rows
        are then ahead of a batch as there are workers.
    :raises ValueError: A policy is none of these.
    """

    def __init__(
        self,
        send: Callable[[CustomerUpdate], Customer],
        *,
        max_workers: int,
        on_missing: OnMissing,
        on_duplicate: OnDuplicate,
        dry_run: bool,
        stopped: threading.Event,
        while_waiting: Callable[[], object] = lambda: None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        _one_of("on_missing", on_missing, ("fail", "skip"))
        _one_of("on_duplicate", on_duplicate, ("fail", "last", "none"))
        if isinstance(max_workers, bool) or not isinstance(max_workers, int) or not 1 <= max_workers <= MAX_WORKERS:
            raise ValueError(f"max_workers must be a whole number from 1 to {MAX_WORKERS}.")
        self._send = send
        self._max_workers = max_workers
        self._on_missing = on_missing
        self._on_duplicate = on_duplicate
        self._dry_run = dry_run
        self._stopped = stopped
        self._while_waiting = while_waiting
        self._checkpoints = checkpoints
        self._at_once = checkpoints.batch_size if checkpoints else max_workers * _AHEAD // 2
        self._most_ahead = checkpoints.batch_size + max_workers if checkpoints else max_workers * _AHEAD
        self._exhausted = 0
        self._broken = False
        self._give_up_at: float | None = None
        self._interruption: BaseException | None = None
        self._workers: Workers[RowResult] = Workers(max_workers)
        self._waiting: deque[RowResult | Sent] = deque()
        self._duplicates: Duplicates = SeenSoFar()

    def run(self, updates: UpdateReader) -> Iterator[RowResult]:
        """Apply updates while the results are consumed; once only.

        Rows are sent side by side, not one after the other. An interruption (Ctrl-C, Airflow's time-out of the task)
        ends the run like ``stopped``, and so does an error of the input: every row that was read is still reported,
        one of them perhaps twice, and then it is raised.

        :param updates: What each row asks for, in order; taken as they are needed.
        """
        try:
            try:
                self._duplicates = self._duplicates_of(updates)
                yield from self._results(updates)
            except GeneratorExit:
                self._stopped.set()
                raise
            except BaseException as interruption:
                self._interrupt(interruption)
                yield from self._first(len(self._waiting))
        finally:
            self._workers.close()
        if self._interruption:
            raise self._interruption

    def _results(self, updates: UpdateReader) -> Iterator[RowResult]:
        for update in updates:
            if self._stopped.is_set() and not self._broken:
                break
            self._take(update)
            if len(self._waiting) >= self._most_ahead:
                yield from self._first(self._at_once)
        yield from self._first(len(self._waiting))

    def _take(self, update: CustomerUpdate | RejectedRow) -> None:
        entry = self._settled(update) or Sent(cast("CustomerUpdate", update), Future())
        self._waiting.append(entry)
        if isinstance(entry, Sent):  # known before it is begun, so that no interruption can lose it
            self._workers.put(partial(self._apply, entry.update), entry.future)

    def _interrupt(self, interruption: BaseException) -> None:
        self._interruption = interruption
        self._stopped.set()

    def _duplicates_of(self, updates: UpdateReader) -> Duplicates:
        if updates.rereadable:
            return Duplicates(updates.customer_ids)
        if self._on_duplicate != "fail":
            raise ValueError(
                f'on_duplicate="{self._on_duplicate}" needs rows that can be read twice: a DataFrame or a list.'
            )
        return SeenSoFar()

    def _first(self, count: int) -> Iterator[RowResult]:
        """Take the outcomes of the first rows."""
        keep = len(self._waiting) - count
        while len(self._waiting) > keep:
            first = islice(self._waiting, len(self._waiting) - keep)
            unknown = [entry.future for entry in first if isinstance(entry, Sent) and not entry.future.done()]
            if unknown and not self._out_of_patience():
                self._wait(unknown)
            while len(self._waiting) > keep and (outcome := self._outcome(self._waiting[0])):
                if self._checkpoints:
                    self._checkpoints.take(outcome)
                yield outcome
                self._waiting.popleft()  # now that somebody has it

    def _wait(self, unknown: list[Future[RowResult]]) -> None:
        try:
            wait(unknown[-1:], timeout=_GLANCE)  # one wake-up for many rows
            if not unknown[0].done():  # not even one: the threads there are all wait for something
                self._workers.grow()
            self._while_waiting()
        except BaseException as interruption:
            self._interrupt(interruption)

    def _outcome(self, entry: RowResult | Sent) -> RowResult | None:
        """Return what became of the row, or None as long as that may still be learnt."""
        if isinstance(entry, RowResult):
            return entry
        if entry.future.done():
            return entry.future.result()
        if not self._out_of_patience():
            return None
        return (
            _not_attempted(entry.update) if entry.future.cancel() else _failed(entry.update, DubStoppedError(sent=True))
        )

    def _out_of_patience(self) -> bool:
        if not self._stopped.is_set():
            return False
        self._give_up_at = self._give_up_at or time.monotonic() + _GRACE
        return time.monotonic() > self._give_up_at

    def _settled(self, update: CustomerUpdate | RejectedRow) -> RowResult | None:
        """Return the outcome of a row for which nothing needs to be sent."""
        if isinstance(update, RejectedRow):
            return _rejected(update)
        row, key, customer_id, fields = update
        first, last = self._duplicates.first_row(customer_id, row), self._duplicates.last_row(customer_id, row)
        if self._on_duplicate == "last" and last != row:
            return RowResult(
                row, key, Outcome.SUPERSEDED, code="superseded", reason=f"row {last} names it too, and later"
            )
        other = last if self._on_duplicate == "none" and first == row else first
        if self._on_duplicate != "last" and other != row:
            return _rejected(RejectedRow(row, key, None, f"row {other} names the same customer", "duplicate"))
        if not fields:
            return RowResult(row, key, Outcome.UNCHANGED)
        if self._dry_run:
            return RowResult(row, key, Outcome.WOULD_UPDATE, fields=tuple(fields))
        if self._checkpoints and (settled := self._checkpoints.settled(update)):
            return settled
        if self._stopped.is_set():
            return _not_attempted(update)
        return None

    def _apply(self, update: CustomerUpdate) -> RowResult:
        if self._stopped.is_set():
            return _not_attempted(update)
        try:
            customer = self._send(update)
        except DubStoppedError as stop:
            return _failed(update, stop) if stop.sent else _not_attempted(update)
        except DubCustomerNotFoundError as error:
            self._exhausted = 0
            outcome = Outcome.MISSING if self._on_missing == "skip" else Outcome.FAILED
            return _failed(update, error, outcome)
        except DubError as error:
            if error.fatal or self._breaks(error):
                self._break()
            return _failed(update, error)
        except Exception as defect:  # another row would only meet it again
            self._break()
            return RowResult(update.row, update.key, Outcome.FAILED, code="internal", reason=_told(defect))
        self._exhausted = 0
        return RowResult(
            update.row,
            update.key,
            Outcome.UPDATED,
            record=customer,
            fields=tuple(update.fields),
            ignored_fields=tuple(not_applied(update.fields, customer)),
        )

    def _break(self) -> None:
        self._broken = True
        self._stopped.set()

    def _breaks(self, error: DubError) -> bool:
        """Tell whether so many rows in a row exhausted their retries that the next ones would only do the same."""
        hit_another = isinstance(error, DubWrongCustomerError) and error.changed
        self._exhausted = self._exhausted + 1 if error.transient or hit_another else 0
        return self._exhausted >= max(_BREAK_AFTER, self._max_workers)


def _rejected(row: RejectedRow) -> RowResult:
    return RowResult(row.row, row.key, Outcome.REJECTED, code=row.code, field=row.field, reason=row.reason)


def _not_attempted(update: CustomerUpdate) -> RowResult:
    reason = "the run ended before this row was sent"
    return RowResult(update.row, update.key, Outcome.NOT_ATTEMPTED, code="not_attempted", reason=reason)


def _failed(update: CustomerUpdate, error: DubError, outcome: Outcome = Outcome.FAILED) -> RowResult:
    reason = f"{error} The change may have been applied all the same." if error.maybe_applied else str(error)
    return RowResult(update.row, update.key, outcome, error=error, code=error.code, reason=reason)


def _told(defect: Exception) -> str:
    """Say where it happened; its message may hold a value."""
    place = traceback.extract_tb(defect.__traceback__)[-1]
    return (
        f"{type(defect).__name__} at {Path(place.filename).name}:{place.lineno}. This is a defect of the provider; "
        "please report it. The change may have been applied all the same."
    )


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}.")
