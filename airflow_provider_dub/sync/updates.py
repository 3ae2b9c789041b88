"""Rows become updates: which customer, which fields, and what an empty cell means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sized
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.customers.cells import prepare_cell
from airflow_provider_dub.customers.converters import identifier, stripped
from airflow_provider_dub.customers.ids import DUB_PREFIX, is_customer_id
from airflow_provider_dub.sync.columns import match_columns
from airflow_provider_dub.sync.duplicates import repeated_ids
from airflow_provider_dub.sync.results import Outcome, RowResult, rejected
from airflow_provider_dub.sync.rows import ABSENT, Rows

if TYPE_CHECKING:
    from airflow_provider_dub.sync.options import SyncOptions


class CustomerUpdate(NamedTuple):
    """What one row asks for.

    :param row: The position of the row in the input, from 0.
    :param key: The id as the row gives it.
    :param customer_id: The id as the API takes it: ``cus_…`` or ``ext_…``.
    :param fields: Dub fields and their new values; None clears.
    :param omitted_fields: Fields that are not sent since their values were refused here, with the reason.
    """

    row: int
    key: str
    customer_id: str
    fields: dict[str, Any]
    omitted_fields: tuple[tuple[str, str], ...] = ()


_NO_ROW = (
    "is not a mapping from column to cell: a line of a CSV file must have as many cells as its header, and one of a "
    "file of JSON lines must be a whole JSON object"
)


class UpdateReader:
    """Reads rows as updates, one at a time.

    :param rows: The input.
    :param options: The options of the sync.
    :raises ValueError: A column is missing or named twice, or a policy is impossible for it.
    """

    def __init__(self, rows: Rows, options: SyncOptions) -> None:
        self._rows = rows
        #: The options of the sync.
        self.options = options
        #: Whether the rows can be read more than once.
        self.rereadable = rows.columns is not None
        has_rows = not isinstance(rows, Sized) or len(rows) > 0
        matched = match_columns(rows.columns, key_column=options.key_column, columns=options.columns, has_rows=has_rows)
        #: Which columns are used, and which are not.
        self.matched = matched
        clears = options.cleared_fields(matched.fields.values())
        self._fields = [(field, field.name in clears) for field in matched.fields.values()]
        self._wanted = [matched.key, *matched.fields]

    def __iter__(self) -> Iterator[CustomerUpdate | RowResult]:
        """Yield what each row asks for, in order, or why it is rejected."""
        for row, cells in enumerate(self._rows.cells(self._wanted)):
            yield self._read(row, cells) if cells else rejected(row, None, None, _NO_ROW)

    def customer_ids(self) -> Iterator[str | None]:
        """Yield the customer that each row names, in order; None where it names none."""
        for cells in self._rows.cells([self.matched.key]):
            try:
                yield self.options.key_prefix + self._key(cells[0])
            except (ValueError, IndexError):
                yield None

    def _read(self, row: int, cells: tuple[Any, ...]) -> CustomerUpdate | RowResult:
        try:
            key = self._key(cells[0])
        except ValueError as reason:
            return rejected(row, None, self.matched.key, str(reason))
        fields: dict[str, Any] = {}
        refused: list[tuple[str, str]] = []
        for (field, clears), given in zip(self._fields, cells[1:], strict=True):
            if given is ABSENT:
                continue
            try:
                cell = prepare_cell(given, field, strip=self.options.strip, blanks=self.options.blanks)
                if cell is not None:
                    fields[field.name] = field.convert(cell)
                elif clears:
                    fields[field.name] = None
            except ValueError as reason:
                refused.append((field.name, str(reason)))
        if refused and self.options.on_invalid == "reject":
            return _refused(row, key, refused)
        return CustomerUpdate(row, key, self.options.key_prefix + key, fields, tuple(refused))

    def _key(self, given: object) -> str:
        cell = None if given is ABSENT else prepare_cell(given, strip=self.options.strip)
        if cell is None:
            raise ValueError("the customer's id is missing")
        key = identifier(cell)
        if self.options.key_prefix or is_customer_id(key):
            return key
        if stripped(key).startswith(DUB_PREFIX):
            raise ValueError(
                "is not a Dub id: only letters, digits, _ and - may follow cus_; strip=True removes blanks around ids"
            )
        raise ValueError(
            "is not a Dub id (cus_...) and has no ext_ in front; ids of your own belong in external_id_column"
        )


def updates_of(
    reader: UpdateReader, earlier_result: Callable[[CustomerUpdate], RowResult | None] | None = None
) -> Iterator[CustomerUpdate | RowResult]:
    """Yield an update for each row that must be sent, and the result of each that need not.

    :param reader: Reads the rows.
    :param earlier_result: Returns the result of a row that an earlier try of the task has processed.
    :raises ValueError: ``on_duplicate`` needs rows that can be read twice.
    """
    options, first_and_last = reader.options, _first_and_last(reader)
    left = math.inf if options.limit is None else options.limit
    for update in reader:
        if isinstance(update, RowResult):
            yield update
            continue
        result = _duplicate(update, *first_and_last(update.customer_id, update.row), options)
        if result is None and update.fields:
            left -= 1
            result = RowResult(update.row, update.key, Outcome.OVER_LIMIT) if left < 0 else None
        result = result or _nothing_to_send(update, options)
        yield result or (earlier_result and earlier_result(update)) or update


def _first_and_last(reader: UpdateReader) -> Callable[[str, int], tuple[int, int]]:
    """Return what takes a row's customer and the row, and returns the first and the last row that name the customer.

    Of rows that can be read only once no later row is known. What it takes then is every row, in order.
    """
    if reader.rereadable:
        repeated = repeated_ids(reader.customer_ids)
        return lambda customer_id, row: repeated.get(customer_id, (row, row))
    if reader.options.on_duplicate == "last":
        raise ValueError('on_duplicate="last" needs rows that can be read twice: a DataFrame or a list.')
    first: dict[str, int] = {}
    return lambda customer_id, row: (first.setdefault(customer_id, row), row)


def _duplicate(update: CustomerUpdate, first: int, last: int, options: SyncOptions) -> RowResult | None:
    row, key = update.row, update.key
    if options.on_duplicate == "last":
        if last == row:
            return None
        reason = f"row {last} names the same customer, and later"
        return RowResult(row, key, Outcome.SUPERSEDED, code="superseded", reason=reason)
    other = last if first == row else first
    if other == row:
        return None
    reason = f'row {other} names the same customer; leave one of them, or on_duplicate="last" sends the last'
    return rejected(row, key, None, reason, "duplicate")


def _nothing_to_send(update: CustomerUpdate, options: SyncOptions) -> RowResult | None:
    outcome = Outcome.WOULD_UPDATE if update.fields else Outcome.UNCHANGED
    if update.fields and not options.dry_run:
        return None
    return RowResult(update.row, update.key, outcome, fields=tuple(update.fields), omitted_fields=update.omitted_fields)


def _refused(row: int, key: str, refused: list[tuple[str, str]]) -> RowResult:
    """Return the result of a row with values that Dub would refuse, all of them named."""
    if len(refused) == 1:
        return rejected(row, key, *refused[0])
    names = ", ".join(name for name, _ in refused)
    return rejected(row, key, names, "; ".join(f"{name} {reason}" for name, reason in refused))
