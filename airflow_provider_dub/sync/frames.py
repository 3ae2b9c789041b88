"""The rows of a pandas DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers.converters import is_missing
from airflow_provider_dub.sync.arrow import objects
from airflow_provider_dub.sync.rows import RowsOfColumns

if TYPE_CHECKING:
    import pandas as pd


class FrameRows(RowsOfColumns):
    """The rows of a DataFrame.

    :param frame: The DataFrame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__(frame.columns, len(frame))
        self._frame = frame

    def _column(self, place: int, start: int) -> list[Any]:
        return _objects(self._frame.iloc[start : start + self.AT_ONCE, place])


def _objects(series: pd.Series[Any]) -> list[Any]:
    dtype: Any = series.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        import pyarrow

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
