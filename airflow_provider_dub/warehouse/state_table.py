"""The table that remembers what was last applied, and the claim on it: one run at a time may change it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.warehouse.connection import NotRepeatedError
from airflow_provider_dub.warehouse.difference import Status

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.connection import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

#: Seconds after which the claim of a run that was never heard of again is free. Longer than a request may wait.
LEASE = 900
_ASK_AGAIN = 5.0
#: Parameters of one statement; SQL Server takes 2,100.
_KEYS_AT_ONCE = 500
_ROWS_AT_ONCE = 100


class ClaimedError(Exception):
    """Another run holds the state table."""


class ClaimLostError(NotRepeatedError):
    """Another run took the state table over, since this one was not heard of."""


class OtherTargetError(ValueError):
    """The state table is about another Dub, or other ids."""


@dataclass(frozen=True)
class Claimant:
    """Who asks for the state table.

    :param target: Which Dub and which kind of ids the table is about.
    :param task: The task instance; a later try of it takes over from an earlier one.
    :param holder: The try.
    """

    target: str
    task: str
    holder: str


class StateTable:
    """One state table.

    :param warehouse: Where it is.
    :param statements: Writes the statements about it.
    :param claimant: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, claimant: Claimant) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._claimant = claimant

    def exists(self) -> bool:
        """Tell whether the table can be read."""
        try:
            self._warehouse.columns(self._statements.probe(), None)
        except Exception:  # every driver has its own; what else may be wrong is told when it is created
            return False
        return True

    def claim(self, *, wait: bool) -> None:
        """Create the tables if they are not there, and become the one run that may change them.

        :param wait: Wait while another run has them.
        :raises ClaimedError: Another run has them.
        :raises OtherTargetError: They are about another Dub.
        """
        if not self.exists():
            self._warehouse.transaction(self._create)
        while True:
            target, task, holder, expires_at = self._try_to_take()
            if target != self._claimant.target:
                raise OtherTargetError(
                    f'The state table {self._statements.table} is about "{target}", not "{self._claimant.target}". '
                    "Give each Dub, and each kind of ids, a state table of its own, or drop this one and its _claim."
                )
            if holder == self._claimant.holder and task == self._claimant.task:
                return
            if not wait:
                raise ClaimedError(
                    f"Another run works with the state table {self._statements.table}: {task}. Its claim ends with it, "
                    f'or {max(0, int(expires_at - time.time()))} s from now if it crashed. Wait with on_claimed="wait".'
                )
            time.sleep(_ASK_AGAIN)

    def release(self) -> None:
        """Let others have it."""
        self._warehouse.transaction(lambda cursor: self._keep(cursor, None, 0))

    def mark_pending(self, keys: Iterable[str]) -> None:
        """Write down that these rows are about to be sent, so that a run that crashes leaves no row that looks done.

        :param keys: As the warehouse writes them.
        """
        keys = iter(keys)
        while some := list(islice(keys, _KEYS_AT_ONCE * 20)):
            self._warehouse.transaction(lambda cursor, some=some: self._mark(cursor, some))  # type: ignore[misc]

    def record(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Replace rows, in one transaction.

        :param rows: All columns, the key first.
        :raises ClaimLostError: Another run took over; nothing was written.
        """

        def replace(cursor: Any) -> None:
            self._renew(cursor)
            for some in _parts([row[0] for row in rows], _KEYS_AT_ONCE):
                cursor.execute(self._statements.forget(len(some)), some)
            for few in _parts(rows, _ROWS_AT_ONCE):
                cursor.execute(self._statements.remember(len(few)), [cell for row in few for cell in row])

        self._warehouse.transaction(replace)

    def _create(self, cursor: Any) -> None:
        for statement in self._statements.create():
            cursor.execute(statement)

    def _take(self, cursor: Any) -> None:
        if self._read_claim(cursor) is None:
            cursor.execute(self._statements.offer_claim(), [self._claimant.target])
        me, now = self._claimant, int(time.time())
        cursor.execute(self._statements.take_claim(), [me.task, me.holder, now + LEASE, now, me.task])

    def _try_to_take(self) -> tuple[str, str | None, str | None, int]:
        """Return the claim after an attempt to take it; of several who begin at once, the database lets one win."""
        lost: Exception | None = None
        try:
            self._warehouse.transaction(self._take)
        except Exception as conflict:
            lost = conflict
        claim: tuple[str, str | None, str | None, int] | None = self._warehouse.transaction(self._read_claim)
        if claim is None:
            raise lost or RuntimeError(f"The claim on {self._statements.table} has no row.")
        return claim

    def _read_claim(self, cursor: Any) -> Any:
        cursor.execute(self._statements.read_claim())
        return cursor.fetchone()

    def _mark(self, cursor: Any, keys: list[str]) -> None:
        self._renew(cursor)
        for some in _parts(keys, _KEYS_AT_ONCE):
            cursor.execute(self._statements.mark(len(some)), [str(Status.PENDING), *some])

    def _renew(self, cursor: Any) -> None:
        self._keep(cursor, self._claimant.task, int(time.time()) + LEASE)
        _, task, holder, _ = self._read_claim(cursor)
        if (task, holder) != (self._claimant.task, self._claimant.holder):
            raise ClaimLostError(
                f"The state table {self._statements.table} was taken over by {task}: this run was not heard of for "
                f"{LEASE} s, or a later try of its task began. What it had not recorded is sent again."
            )

    def _keep(self, cursor: Any, task: str | None, expires_at: int) -> None:
        cursor.execute(self._statements.keep_claim(), [task, expires_at, self._claimant.holder])


def now() -> str:
    """Return this moment as every engine reads it: UTC, without a zone."""
    return moment(datetime.now(UTC))


def moment(at: datetime) -> str:
    """Return a moment as every engine reads it: UTC, without a zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
