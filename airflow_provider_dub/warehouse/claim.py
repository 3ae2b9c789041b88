"""The claim on a state table: one run at a time may change it, and a run that crashed does not hold it for long.

A claim is a lease. Its holder renews it while it works, and ends its run as soon as it cannot; another run may take it
when it has expired. So no two runs send rows of one state table at the same time, not even if a task is retried while
the process of its earlier try lives on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.warehouse.connection import NotRepeatedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_dub.warehouse.connection import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

#: Seconds after the last renewal at which a claim is free for others.
LEASE = 60
#: Seconds after which it is renewed.
RENEWAL = 15
_ASK_AGAIN = 2.0


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
    :param task: The task instance.
    :param holder: The try of it.
    """

    target: str
    task: str
    holder: str


class Claim:
    """The claim of one run.

    :param warehouse: Where the state table is.
    :param statements: Writes the statements about it.
    :param claimant: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, claimant: Claimant) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._claimant = claimant
        self._renewed_at = 0.0

    def take(self, *, wait: bool, tell: Callable[[str], None]) -> None:
        """Become the one run that may change the table.

        An earlier try of the same task may still be at work; that is waited for in any case.

        :param wait: Wait for another run to end, too.
        :param tell: Is told, once, who is waited for.
        :raises ClaimedError: Another run has the table.
        :raises OtherTargetError: It is about another Dub.
        """
        told = False
        while True:
            target, task, holder, expires_at = self._try_to_take()
            if target != self._claimant.target:
                raise OtherTargetError(
                    f'The state table {self._statements.table} is about "{target}", not "{self._claimant.target}". '
                    "Give each Dub, and each kind of ids, a state table of its own, or drop this one and its _claim."
                )
            if holder == self._claimant.holder and task is not None:
                self._renewed_at = time.monotonic()
                return
            who = f"The state table {self._statements.table} is in the hands of {task}"
            if not wait and task != self._claimant.task:
                left = max(0, int(expires_at - time.time()))
                raise ClaimedError(
                    f"{who}. Its claim ends with its run, or {left} s from now if it crashed. "
                    'Wait for it with on_claimed="wait".'
                )
            if not told:
                tell(f"{who}; waiting for it to end, or for {LEASE} s without a sign of life.")
                told = True
            time.sleep(_ASK_AGAIN)

    def renew(self) -> None:
        """Show a sign of life, if one is due.

        :raises ClaimLostError: Another run took over.
        """
        if time.monotonic() - self._renewed_at < RENEWAL:
            return

        def renew(cursor: Any) -> None:
            self._set(cursor, self._claimant.task, int(time.time()) + LEASE)
            self.verify(cursor)

        self._warehouse.transaction(renew)
        self._renewed_at = time.monotonic()

    def verify(self, cursor: Any) -> None:
        """Make sure, within a transaction, that the table is still ours.

        :raises ClaimLostError: Another run took over.
        """
        _, task, holder, _ = self._read(cursor)
        if holder != self._claimant.holder or task is None:
            raise ClaimLostError(
                f"The state table {self._statements.table} was taken over by {task}: this run showed no sign of life "
                f"for {LEASE} s. What it had not recorded is sent again."
            )

    def release(self) -> None:
        """Let others have it."""
        self._warehouse.transaction(lambda cursor: self._set(cursor, None, 0))

    def _try_to_take(self) -> tuple[str, str | None, str | None, int]:
        """Return the claim after an attempt to take it; of several who begin at once, the database lets one win."""
        lost: Exception | None = None
        try:
            self._warehouse.transaction(self._take)
        except Exception as conflict:
            lost = conflict
        claim: tuple[str, str | None, str | None, int] | None = self._warehouse.transaction(self._read)
        if claim is None:
            raise lost or RuntimeError(f"The claim on {self._statements.table} has no row.")
        return claim

    def _take(self, cursor: Any) -> None:
        if self._read(cursor) is None:
            cursor.execute(self._statements.offer_claim(), [self._claimant.target])
        me, now = self._claimant, int(time.time())
        cursor.execute(self._statements.take_claim(), [me.task, me.holder, now + LEASE, now, me.target])

    def _read(self, cursor: Any) -> Any:
        cursor.execute(self._statements.read_claim())
        return cursor.fetchone()

    def _set(self, cursor: Any, task: str | None, expires_at: int) -> None:
        cursor.execute(self._statements.keep_claim(), [task, expires_at, self._claimant.holder])
