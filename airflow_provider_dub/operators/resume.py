"""A retry goes on where the try before it stopped: Airflow's task state store keeps what became of the rows.

The store is there from Airflow 3.3 on; without it every try sends all rows. When it can no longer be read or written,
the run goes on without it. Only if it holds what the run would make untrue, and cannot be cleared, the run fails.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dub.exceptions import DubConfigurationError
from airflow_provider_dub.sync.checkpoints import Checkpoints

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
    from airflow_provider_dub.sync.rows import CountedRows


@contextmanager
def resumed(operator: DubUpdateCustomersOperator, rows: CountedRows, context: Context) -> Iterator[Checkpoints | None]:
    """Give what earlier tries of the task settled, or None where tries know nothing of each other.

    In the end what was settled is left to the retry; where none will come, it is deleted.

    :param operator: The task.
    :param rows: Its rows.
    :param context: Of this try.
    """
    checkpoints = _checkpoints(operator, context) if operator.resume and rows and not operator.only_validate else None
    if not checkpoints:
        yield None
        return
    try:
        yield checkpoints
    except BaseException as error:
        if _is_retried(error, context):
            checkpoints.save()
        else:
            _forget(checkpoints, operator)
        raise
    _forget(checkpoints, operator)


def _is_retried(error: BaseException, context: Context) -> bool:
    task_instance = context["ti"]
    return task_instance.try_number <= task_instance.max_tries and not isinstance(error, AirflowFailException)


def _checkpoints(operator: DubUpdateCustomersOperator, context: Context) -> Checkpoints | None:
    if context.get("task_state_store") is None:
        return None
    records_wanted = bool(operator.records_path or operator.do_xcom_push)
    try:
        key = operator.hook.digest_key(operator.on_missing, operator.include_expanded_fields, records_wanted)
    except DubConfigurationError:
        return None  # it ends the run, too
    checkpoints = Checkpoints(
        (BatchesInFiles if operator.records_path else BatchesInTaskState)(operator, context),
        key=key,
        batch_size=operator.batch_size,
        keep_records=records_wanted,
    )
    if checkpoints.settled_rows:
        operator.log.info("Earlier tries settled %s rows; only others are sent.", f"{checkpoints.settled_rows:,}")
    return checkpoints


def _forget(checkpoints: Checkpoints, operator: DubUpdateCustomersOperator) -> None:
    try:
        checkpoints.clear()
    except Exception as error:
        kind = type(error).__name__  # its message could quote what is stored
        operator.log.warning("What was kept for a retry is still in Airflow's task state store (%s).", kind)


class BatchesInTaskState:
    """Batches in the state store of a task, for its retries alone.

    Airflow keeps the store over retries, but also over success and Clear. The keys tell one start of the task from
    another by how many tries went before the first one, or before the last Clear.

    :param operator: The task.
    :param context: Of this try; has a ``task_state_store``.
    """

    #: Airflow's limit for a value is 64 KB, and base64 makes four bytes of three.
    max_bytes: int | None = 48_000

    def __init__(self, operator: DubUpdateCustomersOperator, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._log = operator.log
        self._supervisor = os.getppid()
        self._start = context["ti"].max_tries - (operator.retries or 0)
        self._stored = 0
        self._works = True

    def load(self) -> Iterator[bytes]:
        """Yield the batches of earlier tries, oldest first."""
        try:
            values = list(self._values())
        except Exception as error:
            self._go_on_without(error)
            with suppress(Exception):
                self.clear()  # this try may make them untrue
            return
        self._stored = len(values)
        for value in values:
            yield from self._read(value)

    def save(self, batch: bytes) -> None:
        """Keep one more batch, if the store still works; raise where the task itself has been given up."""
        if not self._works:
            return
        try:
            self._store.set(self._key(self._stored), self._written(batch))
            self._stored += 1
        except Exception as error:
            if os.getppid() != self._supervisor:
                raise  # it is dead, so nobody hears of what this process does, and a retry does it again
            self._go_on_without(error)

    def clear(self) -> None:
        """Forget all batches, or raise."""
        self._store.clear()
        self._stored = 0

    def _values(self) -> Iterator[str]:
        for number in count():
            value = self._store.get(self._key(number))
            if value is None:
                return
            yield value

    def _key(self, number: int) -> str:
        return f"dub_customers_{self._start}_{number}"

    def _written(self, batch: bytes) -> str:
        return b64encode(batch).decode()

    def _read(self, value: str) -> Iterator[bytes]:
        yield b64decode(value, validate=True)

    def _go_on_without(self, error: Exception) -> None:
        self._works = False
        kind = type(error).__name__
        self._log.warning("Airflow's task state store fails (%s): a retry would send these rows again.", kind)


class BatchesInFiles(BatchesInTaskState):
    """Batches in files beside the file of the records; the state store holds only their names.

    :param operator: The task; has a ``records_path``.
    :param context: Of this try; has a ``task_state_store``.
    """

    max_bytes = None

    def __init__(self, operator: DubUpdateCustomersOperator, context: Context) -> None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        super().__init__(operator, context)
        self._folder = ObjectStoragePath(f"{operator.records_path}.resume")
        self._try_number = context["ti"].try_number

    def clear(self) -> None:
        """Forget all batches, or raise."""
        super().clear()
        with suppress(OSError):
            self._folder.rmdir(recursive=True)

    def _written(self, batch: bytes) -> str:
        # An earlier try whose supervisor died may still write beside this one, so each has names of its own.
        path = self._folder / f"{self._try_number}-{self._stored}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(batch)
        return path.name

    def _read(self, value: str) -> Iterator[bytes]:
        with suppress(OSError):  # it may lie on another worker: its rows are sent again
            yield (self._folder / value).read_bytes()
