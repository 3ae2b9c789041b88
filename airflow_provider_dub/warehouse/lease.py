"""The lease on a state table: one run at a time may change it, and a run that crashed does not hold it for long.

A lease ends by the database's clock. Its owner renews it while it works, and sends nothing as long as it cannot;
another run may acquire it when it has expired, or when the process of its owner is certainly gone. So no two runs send
rows of one state table at the same time, not even if a task is retried while the process of its earlier try lives on.

Nothing of this needs a transaction, a lock or a unique key: a run writes that it wants the lease, and then reads
whether another one wrote so, too. Of two that do, at least one reads of the other.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_dub.exceptions import DubDatabaseError
from airflow_provider_dub.warehouse.database import NotRepeatedError
from airflow_provider_dub.warehouse.process import is_gone, this_process
from airflow_provider_dub.warehouse.schema import schema_version
from airflow_provider_dub.warehouse.unusable_table import refusal_explained

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.cursors import Cursor
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.tables import Tables

#: Tries to acquire a lease that is locked, in the time between two renewals.
_POLLS_PER_RENEWAL = 8
#: Tries to acquire of runs that began at once and found each other, and the longest pause between them, in seconds.
_TRIES, _LONGEST_PAUSE = 20, 0.5

log = logging.getLogger(__name__)


class LockedError(Exception):
    """Another run has the lease."""


class LeaseLostError(NotRepeatedError):
    """Another run took the state table over, since this one did not renew its lease."""


@dataclass(frozen=True)
class Owner:
    """Who asks for the lease.

    :param target: Which Dub and which kind of ids the table is about.
    :param task: The task instance.
    :param attempt: A name for this try of the task instance alone.
    """

    target: str
    task: str
    attempt: str


class _Row(NamedTuple):
    target: str
    task: str | None
    attempt: str | None
    process: str | None
    expires_at: int
    version: int | None
    previous: str | None
    now: int


class _Seen(NamedTuple):
    """What a try to acquire the lease saw afterwards.

    :param mine: The rows that this run has.
    :param others: The rows that other runs hold.
    :param error: What the database said of the try.
    """

    mine: list[_Row]
    others: list[_Row]
    error: DubDatabaseError | None


class Lease:
    """The lease of one run.

    :param warehouse: Where the state table is.
    :param tables: The state table and those beside it.
    :param owner: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, tables: Tables, owner: Owner) -> None:
        self._warehouse = warehouse
        self._tables = tables
        self._owner = owner
        self._renewing = threading.Lock()
        #: When it was renewed, by the monotonic clock.
        self.renewed_at = float("-inf")
        #: Seconds between two renewals.
        self.renew_every = tables.dialect.renew_every
        #: Seconds after the last renewal at which the lease is free for others; no request is sent in the second half,
        #: which is for those that are in flight.
        self.length = tables.dialect.lease_length
        #: The runs whose outcomes are not merged yet, since they crashed.
        self.previous: frozenset[str] = frozenset()
        #: Whether requests are sent under the lease, so that they must end before it does.
        self.guards_requests = False
        #: Whether outcomes cannot be recorded now.
        self.is_database_away = False

    def acquire(self, *, wait: bool) -> None:
        """Become the one run that may change the table.

        An earlier try of the same task may still be at work; that is waited for in any case, unless its process is
        gone.

        :param wait: Whether to wait for another run to end, too.
        :raises LockedError: Another run has the lease.
        :raises ValueError: The table is about another Dub or other ids, or was written by a newer version.
        :raises UnusableTableError: A right is missing.
        """
        logged, gone = False, ""
        while held := self._holder_after_tries(gone):
            if held.attempt and held.attempt != gone and is_gone(held.process):
                gone = held.attempt
                log.info("%s, whose process is gone: its lease is taken over.", self._locked_by(held))
                continue
            if not wait and held.task != self._owner.task:
                left = max(0, int(held.expires_at - held.now))
                raise LockedError(
                    f"{self._locked_by(held)}. Its lease ends with its run, or {left} s from now if it crashed."
                )
            if not logged:
                waiting = "%s; waiting for it to end, or for %g s without a heartbeat."
                log.info(waiting, self._locked_by(held), self.length)
                logged = True
            time.sleep(self.renew_every / _POLLS_PER_RENEWAL)

    def _holder_after_tries(self, gone: str) -> _Row | None:
        """Try to acquire the lease, often if another run begins at once; return who else has it, None if it is ours.

        :param gone: The attempt whose process is gone.
        """
        met = False  # whether another run began at the same time, so that each of them lets go and tries again
        for left in reversed(range(_TRIES + 1)):
            asked_at = time.monotonic()
            seen = self._try_to_acquire(gone)
            if seen.mine and not seen.others:
                self.renewed_at = asked_at
                self.previous = frozenset(row.previous for row in seen.mine if row.previous is not None)
                return None
            if seen.mine:
                self._let_go(is_last_try=not left)
            met = met or bool(seen.mine) or not seen.others
            if not met or not left:
                break
            time.sleep(random.uniform(0, _LONGEST_PAUSE))
        if not seen.others:
            raise seen.error or RuntimeError(f"The lease on {self._tables.table} cannot be acquired.")
        return seen.others[0]

    def _let_go(self, *, is_last_try: bool) -> None:
        """End the lease again, for another try; an engine may refuse that while others write to the same table."""
        try:
            self._warehouse.transaction(self.end)
        except DubDatabaseError:
            if is_last_try:
                raise

    def _locked_by(self, held: _Row) -> str:
        return f"The state table {self._tables.table} is locked by {held.task}"

    @property
    def longest_pause(self) -> float:
        """The seconds for which a database that is away is waited for.

        They are more than a lease has: until another run takes over it may be renewed, and nothing is sent meanwhile.
        """
        return 2 * self.length

    @property
    def give_up_at(self) -> float:
        """The time, by the monotonic clock, until which a database that is away is waited for."""
        return self.renewed_at + self.longest_pause

    @property
    def is_safe(self) -> bool:
        """Whether no other run can have the table before requests that are sent now are over."""
        return time.monotonic() < self.renewed_at + self.length / 2

    def pauses(self) -> bool:
        """Return whether no request may be sent now."""
        return self.guards_requests and (self.is_database_away or not self.is_safe)

    def renew(self, warehouse: Warehouse | None = None) -> None:
        """Renew the lease.

        :param warehouse: The connection of the thread that does.
        :raises LeaseLostError: Another run took over.
        """

        def renew(cursor: Cursor) -> None:
            self._set(cursor, self._owner.task, math.ceil(self.length))
            if cursor.rowcount != 1:  # another run took over, or the driver does not count
                self.verify(cursor)

        with self._renewing:
            began = time.monotonic()
            (warehouse or self._warehouse).transaction(renew)
            self.renewed_at = began

    def begin_requests(self) -> None:
        """Check the lease before requests are sent: from now on they end with it.

        :raises LeaseLostError: Another run took over, and what this one has read may be out of date.
        :raises DubDatabaseError: The database cannot be reached, or not by all threads of the run.
        """
        self._warehouse.transaction(self.verify)
        if not self.is_safe:
            self.renew()
        self._warehouse.close_for_others()
        self.guards_requests = True

    def verify(self, cursor: Cursor) -> None:
        """Check, within a transaction, that the table is still ours.

        :param cursor: The cursor of the transaction.
        :raises LeaseLostError: Another run took over.
        """
        rows = self._read(cursor)
        if not self._mine(rows):
            tasks = [row.task for row in rows if row.task is not None]
            raise LeaseLostError(
                f"The state table {self._tables.table} was taken over by "
                f"{tasks[0] if tasks else 'a run that has ended since'}: this run did not renew its lease for "
                f"{self.length:g} s. What it had not recorded is sent again."
            )

    def check(self) -> None:
        """Check whose the table is, without acquiring it.

        :raises ValueError: The table is about another Dub or other ids, or was written by a newer version.
        """
        self._check(self._warehouse.transaction(self._read))

    def set_version(self, cursor: Cursor) -> None:
        """Write down, within a transaction, that the table has the schema of this version.

        :param cursor: The cursor of the transaction.
        """
        statement = self._tables.sql("UPDATE lease SET schema_version = ? WHERE attempt = ?")
        cursor.execute(statement, [schema_version(), self._owner.attempt])

    @property
    def attempt(self) -> str:
        """The name of this try of the task instance: the ``attempt`` of the lines that it writes."""
        return self._owner.attempt

    def set_merged(self, cursor: Cursor) -> None:
        """Write down, within a transaction, that the outcomes of the previous attempts are merged.

        :param cursor: The cursor of the transaction.
        """
        cursor.execute(self._tables.sql("UPDATE lease SET previous = NULL WHERE attempt = ?"), [self._owner.attempt])

    def end(self, cursor: Cursor) -> None:
        """Release the lease, within a transaction, with nothing left to merge.

        :param cursor: The cursor of the transaction.
        """
        statement = self._tables.sql("UPDATE lease SET task = NULL, attempt = NULL WHERE attempt = ?")
        cursor.execute(statement, [self._owner.attempt])

    def has_ended(self, cursor: Cursor) -> bool:
        """Return whether nobody has the lease, and nothing is left to merge.

        :param cursor: The cursor of a transaction.
        """
        return all(row.attempt is None for row in self._read(cursor))

    def release(self) -> None:
        """Let others acquire it; they merge what this run has not."""
        self._warehouse.transaction(lambda cursor: self._set(cursor, None, 0))

    def _check(self, rows: list[_Row]) -> None:
        for row in rows:
            if row.target != self._owner.target:
                raise ValueError(
                    f'The state table {self._tables.table} is about "{row.target}", not "{self._owner.target}"; each '
                    "Dub, and each kind of ids, needs a state table of its own. If the connection is wrong, correct "
                    "it. If it is right, give state_table another name: that table is created, the run begins as a "
                    "first one, and this table stays as it is."
                )
            if row.version is not None and row.version > schema_version():
                raise ValueError(
                    f"The state table {self._tables.table} was written by a newer version of airflow-provider-dub "
                    f"(schema {row.version}, this version has {schema_version()}): upgrade the package on this worker."
                )

    def _try_to_acquire(self, gone: str) -> _Seen:
        """Return who has the lease after a try to acquire it.

        :param gone: The attempt whose process is gone.
        """
        error: DubDatabaseError | None = None
        try:
            with refusal_explained(self._tables, "insert and update rows", self._tables.lease):
                self._warehouse.transaction(lambda cursor: self._acquire(cursor, gone))
        except DubDatabaseError as conflict:  # with another run that begins, as far as we know
            error = conflict
        rows = self._warehouse.transaction(self._read)
        seen = _Seen(self._mine(rows), self._held_by_others(rows), error)
        try:
            self._check(rows)
        except ValueError:
            if seen.mine:
                self._warehouse.transaction(self.end)
            raise
        return seen

    def _acquire(self, cursor: Cursor, gone: str) -> None:
        """Acquire a lease that is free, or that of an attempt whose process is gone.

        The last attempt is kept as the previous one until its outcomes are merged.
        """
        rows, me = self._read(cursor), self._owner
        if any(row.attempt != gone for row in self._held_by_others(rows)):
            return
        if not rows:
            insert = self._tables.sql(  # every column is named: some kinds of tables take no other rows
                "INSERT INTO lease (slot, target, task, attempt, process, expires_at, schema_version, previous) "
                "VALUES (1, ?, NULL, NULL, NULL, 0, ?, NULL)"
            )
            cursor.execute(insert, [me.target, schema_version()])
        acquire = self._tables.sql(  # the previous attempt first: MariaDB sets one after the other
            "UPDATE lease SET previous = COALESCE(previous, attempt), task = ?, attempt = ?, process = ?, "
            "expires_at = CLOCK() + ? WHERE (task IS NULL OR expires_at < CLOCK() OR attempt = ?) AND target = ? "
            "AND schema_version <= ?"
        )
        values = [me.task, me.attempt, this_process(), math.ceil(self.length), gone, me.target, schema_version()]
        cursor.execute(acquire, values)

    def _mine(self, rows: list[_Row]) -> list[_Row]:
        return [row for row in rows if row.task is not None and row.attempt == self._owner.attempt]

    def _held_by_others(self, rows: list[_Row]) -> list[_Row]:
        held = (row for row in rows if row.task is not None and row.expires_at >= row.now)
        return [row for row in held if row.attempt != self._owner.attempt]

    def _read(self, cursor: Cursor) -> list[_Row]:
        """Return the rows of the lease: one; several where nothing keeps keys unique and first runs began at once."""
        read = self._tables.sql(
            "SELECT target, task, attempt, process, expires_at, schema_version, previous, CLOCK() AS dub_now FROM lease"
        )
        cursor.execute(read)
        return [_Row(*row) for row in cursor.fetchall()]

    def _set(self, cursor: Cursor, task: str | None, seconds: int) -> None:
        """Renew the lease, if this run has it, or end it."""
        statement = self._tables.sql(
            "UPDATE lease SET task = ?, expires_at = CLOCK() + ? WHERE attempt = ? AND NOT task IS NULL"
        )
        cursor.execute(statement, [task, seconds, self._owner.attempt])
