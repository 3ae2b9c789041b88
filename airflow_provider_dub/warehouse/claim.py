"""The claim on a state table: one run at a time may change it, and a run that crashed does not hold it for long.

A claim is a lease, by the database's clock. Its holder renews it while it works, and sends nothing more as soon as it
cannot; another run may take it when it has expired. So no two runs send rows of one state table at the same time, not
even if a task is retried while the process of its earlier try lives on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.warehouse.connection import NotRepeatedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_dub.warehouse.connection import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

#: Seconds after the last renewal at which a claim is free for others. Its holder sends nothing in the second half,
#: which is for requests that are under way.
LEASE = 60
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


class _Held(NamedTuple):
    target: str
    task: str | None
    holder: str | None
    seconds_left: int


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
        self._renewing = threading.Lock()
        self._renewed_at = float("-inf")

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
            asked_at = time.monotonic()
            held = self._try_to_take()
            if held.target != self._claimant.target:
                raise OtherTargetError(
                    f'The state table {self._statements.table} is about "{held.target}", not '
                    f'"{self._claimant.target}". Give each Dub, and each kind of ids, a state table of its own, or '
                    "drop this one and its _claim."
                )
            if held.holder == self._claimant.holder and held.task is not None:
                self._renewed_at = asked_at
                return
            who = f"The state table {self._statements.table} is in the hands of {held.task}"
            if not wait and held.task != self._claimant.task:
                raise ClaimedError(
                    f"{who}. Its claim ends with its run, or {max(0, held.seconds_left)} s from now if it crashed. "
                    'Wait for it with on_claimed="wait".'
                )
            if not told:
                tell(f"{who}; waiting for it to end, or for {LEASE} s without a sign of life.")
                told = True
            time.sleep(_ASK_AGAIN)

    @property
    def is_safe(self) -> bool:
        """Whether requests may be sent: no other run can have the table before they are over."""
        return time.monotonic() < self._renewed_at + LEASE / 2

    def renew(self, warehouse: Warehouse | None = None) -> None:
        """Show a sign of life.

        :param warehouse: The connection of the thread that does.
        :raises ClaimLostError: Another run took over.
        """

        def renew(cursor: Any) -> None:
            self._set(cursor, self._claimant.task, self._clock(cursor) + LEASE)
            self.verify(cursor)

        with self._renewing:
            began = time.monotonic()
            (warehouse or self._warehouse).transaction(renew)
            self._renewed_at = began

    def verify(self, cursor: Any) -> None:
        """Make sure, within a transaction, that the table is still ours.

        :raises ClaimLostError: Another run took over.
        """
        _, task, holder, _ = self._read(cursor)
        if holder != self._claimant.holder or task is None:
            raise ClaimLostError(
                f"The state table {self._statements.table} was taken over by {task or 'a run that has ended since'}: "
                f"this run showed no sign of life for {LEASE} s. What it had not recorded is sent again."
            )

    def release(self) -> None:
        """Let others have it."""
        self._warehouse.transaction(lambda cursor: self._set(cursor, None, 0))

    def _try_to_take(self) -> _Held:
        """Return the claim after an attempt to take it; of several who begin at once, the database lets one win."""
        lost: Exception | None = None
        try:
            self._warehouse.transaction(self._take)
        except Exception as conflict:
            lost = conflict
        held = self._warehouse.transaction(self._held)
        if lost and (held is None or held.task is None or held.seconds_left < 0):
            raise lost  # nobody has it, so it was no conflict
        if held is None:
            raise RuntimeError(f"The claim on {self._statements.table} has no row.")
        return held

    def _take(self, cursor: Any) -> None:
        if self._read(cursor) is None:
            cursor.execute(self._statements.offer_claim(), [self._claimant.target])
        me, now = self._claimant, self._clock(cursor)
        cursor.execute(self._statements.take_claim(), [me.task, me.holder, now + LEASE, now, me.target])

    def _held(self, cursor: Any) -> _Held | None:
        claim = self._read(cursor)
        if claim is None:
            return None
        target, task, holder, expires_at = claim
        return _Held(target, task, holder, expires_at - self._clock(cursor))

    def _clock(self, cursor: Any) -> int:
        cursor.execute(self._statements.clock())
        return int(cursor.fetchone()[0])

    def _read(self, cursor: Any) -> Any:
        cursor.execute(self._statements.read_claim())
        return cursor.fetchone()

    def _set(self, cursor: Any, task: str | None, expires_at: int) -> None:
        cursor.execute(self._statements.keep_claim(), [task, expires_at, self._claimant.holder])
