"""The rows of the user's query that are to be sent, with what the state table knows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.warehouse.difference import Status
from airflow_provider_dub.warehouse.layout import COMPARED, VALUE_COLUMNS

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.spool import Spool


class WarehouseRows:
    """Rows as the query for the difference returns them: a :class:`~airflow_provider_dub.sync.rows.Rows`.

    :param to_send: Holds the rows that are to be sent.
    :param told: Holds the rows that are not sent but told: those that name the same customer as another, and those
        that failed in an earlier try of the run. They count on from those to be sent.
    :param key_column: The name of the column that holds the customer's id.
    :param columns: The names of the other columns, in the order of the query, and the Dub field of each.
    """

    def __init__(self, to_send: Spool, told: Spool, key_column: str, columns: Mapping[str, str]) -> None:
        self._to_send = to_send
        self._told = told
        self.columns: list[Any] | None = [key_column, *columns]
        about = 1 + len(columns)
        self._status, self._copies, self._first_applied, self._last_applied, self._dub_id, self._key = range(
            about, about + 6
        )
        self._compared = slice(self._key + 1, self._key + 1 + len(COMPARED))
        value_places = dict(zip(VALUE_COLUMNS, range(self._key + 1, self._compared.stop), strict=False))
        self._text_places = {key_column: self._key} | {name: value_places[field] for name, field in columns.items()}

    def add(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, as the cursor fetches them."""
        twice = [row for row in batch if row[self._status] == Status.DUPLICATE]
        self._told.add(twice)
        self._to_send.add([row for row in batch if row[self._status] != Status.DUPLICATE] if twice else batch)

    def add_failed(self, batch: Sequence[tuple[Any, ...]], run: str) -> None:
        """Add rows that failed before, with their fate: those of one run."""
        self._told.add([row for row in batch if row[-1] == run])

    def __len__(self) -> int:
        """Return the number of rows, those that are not sent among them."""
        return len(self._to_send) + len(self._told)

    @property
    def to_send(self) -> int:
        """The number of rows that are to be sent; they come first."""
        return len(self._to_send)

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        places = self._places(columns)
        for row in self._to_send:
            yield _cells(row, places)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns."""
        names = self.columns or []
        return dict(zip(names, _cells(self._row(row), self._places(names)), strict=True))

    def key(self, row: int) -> str | None:
        """Return the customer's id as the warehouse writes it."""
        key: str | None = self._row(row)[self._key]
        return key

    def compared(self, row: int) -> tuple[str | None, ...]:
        """Return what decides whether the row changed, in the order of the state table."""
        return tuple(self._row(row)[self._compared])

    def applied_at(self, row: int) -> tuple[str | None, str | None]:
        """Return when the customer was first and when it was last applied, if it was."""
        first, last = (self._row(row)[place] for place in (self._first_applied, self._last_applied))
        return (None if first is None else str(first), None if last is None else str(last))

    def told(self, missing: Outcome) -> Iterator[RowResult]:
        """Yield what is to be told of each row that is not sent.

        :param missing: What a customer is that Dub did not know.
        """
        for number, row in enumerate(self._told, self.to_send):
            key = row[self._key]
            if row[self._status] == Status.DUPLICATE:
                yield RowResult(number, key, Outcome.REJECTED, code="duplicate", reason=_twice(row[self._copies]))
                continue
            outcome, code, message, _ = row[-4:]
            reason = f"{message} (in an earlier try of this task, and the row is as it was)"
            became = missing if outcome == Status.MISSING else Outcome(outcome)
            yield RowResult(number, key, became, code=code, reason=reason, resumed=True)

    def remembered_keys(self) -> Iterator[str]:
        """Yield the ids of the rows that the state table holds with an outcome that is about to change."""
        changing = (Status.CHANGED, Status.RETRIED)
        return (row[self._key] for row in self._to_send if row[self._status] in changing)

    def confirmed_keys(self) -> Iterator[str]:
        """Yield the ids that Dub showed in exactly this spelling when it last answered for them."""
        return (row[self._key] for row in self._to_send if row[self._dub_id] is not None)

    def _row(self, number: int) -> tuple[Any, ...]:
        to_send = self.to_send
        return self._to_send[number] if number < to_send else self._told[number - to_send]

    def _places(self, columns: Sequence[str]) -> list[tuple[int, int]]:
        names = self.columns or []
        return [(names.index(name), self._text_places[name]) for name in columns]


def _twice(copies: int) -> str:
    return (
        f"{copies} rows of the query name this customer, and none of them was sent: give the query one row for each, "
        'or on_duplicate="last" with latest_by'
    )


def _cells(row: tuple[Any, ...], places: list[tuple[int, int]]) -> tuple[Any, ...]:
    # Text as the warehouse casts it: a CHAR(10) without the blanks that only fill it up.
    return tuple(row[text] if type(row[raw]) is str else row[raw] for raw, text in places)
