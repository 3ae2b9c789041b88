"""The rows of the user's query that a run works with, and what the state table says about them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.results import Outcome, RowResult, rejected
from airflow_provider_dub.sync.updates import UpdateReader
from airflow_provider_dub.warehouse.change_query import SAME_FIELDS, row_columns
from airflow_provider_dub.warehouse.schema import KEY, compared_columns
from airflow_provider_dub.warehouse.status import FAILED_BEFORE, SET_PENDING, UPDATES, Status

if TYPE_CHECKING:
    from airflow_provider_dub.sync.columns import MatchedColumns
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.updates import CustomerUpdate
    from airflow_provider_dub.warehouse.spool import Spool


@dataclass(frozen=True)
class QueryColumns:
    """The columns of a query that a sync uses.

    :param key: What the user calls the column that holds the customers' ids.
    :param fields: The names of the other columns, as the user calls them or after their field, and the Dub field of
        each, in the order of the query's columns.
    """

    key: str
    fields: dict[str, str]

    @classmethod
    def of_query(cls, matched: MatchedColumns, options: SyncOptions) -> QueryColumns:
        """Return the columns as the rows have them.

        :param matched: The columns as the engine spells them.
        :param options: The options of the sync.
        """
        fields = [field.name for field in matched.fields.values()]
        names = fields if options.columns is None else [*options.columns]
        return cls(options.key_column, dict(zip(names, fields, strict=True)))


class StateOfRow(NamedTuple):
    """What a row is to the state table.

    :param key: The customer's id as the warehouse writes it.
    :param compared: What decides whether the row changed, in the order of the state table.
    :param first_applied_at: When the customer was applied for the first time, if it was.
    :param last_applied_at: When it was for the last time.
    :param dub_id: Dub's id of the customer, if it is known.
    :param is_partly_sent: Whether fields are left out, since Dub has them as the row has them.
    """

    key: str | None
    compared: tuple[str | None, ...]
    first_applied_at: str | None
    last_applied_at: str | None
    dub_id: str | None
    is_partly_sent: bool


class WarehouseRows:
    """Rows as the query for the changes returns them: a :class:`~airflow_provider_dub.sync.rows.Rows`.

    :param spool: Holds the rows.
    :param columns: The columns of the query.
    :param failed_in: The run whose failures are results of this run, too.
    :param cast: Whether the texts beside the cells are the database's own.
    :param limit: How many rows are sent, the first ones by key.
    """

    def __init__(
        self,
        spool: Spool,
        columns: QueryColumns,
        failed_in: str | None = None,
        *,
        cast: bool = True,
        limit: int | None = None,
    ) -> None:
        self._spool = spool
        self._failed_in = failed_in
        self._left = math.inf if limit is None else limit
        #: The key may be the value of a field, too.
        self.columns = [*dict.fromkeys((columns.key, *columns.fields))]
        self._cell_places = {name: place for place, name in enumerate((columns.key, *columns.fields))}
        #: How many rows there are of each status.
        self.counts: Counter[Status] = Counter()
        #: The places of what the row has after its cells.
        self._at = {name: place for place, name in enumerate(row_columns(), 1 + len(columns.fields))}
        self._compared = slice(self._at[KEY] + 1, self._at[KEY] + 1 + len(compared_columns()))
        texts = {name: self._at[FIELDS[field].column] for name, field in columns.fields.items()}
        self._text_places = {columns.key: self._at[KEY]} | texts if cast else self._cell_places
        #: For each row, whether it needs no request.
        self._is_decided = bytearray()

    def add(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, as the cursor fetches them; before any is read.

        :param batch: The rows. Those that failed in another run are left out.
        """
        decided: tuple[Status, ...] = (Status.DUPLICATE,)
        at = self._at
        if self._failed_in:
            decided = (Status.DUPLICATE, *FAILED_BEFORE)
            batch = [
                row for row in batch if row[at["status"]] not in FAILED_BEFORE or row[at["run"]] == self._failed_in
            ]
        self._spool.add(batch)
        for row in batch:
            status = row[at["status"]]
            self.counts[status] += 1
            self._left -= status in UPDATES
            # Of those that the state table has, only these became pending: no other may be sent.
            self._is_decided.append(status in decided or (self._left < 0 and status in SET_PENDING))

    def __len__(self) -> int:
        """Return the number of rows, those that need no request among them."""
        return len(self._spool)

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row.

        :param columns: The names of the columns.
        """
        places = self._places(columns)
        for row in self._spool:
            yield _cells(row, places)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns.

        :param row: Its position.
        """
        return dict(zip(self.columns, _cells(self._spool[row], self._places(self.columns)), strict=True))

    def state_of(self, row: int) -> StateOfRow:
        """Return what a row is to the state table.

        :param row: Its position.
        """
        cells, at = self._spool[row], self._at
        return StateOfRow(
            cells[at[KEY]],
            cells[self._compared],
            cells[at["first_applied_at"]],
            cells[at["last_applied_at"]],
            cells[at["dub_id"]],
            bool(cells[at[SAME_FIELDS]]),
        )

    def same_fields(self, row: int) -> list[str]:
        """Return the Dub fields that need not be sent, since Dub has them as the row has them.

        :param row: The position of the row.
        """
        return str(self._spool[row][self._at[SAME_FIELDS]] or "").split()

    def decided(self, row: int, missing: Outcome) -> RowResult | None:
        """Return the result of a row that needs no request, or None.

        These are rows that name the same customer as another, rows beyond the limit, and rows that failed in an
        earlier try of the run and did not change since.

        :param row: The position of the row.
        :param missing: The outcome of a customer that Dub did not know.
        """
        if not self._is_decided[row]:
            return None
        cells, at = self._spool[row], self._at
        key, status = cells[at[KEY]], cells[at["status"]]
        if status == Status.DUPLICATE:
            return rejected(row, key, None, _several(cells[at["copies"]]), "duplicate")
        if status in SET_PENDING:
            return RowResult(row, key, Outcome.OVER_LIMIT)
        outcome = missing if status == Status.MISSING else Outcome(cells[at["outcome"]])
        reason = f"{cells[at['message']]} (in an earlier try of this task, and the row did not change)"
        return RowResult(row, key, outcome, code=cells[at["code"]], reason=reason, resumed=True)

    def confirmed_keys(self) -> Iterator[str]:
        """Yield the ids for which the state table has Dub's id: an exact match when they were last sent."""
        key, dub_id = self._at[KEY], self._at["dub_id"]
        return (row[key] for row in self._spool if row[dub_id] is not None)

    def _places(self, columns: Sequence[str]) -> list[tuple[int, int]]:
        return [(self._cell_places[name], self._text_places[name]) for name in columns]


