"""A retry goes on where the try before it stopped: Airflow's task state store keeps what was processed.

The store is there from Airflow 3.3 on; without it every try sends all rows. What is kept belongs to one input, which a
digest over all its updates recognises: for any other input it is deleted, and everything is sent. When the store fails,
the run goes on without it; only if it holds what the run would make untrue, and cannot be cleared, the run fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.sync.updates import CustomerUpdate
from airflow_provider_dub.version_compat import AirflowFailException, can_reschedule_failures, instance_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
    from airflow_provider_dub.version_compat import Context

#: Outcomes that another try need not ask Dub about again.
_PROCESSED = frozenset({Outcome.UPDATED, Outcome.MISSING})
#: Airflow's limit for a value is 64 KB, and base64 makes four bytes of three.
_LONGEST_VALUE = 48_000
#: Batches that are held open: rows come in the order in which they were kept.
_OPEN_BATCHES = 4

#: By row: outcome, record, ignored fields, code and reason.
_Batch: TypeAlias = dict[str, list[Any]]


@contextmanager
def resumed(
    operator: DubUpdateCustomersOperator, context: Context
) -> Iterator[Callable[[Iterable[CustomerUpdate | RowResult]], Checkpoints | None]]:
    """Give a function that opens what earlier tries kept for an input, or None where tries know nothing of each other.

    In the end the checkpoints are left to the retry; where none will come, they are deleted.

    :param operator: The operator of the task.
    :param context: The task's context.
    """
    opened: list[Checkpoints] = []
    has_store = context.get("task_state_store") is not None

    def open_checkpoints(updates: Iterable[CustomerUpdate | RowResult]) -> Checkpoints | None:
        if operator.resume and has_store:
            opened.append(Checkpoints(operator, _digest(operator, updates), context))
        return opened[0] if opened else None

    try:
        yield open_checkpoints
    except BaseException as error:
        for checkpoints in opened:
            checkpoints.save() if _is_retried(error, operator, context) else checkpoints.delete()
        raise
    for checkpoints in opened:
        checkpoints.delete()


def _is_retried(error: BaseException, operator: DubUpdateCustomersOperator, context: Context) -> bool:
    if isinstance(error, AirflowFailException):
        return False
    is_rescheduled = getattr(operator, "retry_policy", None) is not None and can_reschedule_failures()
    task_instance = context["ti"]
    return is_rescheduled or task_instance.try_number <= task_instance.max_tries


def _digest(operator: DubUpdateCustomersOperator, updates: Iterable[CustomerUpdate | RowResult]) -> str:
    """Return a digest of all that decides what the run sends, and to whom; nobody without the API key can make it."""
    key = operator.hook.settings.fingerprint_key(repr(operator.options), operator.wants_records)
    digest = hashlib.blake2b(key=key, digest_size=16)
    for update in updates:
        asks_for = [update.customer_id, update.fields] if isinstance(update, CustomerUpdate) else None
        digest.update(json.dumps(asks_for).encode() + b"\n")
    return digest.hexdigest()


class Checkpoints:
    """The results that earlier tries kept for this one; a :class:`~airflow_provider_dub.sync.results.Sink` of new ones.

    Airflow keeps the store over retries, but also over success and Clear. The keys tell one start of the task from
    another by how many tries went before the first one, or before the last Clear.

    :param operator: The operator of the task.
    :param digest: The digest of the input.
    :param context: The task's context; has a ``task_state_store``.
    """

    def __init__(self, operator: DubUpdateCustomersOperator, digest: str, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._log = operator.log
        self._digest = digest
        self._every = operator.checkpoint_every
        self._keeps_records = operator.wants_records
        self._files = _BatchFiles(str(operator.records_path), context) if operator.records_path else None
        self._start = context["ti"].max_tries - (operator.retries or 0)
        self._supervisor = os.getppid()
        self._works = True
        self._kept = 0
        self._unsaved: _Batch = {}
        self._since_the_last = 0
        self._earlier: list[bytes] = []
        self._batch_of: dict[int, int] = {}
        self._opened = lru_cache(_OPEN_BATCHES)(self._unpacked)
        self._load()

    @property
    def processed_rows(self) -> int:
        """The number of rows that earlier tries processed."""
        return len(self._batch_of)

    def result_of(self, update: CustomerUpdate) -> RowResult | None:
        """Return the result of a row that an earlier try processed, or None if it must be sent.

        :param update: What the row asks for.
        """
        if update.row not in self._batch_of:
            return None
        batch = self._opened(self._earlier[self._batch_of[update.row]])
        outcome, record, ignored_fields, code, reason = batch[str(update.row)]
        return RowResult(
            update.row,
            update.key,
            Outcome(outcome),
            record=record,
            fields=tuple(update.fields) if outcome == Outcome.UPDATED else (),
            ignored_fields=tuple(ignored_fields),
            omitted_fields=update.omitted_fields,
            code=code,
            reason=reason,
            resumed=True,
        )

    def write(self, result: RowResult) -> None:
        """Keep one result, and save all that are due."""
        if result.outcome in _PROCESSED and not result.resumed:
            record = result.record if self._keeps_records else None
            parts = [result.outcome, record, result.ignored_fields, result.code, result.reason]
            self._unsaved[str(result.row)] = parts
        self._since_the_last += 1
        if self._since_the_last == self._every:
            self.save()

    def close(self, unread: range) -> None:
        """Do nothing: whether what is left must be saved is known when the task has ended."""

    def save(self) -> None:
        """Save what is not saved yet; raise where the task itself has been given up."""
        batch, self._unsaved, self._since_the_last = self._unsaved, {}, 0
        try:
            for packed in self._packed(batch) if self._works else ():
                value = self._files.write(self._kept, packed) if self._files else b64encode(packed).decode()
                self._store.set(self._key(self._kept), value)
                self._kept += 1
        except Exception as error:
            if os.getppid() != self._supervisor:
                raise  # it is dead, so nobody hears of what this process does, and a retry does it again
            self._go_on_without(error)

    def delete(self) -> None:
        """Delete everything that is kept, where that is possible."""
        try:
            self._clear()
        except Exception as error:
            kind = type(error).__name__  # its message could quote what is stored
            self._log.warning("What was kept for a retry is still in Airflow's task state store (%s).", kind)

    def _load(self) -> None:
        try:
            values = list(self._values())
        except Exception as error:
            self._go_on_without(error)
            with suppress(Exception):
                self._clear()  # this try may make it untrue
            return
        try:
            for number, value in enumerate(values):
                packed = self._files.read(value) if self._files else b64decode(value, validate=True)
                if packed is not None:  # else its file is on another worker, and its rows are sent again
                    self._earlier.append(packed)
                    self._batch_of.update(dict.fromkeys(map(int, self._opened(packed)), len(self._earlier) - 1))
                self._kept = number + 1
        except Exception:  # of another input, or of an unexpected shape: start anew
            self._clear()
            self._earlier, self._batch_of = [], {}
        if self._batch_of:
            self._log.info("Earlier tries processed %s rows; only the others are sent.", f"{len(self._batch_of):,}")

    def _values(self) -> Iterator[Any]:
        for number in count():
            value = self._store.get(self._key(number))
            if value is None:
                return
            yield value

    def _key(self, number: int) -> str:
        return f"dub_customers_{self._start}_{number}"

    def _packed(self, batch: _Batch) -> Iterator[bytes]:
        """Yield the batch, in parts if it is too large; a row that is too large by itself will be sent again."""
        if not batch:
            return
        packed = zlib.compress(json.dumps([self._digest, batch]).encode())
        if self._files or len(packed) <= _LONGEST_VALUE:
            yield packed
        elif len(batch) > 1:
            rows = list(batch.items())
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                yield from self._packed(dict(half))

    def _unpacked(self, packed: bytes) -> _Batch:
        digest, batch = json.loads(zlib.decompress(packed))
        if digest != self._digest:
            raise ValueError("another input")
        for outcome, record, ignored_fields, code, reason in batch.values():
            is_result = Outcome(outcome) in _PROCESSED and isinstance(record, dict | None)
            if not (is_result and isinstance(ignored_fields, list) and isinstance(code, str | None)):
                raise ValueError("no result")
            if not isinstance(reason, str | None):
                raise ValueError("no reason")
        return dict(batch)

    def _clear(self) -> None:
        self._kept = 0
        if self._files:
            self._files.delete()
        self._store.clear()

    def _go_on_without(self, error: Exception) -> None:
        self._works = False
        kind = type(error).__name__
        self._log.warning("Airflow's task state store fails (%s): a retry would send these rows again.", kind)


class _BatchFiles:
    """Batches in files beside the file of the records, where they may be large; the store holds only their names.

    :param records_path: The file of the records.
    :param context: The task's context.
    """

    _NAME = re.compile(r"dub[\[\]@0-9a-f]*-\d+-\d+-\d+\.batch")

    def __init__(self, records_path: str, context: Context) -> None:
        from airflow_provider_dub.version_compat import ObjectStoragePath

        self._folder = ObjectStoragePath(f"{records_path}.resume")
        task_instance = context["ti"]
        # An earlier try whose supervisor died may still write beside this one, so each has names of its own.
        self._name = f"dub{instance_suffix(task_instance)}-{task_instance.max_tries}-{task_instance.try_number}-"
        self._known: set[str] = set()

    def write(self, number: int, batch: bytes) -> str:
        """Write a batch and return its name."""
        path = self._folder / f"{self._name}{number}.batch"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(batch)
        self._known.add(path.name)
        return path.name

    def read(self, name: Any) -> bytes | None:
        """Return a batch, or None if its file is not here."""
        if not self._NAME.fullmatch(name):
            raise ValueError("no name of a batch")
        self._known.add(name)
        try:
            return bytes((self._folder / name).read_bytes())
        except OSError:
            return None

    def delete(self) -> None:
        """Delete the files of this task's tries, and their folder if nothing else is in it."""
        for name in self._known:
            with suppress(OSError):
                (self._folder / name).unlink()
        self._known.clear()
        with suppress(OSError):
            if not any(self._folder.iterdir()):
                self._folder.rmdir()
