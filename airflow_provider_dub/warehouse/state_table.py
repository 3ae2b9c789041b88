"""The table that remembers what was last applied."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.warehouse.claim import Claim
from airflow_provider_dub.warehouse.difference import Status
from airflow_provider_dub.warehouse.layout import STATE_COLUMNS

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.claim import Claimant
    from airflow_provider_dub.warehouse.connection import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

#: Parameters of one statement; SQL Server takes 2,100.
_KEYS_AT_ONCE = 500
_ROWS_AT_ONCE = 100
_BEFORE_THE_NEXT_ATTEMPT = 0.5


class StateTable:
    """One state table.

    :param warehouse: Where it is.
    :param statements: Writes the statements about it.
    :param claimant: Who works with it.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, claimant: Claimant) -> None:
        self._warehouse = warehouse
        self._statements = statements
        # To write a statement with a thousand parameters takes longer than to run it.
        self._mark, self._forget, self._remember = map(cache, (statements.mark, statements.forget, statements.remember))
        #: The right to change it.
        self.claim = Claim(warehouse, statements, claimant)

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
        """Tell whether the table can be read.

        :raises ValueError: It is another one.
        """
        return self._is_of_this_kind(self._columns(self._statements.probe()))

    def _is_of_this_kind(self, found: list[str]) -> bool:
        if missing := [name for name in STATE_COLUMNS if found and name not in found]:
            raise ValueError(
                f"The state table {self._statements.table} lacks the columns {', '.join(missing)}: it is not of this "
                "version, or not a state table. Add them as text, or drop it and its _claim: then every row is sent."
            )
        return bool(found)

    def create(self) -> None:
        """Create the table and that of its claim, those that are not there.

        :raises ValueError: There is one of another kind.
        """
        self._is_of_this_kind(self._create(self._statements.probe(), self._statements.create()))
        self._create(self._statements.read_claim(), self._statements.create_claim())

    def mark_pending(self, keys: Iterable[str]) -> None:
        """Write down that these rows are about to be sent, so that a run that crashes leaves no row that looks done.

        :param keys: As the warehouse writes them.
        """
        keys = iter(keys)
        while some := list(islice(keys, _KEYS_AT_ONCE * 20)):
            self._warehouse.transaction(lambda cursor, some=some: self._set_pending(cursor, some))  # type: ignore[misc]

    def record(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Replace rows, in one transaction.

        :param rows: All columns, the key first.
        :raises ClaimLostError: Another run took over; nothing was written.
        """

        def replace(cursor: Any) -> None:
            self.claim.verify(cursor)
            for some in _parts([row[0] for row in rows], _KEYS_AT_ONCE):
                cursor.execute(self._forget(len(some)), self._statements.among(some))
            for few in _parts(rows, _ROWS_AT_ONCE):
                cursor.execute(self._remember(len(few)), [cell for row in few for cell in row])

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
                    error.add_note(f"{self._statements.table} or its _claim cannot be read, so it was to be created.")
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
        self.claim.verify(cursor)
        for some in _parts(keys, _KEYS_AT_ONCE):
            cursor.execute(self._mark(len(some)), [str(Status.PENDING), *self._statements.among(some)])


def now() -> str:
    """Return this moment as every engine reads it: UTC, without a zone."""
    return moment(datetime.now(UTC))


def moment(at: datetime) -> str:
    """Return a moment as every engine reads it: UTC, without a zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