class WarehouseReader(UpdateReader):
    """Reads rows as updates; rows that need no request are results already.

    :param rows: The rows.
    :param options: The options of the sync.
    """

    def __init__(self, rows: WarehouseRows, options: SyncOptions) -> None:
        # Rows that the database takes for one customer are results already.
        super().__init__(rows, replace(options, on_duplicate="fail"))
        self._decided = rows.decided
        self._same_fields = rows.same_fields
        self._missing = Outcome.MISSING if options.on_missing == "skip" else Outcome.FAILED

    def __iter__(self) -> Iterator[CustomerUpdate | RowResult]:
        """Yield what each row asks for, without the fields that Dub has as they are, or its result."""
        for row, update in enumerate(super().__iter__()):
            yield self._decided(row, self._missing) or self._changed(update)

    def _changed(self, update: CustomerUpdate | RowResult) -> CustomerUpdate | RowResult:
        if isinstance(update, RowResult) or not (same := self._same_fields(update.row)):
            return update
        return update._replace(fields={name: value for name, value in update.fields.items() if name not in same})

    def customer_ids(self) -> Iterator[str | None]:
        """Yield the customer that each row names, in order; None where it names none or needs no request."""
        for row, customer_id in enumerate(super().customer_ids()):
            yield None if self._decided(row, self._missing) else customer_id


def _several(copies: int) -> str:
    return (
        f"{copies} rows of the query name this customer, and none of them was sent: give the query one row for each, "
        'or on_duplicate="last" with latest_by'
    )


def _cells(row: tuple[Any, ...], places: list[tuple[int, int]]) -> tuple[Any, ...]:
    # Text as the warehouse casts it: a CHAR(10) without the blanks that only fill it up.
    return tuple(row[text] if type(row[raw]) is str else row[raw] for raw, text in places)
