"""The lease on a state table: one run at a time may change it, and a run that crashed does not hold it for long.

A lease ends by the database's clock. Its owner renews it while it works, and sends nothing more as soon as it cannot;
another run may acquire it when it has expired. So no two runs send rows of one state table at the same time, not even
if a task is retried while the process of its earlier try lives on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.warehouse.database import NotRepeatedError
from airflow_provider_dub.warehouse.schema import schema_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

#: Seconds after the last renewal at which a lease is free for others. Its owner sends nothing in the second half,
#: which is for requests that are in flight.
LEASE = 60
#: Seconds between two attempts to acquire a lease that is locked.
POLL_INTERVAL = 2.0


class LockedError(Exception):
    """Another run has the lease."""


class LeaseLostError(NotRepeatedError):
    """Another run took the state table over, since this one did not renew its lease."""


class OtherTargetError(ValueError):
    """The state table is about another Dub, or other ids."""


class NewerVersionError(ValueError):
    """The state table was written by a newer version of this package."""


@dataclass(frozen=True)
class Owner:
    """Who asks for the lease.

    :param target: Which Dub and which kind of ids the table is about.
    :param task: The task instance.
    :param token: The try of the task instance.
    """

    target: str
    task: str
    token: str


class _Held(NamedTuple):
    target: str
    task: str | None
    token: str | None
    seconds_left: int
    previous: str | None


class Lease:
    """The lease of one run.

    :param warehouse: Where the state table is.
    :param statements: Writes the statements about it.
    :param owner: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, owner: Owner) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._owner = owner
        self._renewing = threading.Lock()
        self._renewed_at = float("-inf")
        #: The run whose outcomes are not merged yet, since it crashed.
        self.previous: str | None = None
        #: Whether requests are sent under the lease, so that they must end before it does.
        self.guards_requests = False

    def acquire(self, *, wait: bool, log: Callable[[str], object]) -> None:
        """Become the one run that may change the table.

        An earlier try of the same task may still be at work; that is waited for in any case.

        :param wait: Whether to wait for another run to end, too.
        :param log: Takes a line, once, about who is waited for.
        :raises LockedError: Another run has the lease.
        :raises OtherTargetError: The table is about another Dub.
        :raises NewerVersionError: The table was written by a newer version.
        """
        logged = False
        while True:
            asked_at = time.monotonic()
            held = self._try_to_acquire()
            if held.target != self._owner.target:
                raise OtherTargetError(
                    f'The state table {self._statements.table} is about "{held.target}", not '
                    f'"{self._owner.target}". Give each Dub, and each kind of ids, a state table of its own.'
                )
            if held.token == self._owner.token and held.task is not None:
                self._renewed_at = asked_at
                self.previous = held.previous
                return
            who = f"The state table {self._statements.table} is locked by {held.task}"
            if not wait and held.task != self._owner.task:
                raise LockedError(
                    f"{who}. Its lease ends with its run, or {max(0, held.seconds_left)} s from now if it crashed. "
                    'Wait for it with on_locked="wait", or skip the task with on_locked="skip".'
                )
            if not logged:
                log(f"{who}; waiting for it to end, or for {LEASE} s without a heartbeat.")
                logged = True
            time.sleep(POLL_INTERVAL)

    @property
    def safe_until(self) -> float:
        """The time, by the monotonic clock, until which requests may be sent.

        No other run can have the table before they are over.
        """
        return self._renewed_at + LEASE / 2

    @property
    def is_safe(self) -> bool:
        """Whether requests may be sent."""
        return time.monotonic() < self.safe_until

    def renew(self, warehouse: Warehouse | None = None) -> None:
        """Renew the lease.

        :param warehouse: The connection of the thread that does.
        :raises LeaseLostError: Another run took over.
        """

        def renew(cursor: Any) -> None:
            self._set(cursor, self._owner.task, self._clock(cursor) + LEASE)
            self.verify(cursor)

        with self._renewing:
            began = time.monotonic()
            (warehouse or self._warehouse).transaction(renew)
            self._renewed_at = began

    def begin_requests(self) -> None:
        """Check the lease before requests are sent: of now on they end with it.

        :raises LeaseLostError: Another run took over, and what this one has read may be out of date.
        """
        self._warehouse.transaction(self.verify)
        if not self.is_safe:
            self.renew()
        self.guards_requests = True

    def verify(self, cursor: Any) -> None:
        """Check, within a transaction, that the table is still ours.

        :param cursor: The cursor of the transaction.
        :raises LeaseLostError: Another run took over.
        """
        _, task, token, *_ = self._read(cursor)
        if token != self._owner.token or task is None:
            raise LeaseLostError(
                f"The state table {self._statements.table} was taken over by {task or 'a run that has ended since'}: "
                f"this run did not renew its lease for {LEASE} s. What it had not recorded is sent again."
            )

    def check_version(self) -> None:
        """Check that the table was not written by a newer version.

        :raises NewerVersionError: It was.
        """
        self._check_version(self._warehouse.transaction(self._read))

    def set_version(self, cursor: Any) -> None:
        """Write down, within a transaction, that the table has the schema of this version.

        :param cursor: The cursor of the transaction.
        """
        cursor.execute(self._statements.set_version(), [schema_version(), self._owner.token])

    @property
    def token(self) -> str:
        """The token of this run."""
        return self._owner.token

    def set_merged(self, cursor: Any) -> None:
        """Write down, within a transaction, that the outcomes of the previous owner are merged.

        :param cursor: The cursor of the transaction.
        """
        cursor.execute(self._statements.set_merged(), [self._owner.token])

    def end(self, cursor: Any) -> None:
        """Release the lease, within a transaction, with nothing left to merge.

        :param cursor: The cursor of the transaction.
        """
        cursor.execute(self._statements.end_lease(), [self._owner.token])

    def release(self) -> None:
        """Let others acquire it; they merge what this run has not."""
        self._warehouse.transaction(lambda cursor: self._set(cursor, None, 0))

    def _check_version(self, row: Any) -> None:
        if row is not None and row[4] is not None and row[4] > schema_version():
            raise NewerVersionError(
                f"The state table {self._statements.table} was written by a newer version of airflow-provider-dub "
                f"(schema {row[4]}, this version has {schema_version()}): upgrade the package on this worker."
            )

    def _try_to_acquire(self) -> _Held:
        """Return the lease after an attempt to acquire it; of several who begin at once, the database lets one win."""
        lost: Exception | None = None
        try:
            self._warehouse.transaction(self._acquire)
        except Exception as conflict:
            lost = conflict
        held = self._warehouse.transaction(self._held)
        if lost and (held is None or held.task is None or held.seconds_left < 0):
            raise lost  # nobody has it, so it was no conflict
        if held is None:
            raise RuntimeError(f"The lease on {self._statements.table} has no row.")
        return held

    def _acquire(self, cursor: Any) -> None:
        if self._read(cursor) is None:
            cursor.execute(self._statements.insert_lease(), [self._owner.target, schema_version()])
        me, now = self._owner, self._clock(cursor)
        cursor.execute(
            self._statements.acquire_lease(), [me.task, me.token, now + LEASE, now, me.target, schema_version()]
        )

    def _held(self, cursor: Any) -> _Held | None:
        lease = self._read(cursor)
        if lease is None:
            return None
        self._check_version(lease)
        target, task, token, expires_at, _, previous = lease
        return _Held(target, task, token, expires_at - self._clock(cursor), previous)

    def _clock(self, cursor: Any) -> int:
        cursor.execute(self._statements.clock())
        return int(cursor.fetchone()[0])

    def _read(self, cursor: Any) -> Any:
        cursor.execute(self._statements.read_lease())
        return cursor.fetchone()

    def _set(self, cursor: Any, task: str | None, expires_at: int) -> None:
        cursor.execute(self._statements.renew_lease(), [task, expires_at, self._owner.token])
