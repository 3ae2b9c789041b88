"""A retry goes on where the try before it stopped: Airflow's task state store keeps what was processed.

The store is there from Airflow 3.3 on; without it every try sends all rows. What is kept is encrypted with a digest of
one input: for any other it cannot be read, so it is deleted, and everything is sent. When the store fails, the run goes
on without it; only if it may hold what the run would make untrue, and cannot be cleared, the run fails.
"""

from __future__ import annotations

import json
import os
import zlib
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken

from airflow_provider_dub import __version__
from airflow_provider_dub.exceptions import DubRetryLaterError
from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.sync.shown import counted
from airflow_provider_dub.sync.updates import CustomerUpdate
from airflow_provider_dub.version_compat import may_run_again, tries_before_clear

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
    from airflow_provider_dub.version_compat import Context

#: Outcomes that another try need not ask Dub about again.
_PROCESSED = frozenset({Outcome.UPDATED, Outcome.MISSING})
#: What a batch is called in the store, before its number.
_KEY = "dub_customers_"
#: What is kept of a result; the row's update has the rest.
_KEPT = ("outcome", "record", "unapplied_fields", "code", "reason")
#: Characters of a value; Airflow's limit is 64 KB.
_LONGEST_VALUE = 65_000
#: What a value in the store raises that is of another input, or not by us.
_STRANGE = (InvalidToken, TypeError, ValueError, zlib.error)
_NOT_CLEARED = (
    "Airflow's task state store cannot be cleared ({}), and what it holds may be untrue after this try. Nothing was "
    "sent. resume=False sends all rows without it."
)
#: Batches that are held open: rows come in the order in which they were kept.
_OPEN_BATCHES = 4


class Checkpoints:
    """The results that earlier tries kept for this one; a :class:`~airflow_provider_dub.sync.results.Sink` of new ones.

    A context manager: in the end they are left to the retry; where none will come, they are deleted.

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
        self._fernet = Fernet(urlsafe_b64encode(self._digest(updates)))
        self._supervisor = os.getppid()
        self._works = True
        #: How many batches the store has.
        self._stored = 0
        self._unsaved: list[tuple[int, dict[str, Any]]] = []
        #: By row that earlier tries processed, the batch that holds its result.
        self.earlier: dict[int, bytes] = {}
        self._opened = lru_cache(_OPEN_BATCHES)(self._unpacked)

    def __enter__(self) -> Self:
        try:
            while (value := self._store.get(f"{_KEY}{self._stored}")) is not None:
                batch = self._fernet.decrypt(value)
                self.earlier |= dict.fromkeys(self._opened(batch), batch)
                self._stored += 1
        except Exception as error:
            is_strange = isinstance(error, _STRANGE)
            if not is_strange:
                self._go_on_without(error)
            try:
                self._clear()  # this try may make it untrue
            except Exception as failure:
                if is_strange or self._task_instance.try_number > 1:  # before the first try there is nothing
                    raise DubRetryLaterError(_NOT_CLEARED.format(type(failure).__name__)) from None
        if self.earlier:
            self._operator.log.info(
                "Earlier tries processed %s; only the others are sent.", counted(len(self.earlier), "row")
            )
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error and may_run_again(self._operator, self._task_instance, error):
            self._save()
            return
        try:
            self._clear()
        except Exception as failure:
            self._operator.log.warning(
                "What was kept for a retry is still in Airflow's task state store (%s).", type(failure).__name__
            )

    def result_of(self, update: CustomerUpdate) -> RowResult | None:
        """Return the result of a row that an earlier try processed, or None if it must be sent.

        :param update: What the row asks for.
        """
        if update.row not in self.earlier:
            return None
        kept = self._opened(self.earlier[update.row])[update.row]
        is_updated = kept["outcome"] is Outcome.UPDATED
        fields, omitted = (tuple(update.fields), update.omitted_fields) if is_updated else ((), ())
        return RowResult(update.row, update.key, fields=fields, omitted_fields=omitted, resumed=True, **kept)

    def write(self, result: RowResult) -> None:
        """Keep one result, and save all that are due."""
        if result.outcome in _PROCESSED and not result.resumed:
            kept = {name: getattr(result, name) for name in _KEPT}
            self._unsaved.append((result.row, kept if self._operator.wants_records else {**kept, "record": None}))
        if (result.row + 1) % self._operator.checkpoint_every == 0:
            self._save()

    def close(self, unread: range) -> None:
        """Do nothing: whether what is left must be saved is known when the task has ended."""

    def _save(self) -> None:
        """Save what is not saved yet; raise where the task itself has been given up."""
        rows, self._unsaved = self._unsaved, []
        try:
            if rows and self._works:
                self._keep(rows)
        except Exception as error:
            if os.getppid() != self._supervisor:
                raise  # it is dead, so nobody hears of what this process does, and a retry does it again
            self._go_on_without(error)

    def _keep(self, rows: list[tuple[int, dict[str, Any]]]) -> None:
        """Keep rows as one batch, or as several if it is too large; a row that is too large by itself is not kept."""
        value = self._fernet.encrypt(zlib.compress(json.dumps(rows).encode())).decode()
        if len(value) <= _LONGEST_VALUE:
            self._store.set(f"{_KEY}{self._stored}", value)
            self._stored += 1
        elif half := len(rows) // 2:
            self._keep(rows[:half])
            self._keep(rows[half:])

    def _unpacked(self, batch: bytes) -> dict[int, dict[str, Any]]:
        rows = dict(json.loads(zlib.decompress(batch)))
        for kept in rows.values():
            kept.update(outcome=Outcome(kept["outcome"]), unapplied_fields=tuple(kept["unapplied_fields"]))
        return rows

    def _clear(self) -> None:
        """Delete everything that is kept."""
        self._stored, self.earlier = 0, {}
        self._store.clear()

    def _go_on_without(self, error: Exception) -> None:
        self._works = False
        self._operator.log.warning(  # without the error's message, which could quote what is stored
            "Airflow's task state store fails (%s): a retry would send these rows again.", type(error).__name__
        )

    def _digest(self, updates: Iterable[CustomerUpdate | RowResult]) -> bytes:
        """Return a digest of all that decides what the run sends, and to whom; nobody without the API key can make it.

        Airflow keeps the store over retries, but also over success and Clear; after Clear the digest is another one.
        """
        operator, tries_before = self._operator, tries_before_clear(self._operator, self._task_instance)
        settings = (__version__, repr(operator.options), operator.wants_records, tries_before)
        digest = blake2b(key=operator.hook.settings.fingerprint_key(*settings), digest_size=32)
        for update in updates:
            asks_for = [update.customer_id, update.fields] if isinstance(update, CustomerUpdate) else None
            digest.update(json.dumps(asks_for).encode() + b"\n")
        return digest.digest()
