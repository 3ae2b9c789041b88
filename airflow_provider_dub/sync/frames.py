"""The rows of a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers.converters import is_missing
from airflow_provider_dub.sync.rows import distinct

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 4096


class FrameRows:
    """The rows of a DataFrame, read in chunks so that no second copy of it arises.

    :param frame: The DataFrame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._names = distinct(frame.columns)
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
    dtype: Any = series.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        import pyarrow

        from airflow_provider_dub.sync.arrow import objects

        return objects(pyarrow.array(series.array))
    cells = series.tolist()
    narrow = _narrow_float(dtype)
    # tolist() widens it, and an id could seem exact that is not.
    return cells if narrow is None else [cell if is_missing(cell) else narrow(cell) for cell in cells]


def _narrow_float(dtype: Any) -> type[Any] | None:
    """Return the type of a column's floats if they are narrower than Python's; they may be inside another type."""
    for inside in ("categories", "subtype", "numpy_dtype"):
        if (inner := getattr(dtype, inside, None)) is not None:
            return _narrow_float(getattr(inner, "dtype", inner))
    is_narrow = getattr(dtype, "kind", "") == "f" and getattr(dtype, "itemsize", 8) < 8
    return dtype.type if is_narrow else None
