"""A retry goes on where the try before it stopped: Airflow's task state store keeps what was processed.

The store is there from Airflow 3.3 on; without it every try sends all rows. What is kept belongs to one input, which a
digest over all its updates recognises: for any other input it is deleted, and everything is sent. When the store fails,
the run goes on without it; only if it holds what the run would make untrue, and cannot be cleared, the run fails.
"""

from __future__ import annotations

import json
import os
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_dub import __version__
from airflow_provider_dub.sync.results import Outcome, RowResult, counted
from airflow_provider_dub.sync.updates import CustomerUpdate
from airflow_provider_dub.version_compat import AirflowFailException, can_reschedule_failures, instance_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
    from airflow_provider_dub.version_compat import Context, ObjectStoragePath

#: Outcomes that another try need not ask Dub about again.
_PROCESSED = frozenset({Outcome.UPDATED, Outcome.MISSING})
#: Airflow's limit for a value is 64 KB, and base64 makes four bytes of three.
_LONGEST_VALUE = 48_000
#: Batches that are held open: rows come in the order in which they were kept.
_OPEN_BATCHES = 4
_DIGEST_SIZE = 16


class Checkpoints:
    """The results that earlier tries kept for this one; a :class:`~airflow_provider_dub.sync.results.Sink` of new ones.

    A context manager: in the end they are left to the retry; where none will come, they are deleted. Airflow keeps the
    store over retries, but also over success and Clear. The keys distinguish one start of the task
    from another by how many tries went before the first one, or before the last Clear.

    :param operator: The operator of the task.
    :param updates: What each row asks for.
    :param context: The task's context; has a ``task_state_store``.
    """

    def __init__(
        self, operator: DubUpdateCustomersOperator, updates: Iterable[CustomerUpdate | RowResult], context: Context
    ) -> None:
        self._operator = operator
        self._task_instance = context["ti"]
        self._store: Any = context.get("task_state_store")
        self._digest = _digest(operator, updates)
        self._supervisor = os.getppid()
        self._works = True
        self._kept = 0
        self._unsaved: list[list[Any]] = []
        self._since_the_last = 0
        self._earlier: dict[int, bytes] = {}
        self._opened = lru_cache(_OPEN_BATCHES)(self._unpacked)
        #: Where records go to a file, batches do, too: they may be large. The store holds only whose they are.
        self._folder: ObjectStoragePath | None = None
        self._files: list[ObjectStoragePath] = []
        if operator.records_path:
            from airflow_provider_dub.version_compat import ObjectStoragePath

            self._folder = ObjectStoragePath(f"{operator.records_path}.resume")

    def __enter__(self) -> Self:
        self._load()
        if self._earlier:
            self._operator.log.info(
                "Earlier tries processed %s; only the others are sent.", counted(len(self._earlier), "row")
            )
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.save() if error and self._is_retried(error) else self._delete()

    @property
    def processed_rows(self) -> int:
        """The number of rows that earlier tries processed."""
        return len(self._earlier)

    def result_of(self, update: CustomerUpdate) -> RowResult | None:
        """Return the result of a row that an earlier try processed, or None if it must be sent.

        :param update: What the row asks for.
        """
        if update.row not in self._earlier:
            return None
        outcome, record, ignored_fields, code, reason = self._opened(self._earlier[update.row])[update.row]
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
            record = result.record if self._operator.wants_records else None
            parts = [result.row, result.outcome, record, result.ignored_fields, result.code, result.reason]
            self._unsaved.append(parts)
        self._since_the_last += 1
        if self._since_the_last == self._operator.checkpoint_every:
            self.save()

    def close(self, unread: range) -> None:
        """Do nothing: whether what is left must be saved is known when the task has ended."""

    def save(self) -> None:
        """Save what is not saved yet; raise where the task itself has been given up."""
        batch, self._unsaved, self._since_the_last = self._unsaved, [], 0
        try:
            for packed in self._packed(batch) if self._works else ():
                self._store.set(self._key(self._kept), self._value(packed))
                self._kept += 1
        except Exception as error:
            if os.getppid() != self._supervisor:
                raise  # it is dead, so nobody hears of what this process does, and a retry does it again
            self._go_on_without(error)

    def _load(self) -> None:
        try:
            values = list(self._values())
        except Exception as error:
            self._go_on_without(error)
            with suppress(Exception):
                self._clear()  # this try may make it untrue
            return
        self._kept = len(values)
        try:
            for number, value in enumerate(values):
                packed = self._read(number, value)
                if packed is not None:  # else its file is on another worker, and its rows are sent again
                    self._earlier.update(dict.fromkeys(self._opened(packed), packed))
        except Exception:  # of another input, or of an unexpected shape: start anew
            self._clear()
            self._earlier = {}

    def _values(self) -> Iterator[Any]:
        for number in count():
            if (value := self._store.get(self._key(number))) is None:
                return
            yield value

    def _key(self, number: int) -> str:
        return f"dub_customers_{self._task_instance.max_tries - (self._operator.retries or 0)}_{number}"

    def _value(self, packed: bytes) -> str | int:
        if not self._folder:
            return b64encode(packed).decode()
        file = self._file(self._kept, self._task_instance.try_number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packed)
        return int(self._task_instance.try_number)

    def _read(self, number: int, value: Any) -> bytes | None:
        if not self._folder:
            return b64decode(value, validate=True)
        file = self._file(number, value)
        try:
            return bytes(file.read_bytes())
        except OSError:
            return None

    def _file(self, number: int, try_number: Any) -> ObjectStoragePath:
        if not self._folder or not isinstance(try_number, int):
            raise ValueError("no number of a try")
        # An earlier try whose supervisor died may still write beside this one, so each has names of its own.
        task = f"dub{instance_suffix(self._task_instance)}-{self._task_instance.max_tries}"
        self._files.append(self._folder / f"{task}-{try_number}-{number}.batch")
        return self._files[-1]

    def _packed(self, batch: Sequence[list[Any]]) -> Iterator[bytes]:
        """Yield the batch, in parts if it is too large; a row that is too large by itself will be sent again."""
        if not batch:
            return
        packed = zlib.compress(json.dumps(batch).encode())
        packed = self._signature(packed) + packed
        if self._folder or len(packed) <= _LONGEST_VALUE:
            yield packed
        elif len(batch) > 1:
            half = len(batch) // 2
            yield from self._packed(batch[:half])
            yield from self._packed(batch[half:])

    def _unpacked(self, packed: bytes) -> dict[int, list[Any]]:
        signature, packed = packed[:_DIGEST_SIZE], packed[_DIGEST_SIZE:]
        if signature != self._signature(packed):
            raise ValueError("of another input, or not by us")
        return {row: parts for row, *parts in json.loads(zlib.decompress(packed))}

    def _signature(self, packed: bytes) -> bytes:
        return blake2b(packed, key=self._digest, digest_size=_DIGEST_SIZE).digest()

    def _clear(self) -> None:
        """Delete everything that is kept; of files only those that tries of this task made."""
        self._kept = 0
        for file in self._files:
            with suppress(OSError):
                file.unlink()
        self._files = []
        with suppress(OSError):
            if self._folder and not any(self._folder.iterdir()):
                self._folder.rmdir()
        self._store.clear()

    def _delete(self) -> None:
        try:
            self._clear()
        except Exception as error:
            kind = type(error).__name__  # its message could quote what is stored
            self._operator.log.warning("What was kept for a retry is still in Airflow's task state store (%s).", kind)

    def _go_on_without(self, error: Exception) -> None:
        self._works = False
        kind = type(error).__name__
        self._operator.log.warning("Airflow's task state store fails (%s): a retry would send these rows again.", kind)

    def _is_retried(self, error: BaseException) -> bool:
        if isinstance(error, AirflowFailException):
            return False
        is_rescheduled = getattr(self._operator, "retry_policy", None) is not None and can_reschedule_failures()
        return bool(is_rescheduled or self._task_instance.try_number <= self._task_instance.max_tries)


def _digest(operator: DubUpdateCustomersOperator, updates: Iterable[CustomerUpdate | RowResult]) -> bytes:
    """Return a digest of all that decides what the run sends, and to whom; nobody without the API key can make it."""
    key = operator.hook.settings.fingerprint_key(__version__, repr(operator.options), operator.wants_records)
    digest = blake2b(key=key, digest_size=_DIGEST_SIZE)
    for update in updates:
        asks_for = [update.customer_id, update.fields] if isinstance(update, CustomerUpdate) else None
        digest.update(json.dumps(asks_for).encode() + b"\n")
    return digest.digest()
