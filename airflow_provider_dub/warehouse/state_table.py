"""The table that holds what was last applied."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.warehouse.change_query import Status
from airflow_provider_dub.warehouse.lease import Lease
from airflow_provider_dub.warehouse.schema import MARKS, state_columns

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.lease import Owner
    from airflow_provider_dub.warehouse.statements import Statements

#: Parameters of one statement; SQL Server takes 2,100.
_KEYS_AT_ONCE = 500
_ROWS_AT_ONCE = 100
_BEFORE_THE_NEXT_ATTEMPT = 0.5


class StateTable:
    """One state table.

    :param warehouse: Where it is.
    :param statements: Writes the statements about it.
    :param owner: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, owner: Owner) -> None:
        self._warehouse = warehouse
        self._statements = statements
        # To write a statement with a thousand parameters takes longer than to run it.
        self._set_outcome, self._delete, self._insert = map(
            cache, (statements.set_outcome, statements.delete, statements.insert)
        )
        #: The right to change it.
        self.lease = Lease(warehouse, statements, owner)

    def through(self, warehouse: Warehouse) -> StateTable:
        """Return the same table over another connection, for another thread.

        :param warehouse: The connection.
        """
        table = copy(self)
        table._warehouse = warehouse
        return table

    def close(self) -> None:
        """Close the connection."""
        self._warehouse.close()

    def exists(self) -> bool:
        """Return whether the table can be read.

        :raises ValueError: It is no state table, or one of a newer version.
        """
        if not self._check_columns(self._columns(self._statements.probe())):
            return False
        if self._columns(self._statements.read_lease()):
            self.lease.check_version()
        return True

    def missing_columns(self) -> frozenset[str]:
        """Return the columns that the table of an older version lacks."""
        return frozenset(state_columns()) - {*self._columns(self._statements.probe())}

    def create(self) -> None:
        """Create the table and that of its lease, those that are not there.

        :raises ValueError: There is a table of that name that is no state table.
        """
        self._check_columns(self._create(self._statements.probe(), self._statements.create()))
        self._create(self._statements.read_lease(), self._statements.create_lease())

    def upgrade(self) -> None:
        """Add the columns that the table of an older version lacks; for the owner of its lease."""
        found = self._columns(self._statements.probe())

        def add(cursor: Any) -> None:
            for name in state_columns():
                if name not in found:
                    cursor.execute(self._statements.add_column(name))
            self.lease.set_version(cursor)

        if not {*state_columns()} <= {*found}:
            self._warehouse.transaction(add)

    def _check_columns(self, found: list[str]) -> bool:
        """Return whether there is a table.

        :raises ValueError: It is no state table.
        """
        if missing := [name for name in MARKS if found and name not in found]:
            raise ValueError(
                f"{self._statements.table} is a table, but not a state table of airflow-provider-dub: it has no column "
                f"{', '.join(missing)}. Give state_table the name of a table that does not exist yet; it is created."
            )
        return bool(found)

    def set_pending(self, keys: Iterable[str]) -> None:
        """Write down that these rows are about to be sent, so that a run that crashes leaves no row that looks done.

        :param keys: As the warehouse writes them.
        """
        keys = iter(keys)
        while some := list(islice(keys, _KEYS_AT_ONCE * 20)):
            self._warehouse.transaction(lambda cursor, some=some: self._set_pending(cursor, some))  # type: ignore[misc]

    def record(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Replace rows, in one transaction.

        :param rows: All columns, the key first.
        :raises LeaseLostError: Another run took over; nothing was written.
        """

        def replace(cursor: Any) -> None:
            self.lease.verify(cursor)
            for some in _parts([row[0] for row in rows], _KEYS_AT_ONCE):
                cursor.execute(self._delete(len(some)), self._statements.among(some))
            for few in _parts(rows, _ROWS_AT_ONCE):
                cursor.execute(self._insert(len(few)), [cell for row in few for cell in row])

        self._warehouse.transaction(replace)

    def _create(self, probe: str, statements: Sequence[str]) -> list[str]:
        """Return the columns of a table that is there already; create it otherwise."""

        def create(cursor: Any) -> None:
            for statement in statements:
                cursor.execute(statement)

        for is_last in (False, False, True):  # another run may be about to create it
            if found := self._columns(probe):
                return found
            try:
                self._warehouse.transaction(create)
                break
            except Exception as error:
                if is_last:
                    error.add_note(f"{self._statements.table} or its _lease cannot be read, so it was to be created.")
                    raise
                time.sleep(_BEFORE_THE_NEXT_ATTEMPT)
        return []

    def _columns(self, probe: str) -> list[str]:
        """Return the columns of a table; none if it cannot be read."""
        try:
            return [name.lower() for name in self._warehouse.columns(probe, None)]
        except Exception:  # every driver has its own
            return []

    def _set_pending(self, cursor: Any, keys: list[str]) -> None:
        self.lease.verify(cursor)
        for some in _parts(keys, _KEYS_AT_ONCE):
            cursor.execute(self._set_outcome(len(some)), [str(Status.PENDING), *self._statements.among(some)])


def now() -> str:
    """Return this timestamp as every engine reads it: UTC, without a zone."""
    return timestamp(datetime.now(UTC))


def timestamp(at: datetime) -> str:
    """Return a timestamp as every engine reads it: UTC, without a zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
