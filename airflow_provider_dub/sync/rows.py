"""The rows of an input, whatever its kind: a DataFrame, mappings, one mapping, or an iterator of mappings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from airflow_provider_dub.customers.converters import is_missing

if TYPE_CHECKING:
    import pandas as pd

#: The cell of a row that does not have the column at all. Unlike an empty cell it never clears a field.
ABSENT: Final = object()

_CHUNK = 4096


@runtime_checkable
class Rows(Protocol):
    """Rows that can be read by column."""

    #: The names of all columns, or None where they are only known row by row.
    columns: list[Any] | None

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row; a row that is no mapping yields an empty tuple."""

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns, for the file of rejected rows."""


class CountedRows(Rows, Protocol):
    """Rows whose number is known, and which can be read again."""

    def __len__(self) -> int: ...


def rows_of(customers: Any) -> Rows:
    """Wrap an input; one that is wrapped already stays as it is.

    :param customers: A pandas DataFrame, a sequence of mappings, one mapping, or an iterator of mappings.
    :raises TypeError: It is none of these.
    """
    if isinstance(customers, Rows):
        return customers
    if hasattr(customers, "iloc") and hasattr(customers, "columns"):
        return FrameRows(customers)
    if isinstance(customers, Mapping):
        return MappingRows([customers])
    if isinstance(customers, Sequence) and not isinstance(customers, str | bytes | bytearray):
        # A lazy sequence, such as Airflow's of mapped tasks, fetches an item each time that it is looked at.
        return MappingRows(customers if isinstance(customers, list | tuple) else list(customers))
    if isinstance(customers, Iterator):
        return StreamedRows(customers)
    raise TypeError(
        "customers must be a pandas DataFrame, a list or tuple of mappings, one mapping or an iterator of mappings, "
        f"not {type(customers).__name__}."
    )


class FrameRows:
    """The rows of a DataFrame, read in chunks so that no second copy of it arises."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._names = _distinct(frame.columns)
        self._chunk: tuple[int, list[tuple[Any, ...]]] = (-1, [])
        self.columns: list[Any] | None = list(frame.columns)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._frame)

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        if self._frame.empty:
            return
        series = [self._series(column) for column in columns]
        for start in range(0, len(self._frame), _CHUNK):
            yield from zip(*(_objects(one.iloc[start : start + _CHUNK]) for one in series), strict=True)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns."""
        start = row - row % _CHUNK
        if self._chunk[0] != start:
            columns = range(self._frame.shape[1])
            rows = zip(*(_objects(self._frame.iloc[start : start + _CHUNK, at]) for at in columns), strict=True)
            self._chunk = (start, list(rows))
        return dict(zip(self._names, self._chunk[1][row - start], strict=True))

    def _series(self, column: str) -> pd.Series[Any]:
        places = [at for at, name in enumerate(self._frame.columns) if isinstance(name, str) and name == column]
        if len(places) != 1:
            raise ValueError(f'The DataFrame has {len(places)} columns named "{column}"; it must have one.')
        return self._frame.iloc[:, places[0]]


def _objects(series: pd.Series[Any]) -> list[Any]:
    cells = series.tolist()
    dtype: Any = getattr(series.dtype, "numpy_dtype", series.dtype)
    if (
        dtype.kind == "f" and getattr(dtype, "itemsize", 8) < 8
    ):  # tolist() widens it, and an id could seem exact that is not
        return [cell if is_missing(cell) else dtype.type(cell) for cell in cells]
    return cells


def _distinct(names: Iterable[Any]) -> list[str]:
    """Return column names as text, numbered where they would be the same."""
    counts: Counter[str] = Counter()
    distinct = []
    for name in map(str, names):
        counts[name] += 1
        distinct.append(name if counts[name] == 1 else f"{name}.{counts[name]}")
    return distinct


class MappingRows:
    """Rows that are mappings from column to cell; each may have columns of its own."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows
        self.columns: list[Any] | None = list(
            dict.fromkeys(name for row in rows if isinstance(row, Mapping) for name in row)
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        return _cells_of(self._rows, columns)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns."""
        found = self._rows[row]
        return (
            dict(zip(_distinct(found), found.values(), strict=True)) if isinstance(found, Mapping) else {"row": found}
        )


class StreamedRows:
    """Rows that can be read only once, as they are needed."""

    columns: list[Any] | None = None

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        return _cells_of(self._rows, columns)

    def whole(self, row: int) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: a row is gone once it was read."""
        return {}


def _cells_of(rows: Iterable[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        yield tuple([row.get(column, ABSENT) for column in columns]) if isinstance(row, Mapping) else ()
