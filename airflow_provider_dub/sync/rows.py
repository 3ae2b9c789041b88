"""Rows that can be read by column, and what all kinds of them share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, Protocol

#: The cell of a row that does not have the column at all. Unlike an empty cell it never clears a field.
ABSENT: Final = object()


class Rows(Protocol):
    """Rows that can be read by column."""

    @property
    def columns(self) -> list[Any] | None:
        """The names of all columns, or None where they are only known row by row."""

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row; a row that is not a mapping yields an empty tuple."""

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns, for the file of rejected rows."""


class CountedRows(Rows, Protocol):
    """Rows whose number and columns are known, and which can be read again."""

    @property
    def columns(self) -> list[Any]:
        """The names of all columns."""

    def __len__(self) -> int: ...


class RowsOfColumns:
    """Rows of what is stored by columns, read some at a time so that no second copy of it arises.

    :param names: The names of the columns.
    :param count: The number of rows.
    """

    #: Rows that are read at a time.
    AT_ONCE = 4096

    def __init__(self, names: Iterable[Any], count: int) -> None:
        self.columns = list(names)
        self._names = distinct(self.columns)
        self._count = count
        self._last_read: tuple[int, list[tuple[Any, ...]]] = (-1, [])

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        if not self._count:  # then columns may be missing
            return
        names = [name if isinstance(name, str) else None for name in self.columns]
        places = [names.index(column) for column in columns]
        for start in range(0, self._count, self.AT_ONCE):
            yield from self._rows(places, start)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns; it is fastest if rows are asked for in order."""
        start = row - row % self.AT_ONCE
        if self._last_read[0] != start:
            self._last_read = (start, list(self._rows(range(len(self._names)), start)))
        return dict(zip(self._names, self._last_read[1][row - start], strict=True))

    def _rows(self, places: Iterable[int], start: int) -> Iterator[tuple[Any, ...]]:
        return zip(*(self._column(place, start) for place in places), strict=True)

    def _column(self, place: int, start: int) -> list[Any]:
        """Return the next cells of a column, as Python's objects."""
        raise NotImplementedError


def distinct(names: Iterable[Any]) -> list[str]:
    """Return column names as text, numbered where they would be the same; a name that is there once stays as it is.

    :param names: The names.
    """
    given = [*names]
    taken = {name for name in given if isinstance(name, str)}
    numbered: dict[str, None] = {}
    for original in given:
        name = str(original)
        if name in numbered or (name in taken and not isinstance(original, str)):
            others = (f"{name}.{number}" for number in count(2))
            name = next(one for one in others if one not in numbered and one not in taken)
        numbered[name] = None
    return [*numbered]


def cells_of_mappings(rows: Iterable[Mapping[Any, Any] | None], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of these columns; none for a row that is not a mapping.

    :param rows: The rows.
    :param columns: The columns.
    """
    for row in rows:
        yield () if row is None else tuple([row.get(column, ABSENT) for column in columns])
