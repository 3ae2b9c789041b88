"""The table that holds what was last applied."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.exceptions import DubDatabaseError, DubUnrecordedOutcomesError
from airflow_provider_dub.warehouse.database_errors import database_error
from airflow_provider_dub.warehouse.lease import Lease
from airflow_provider_dub.warehouse.schema import history_columns, staging_columns, state_columns, timestamp
from airflow_provider_dub.warehouse.staging import Staging
from airflow_provider_dub.warehouse.table_check import CHECK_KEYS, TableCheck
from airflow_provider_dub.warehouse.tables import HISTORY_COLUMNS, LEASE_COLUMNS, STAGING_COLUMNS, STATE_COLUMNS
from airflow_provider_dub.warehouse.unusable_table import UnusableTableError, refusal_explained

if TYPE_CHECKING:
    from sqlglot import exp

    from airflow_provider_dub.warehouse.change_query import ChangeQuery
    from airflow_provider_dub.warehouse.cursors import Cursor
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.lease import Owner
    from airflow_provider_dub.warehouse.statements import Statements

#: The history is pruned when its oldest line is so much older than it may be.
_PRUNED_EVERY = timedelta(days=1)
#: Tries to create a table that other runs may be about to create, and the longest pause between them, in seconds.
_TRIES_TO_CREATE, _LONGEST_PAUSE_TO_CREATE = 5, 1.0
#: Seconds between attempts to record while the database is away: the first, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
#: So many times a database that responds may fail to record; it may have come back only just now.
_FAILURES = 3

log = logging.getLogger(__name__)


@dataclass
class Unfinished:
    """What a run has begun in its tables and not finished yet."""

    #: The number of outcomes that were appended and are not merged yet.
    unmerged: int = 0
    #: Whether rows may be pending that are not sent.
    has_unsent: bool = False


class StateTable:
    """One state table.

    :param warehouse: Where it is.
    :param statements: Writes the statements about it.
    :param owner: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, owner: Owner) -> None:
        #: Where it is.
        self.warehouse = warehouse
        self._statements = statements
        self._state_columns: list[str] = []
        self._history_columns: list[str] = []
        #: Shared by all connections of the run, as the lease is.
        self.unfinished = Unfinished()
        #: The right to change it.
        self.lease = Lease(warehouse, statements, owner)

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        return self._statements.dialect

    @property
    def name(self) -> str:
        """The name of the table, as the user gives it."""
        return self._statements.table

    def another(self) -> StateTable:
        """Return the same table over a connection of its own, for another thread."""
        table = copy(self)
        table.warehouse = self.warehouse.another()
        return table

    def exists(self) -> bool:
        """Return whether the table is there.

        :raises ValueError: It is not a state table, or one of a newer version or about another Dub, or lacks its lease.
        :raises UnusableTableError: Its user may not read it.
        :raises DubDatabaseError: It cannot be read now.
        """
        if not self._found(self._statements.state, STATE_COLUMNS):
            return False
        if self._found(self._statements.lease, LEASE_COLUMNS):
            self.lease.check()
        else:
            self._check_without_lease()
        return True

    def missing_columns(self) -> frozenset[str]:
        """Return the columns that the table of an older version lacks."""
        return frozenset(state_columns()) - {*self._columns(self._statements.state)}

    def count(self, run: str) -> tuple[int, int]:
        """Return the number of customers that the table knows, and of those that a run recorded.

        :param run: The name of the run.
        """

        def count(cursor: Cursor) -> tuple[int, int]:
            cursor.execute(self._statements.count(len(CHECK_KEYS)), [run, *CHECK_KEYS])
            customers, of_run = cursor.fetchone()
            return int(customers), int(of_run)

        return self.warehouse.transaction(count)

    def create(self) -> None:
        """Create the table and that of its lease, those that are not there.

        :raises ValueError: There is a table of that name that is not ours, or a state table without its lease.
        :raises UnusableTableError: A table cannot be read, and may not be created.
        :raises DubDatabaseError: A table cannot be read now.
        """
        write = self._statements
        self._state_columns = self._create(write.state, STATE_COLUMNS, write.create())
        if not self._found(write.lease, LEASE_COLUMNS):
            if self._state_columns:
                self._check_without_lease()
            self._create(write.lease, LEASE_COLUMNS, write.create_lease())
        self._history_columns = self._create(write.history, HISTORY_COLUMNS, write.create_history())

    def _check_without_lease(self) -> None:
        """Check that the table has no rows yet, if that of its lease is not there.

        :raises ValueError: It has.
        """
        if self.count("")[0]:
            raise ValueError(
                f"The state table {self.name} has rows, but {self.dialect.to_sql(self._statements.lease)}, which says "
                "of which Dub they are, is not there. If they are of another Dub, as in a copy, give state_table "
                "another name: that table is created, and the run begins as a first one. If they are of this Dub, copy "
                "that table, too, or create it as python -m airflow_provider_dub.warehouse prints it."
            )

    def create_staging(self) -> Staging:
        """Return the staging table, empty; create it if it is not there. For the owner of the lease.

        :raises ValueError: There is a table of that name that is not ours.
        :raises UnusableTableError: A right is missing.
        """
        write = self._statements
        staging = Staging(self.warehouse, write, self.lease.attempt)
        if found := self._create(write.staging, STAGING_COLUMNS, write.create_staging()):
            if {*staging_columns()} - {*found}:  # of an older version
                with refusal_explained(write, "drop the table", write.staging):
                    self.warehouse.transaction(lambda cursor: cursor.execute(write.drop_staging()))
                self._create(write.staging, STAGING_COLUMNS, write.create_staging())
            staging.clear_others()
        return staging

    def rows(self) -> tuple[list[str], Iterator[Sequence[tuple[Any, ...]]]]:
        """Return the names of its columns, and all its rows, some at a time."""
        found = {*self._columns(self._statements.state)}
        columns = [name for name in state_columns() if name in found]
        return columns, self.warehouse.batches(self._statements.read_state(columns))

    def upgrade(self) -> None:
        """Add the columns that the table of an older version lacks; for the owner of its lease.

        :raises UnusableTableError: Its user may not.
        """
        write = self._statements
        tables = (
            (write.state, state_columns(), self._state_columns),
            (write.history, history_columns(), self._history_columns),
        )
        missing = [(table, name) for table, columns, found in tables for name in columns if found and name not in found]

        def add(cursor: Cursor) -> None:
            for table, name in missing:
                cursor.execute(write.add_column(table, name))
            self.lease.set_version(cursor)

        if missing:
            names = ", ".join(dict.fromkeys(name for _, name in missing))
            action = f"add the columns {names} of this version"
            with refusal_explained(write, action, write.state):
                self.warehouse.transaction(add)

    def set_pending(self, changes: ChangeQuery, parameters: Any, rows: int) -> None:
        """Record that changed rows are about to be sent, so that a run that crashes leaves no row that looks done.

        A run that another one took over notices it before its first request; until then such a row is only sent again.

        :param changes: The query whose rows are sent.
        :param parameters: The parameters of the user's query.
        :param rows: About how many they are.
        :raises UnusableTableError: Its user may not update rows.
        """
        statement = self._statements.set_pending(changes.keys_to_set_pending(), self.lease.attempt)

        def update(cursor: Cursor) -> None:
            if changes.temporary_table:
                cursor.execute_all(self._statements.analyze(changes.temporary_table, rows))
            cursor.execute_as_given(statement, parameters)

        self.unfinished.has_unsent = True
        self._update(update)

    def check_update(self) -> None:
        """Check that rows can be set to pending, by a run that sets none.

        :raises UnusableTableError: Its user may not update rows.
        """
        self._update(lambda cursor: cursor.execute(self._statements.set_none_pending()))

    def _update(self, work: Callable[[Cursor], None]) -> None:
        with refusal_explained(self._statements, "update rows", self._statements.state, writes_values=True):
            self.warehouse.transaction(work)

    def append(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Append outcomes to the history, in one transaction.

        :param lines: All columns of the state table, the key first.
        """
        whole = [(*line, self.lease.attempt) for line in lines]
        self.unfinished.unmerged += len(whole)
        write = self._statements
        self._record(lambda cursor: cursor.insert_rows(write.history, history_columns(), whole, dialect=write.dialect))

    def merge_previous(self) -> None:
        """Merge the outcomes of a run that crashed, or that could not do so itself.

        :raises LeaseLostError: Another run took over; nothing was written.
        :raises UnusableTableError: Its user may not, or the state table does not take them.
        """
        if not self.lease.previous:
            return

        def merge(cursor: Cursor) -> None:
            with self._changing_lease(cursor, self.lease.set_merged):
                for previous in self.lease.previous:
                    self._merge(cursor, previous)

        self._analyze_history()
        write = self._statements
        with refusal_explained(write, "delete and insert rows", write.state, writes_values=True):
            self.warehouse.transaction(merge)

    def merge(self, *, end: bool = False) -> None:
        """Merge the outcomes of this run.

        :param end: Whether the run is over, so that its lease ends with it, and rows that it did not send are as they
            were.
        :raises LeaseLostError: Another run took over; nothing was written.
        """
        has_reached_the_end = False

        def merge(cursor: Cursor) -> None:
            nonlocal has_reached_the_end
            if has_reached_the_end and self.lease.has_ended(cursor):  # what was lost is only the response
                return
            with self._changing_lease(cursor, self.lease.end if end else None):
                if self.unfinished.unmerged:
                    self._merge(cursor, self.lease.attempt)
                if end and self.unfinished.has_unsent:
                    cursor.execute(self._statements.set_unsent(), [self.lease.attempt])
            has_reached_the_end = end

        self._analyze_history(self.unfinished.unmerged)
        self._record(merge)
        self.unfinished.unmerged = 0

    @contextmanager
    def _changing_lease(self, cursor: Cursor, change: Callable[[Cursor], None] | None) -> Iterator[None]:
        """Check that the lease is ours, and change it for what is done inside.

        In a transaction it is changed first: whoever wants the lease then waits for the end of the transaction, however
        long that takes. And one that the heartbeat renews meanwhile could not be changed any more in DuckDB, nor at
        PostgreSQL's isolation levels from repeatable read on.

        :param cursor: The cursor of the transaction.
        :param change: Changes the lease.
        :raises LeaseLostError: Another run took over.
        """
        has_transactions = self.dialect.has_transactions
        self.lease.verify(cursor)
        if change and has_transactions:
            change(cursor)
            if cursor.rowcount == 0:
                self.lease.verify(cursor)
        yield
        if change and not has_transactions:
            change(cursor)

    def check_and_prune(self, keep: timedelta) -> None:
        """Check that outcomes can be recorded; for the owner of the lease.

        Lines of the history that are too old are deleted, about once a day, and tried where there are none.

        :param keep: How long lines are kept; their outcomes are in the state table.
        :raises UnusableTableError: A right is missing, or a table does not take what is written.
        """
        oldest = TableCheck(self.warehouse, self._statements, self.lease.attempt).run()
        before = datetime.now(UTC) - keep
        if oldest is None or oldest < timestamp(before - _PRUNED_EVERY):
            with refusal_explained(self._statements, "delete rows", self._statements.history):
                prune = self._statements.prune(timestamp(before))
                self.warehouse.transaction(lambda cursor: cursor.execute(prune))

    def _record(self, work: Callable[[Cursor], None]) -> None:
        """Do work that writes outcomes, in one transaction; wait for a database that is away, while nothing is sent.

        :param work: Takes the cursor; it must bear to be done again.
        :raises DubUnrecordedOutcomesError: The database stays away, or it responds and does not do the work.
        """
        failures, pause, until = 0, _FIRST_PAUSE, time.monotonic() + self.lease.longest_pause
        while True:
            try:
                self.warehouse.transaction(work)
                break
            except DubDatabaseError as error:
                failed = DubUnrecordedOutcomesError(error.kind)
                # This run has written there before: what only reads now is a standby, or is on the way to write again.
                failures += not error.is_read_only and self.warehouse.responds(self._statements.clock())
                if failures >= _FAILURES or time.monotonic() + pause > min(until, self.lease.give_up_at):
                    raise failed from None
                if not self.lease.is_database_away:
                    log.warning("%s The run pauses, and tries again.", failed)
            self.lease.is_database_away = True
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self.lease.is_database_away:
            log.info("The outcomes are recorded; the run goes on.")
        self.lease.is_database_away = False

    def _analyze_history(self, lines: int | None = None) -> None:
        """Have the engine count the lines before it plans with them; one that does not plans worse, and that is all."""
        if statements := self._statements.analyze(self._statements.history, lines):
            with suppress(DubDatabaseError):
                self.warehouse.transaction(lambda cursor: cursor.execute_all(statements))

    def _merge(self, cursor: Cursor, attempt: str) -> None:
        for statement in self._statements.merge():
            cursor.execute(statement, [attempt])

    def _create(self, table: exp.Table, required: Sequence[str], statements: Sequence[str]) -> list[str]:
        """Return the columns of a table that is there already; create it otherwise."""
        name = self.dialect.to_sql(table)
        for left in reversed(range(_TRIES_TO_CREATE)):
            try:
                if found := self._found(table, required):
                    return found
                with refusal_explained(self._statements, "read the table (if there is one) or create it", table):
                    self.warehouse.transaction(lambda cursor: cursor.execute_all(statements))
                break
            except DubDatabaseError as failed:
                if left:
                    time.sleep(random.uniform(0, _LONGEST_PAUSE_TO_CREATE))  # not all at once again
                    continue
                if not failed.is_permanent:
                    failed.add_note(f"{name} was to be created if it is not there.")
                    raise
                raise UnusableTableError(
                    f"The table {name} cannot be read, nor created ({failed.kind}): check the name that state_table "
                    "has, and that its schema is there.",
                    self._statements,
                ) from None
        return []

    def _found(self, table: exp.Table, required: Sequence[str]) -> list[str]:
        """Return the columns of a table; none if it is not there.

        :param table: The table.
        :param required: The columns by which it is recognised.
        :raises ValueError: It is somebody else's, which this package must not write to.
        :raises UnusableTableError: Its user may not read it.
        :raises DubDatabaseError: It cannot be read now.
        """
        found = self._columns(table)
        if missing := [name for name in required if found and name not in found]:
            raise ValueError(
                f"{self.dialect.to_sql(table)} is a table, but not one of airflow-provider-dub's: it has no column "
                f"{', '.join(missing)}. Give state_table the name of a table that does not exist yet; it is created, "
                "and so are those with _history, _lease and _staging after its name."
            )
        return found

    def _columns(self, table: exp.Table) -> list[str]:
        """Return the columns of a table; none if it is not there, as far as the database says it."""
        try:
            return [name.lower() for name, _ in self.warehouse.columns(self._statements.probe(table))]
        except Exception as error:  # every driver has its own
            failed = database_error(error)
        if failed.is_permanent and not failed.is_denied:
            return []
        failed.add_note(f"{self.dialect.to_sql(table)} cannot be read now.")
        with refusal_explained(self._statements, "read the table (if there is one)", table):
            raise failed
