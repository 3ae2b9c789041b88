"""The rows of an Arrow table, and of whatever frame can be read as one without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_dub.sync.rows import RowsOfColumns

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowStream(Protocol):
    """A frame or table that speaks Arrow."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return its rows; Arrow's own protocol."""


class UnreadableCell:
    """In the place of a cell that Python cannot hold, such as a date in the year 20000; no field takes it."""


class ArrowRows(RowsOfColumns):
    """The rows of whatever has Arrow's PyCapsule interface: Arrow tables and batches, frames of polars and others.

    :param source: An object with ``__arrow_c_stream__`` or ``__arrow_c_array__``.
    :raises ModuleNotFoundError: pyarrow is not installed.
    :raises TypeError: It has no columns.
    """

    def __init__(self, source: Any) -> None:
        arrow = imported_pyarrow(f"A {type(source).__name__}")
        try:
            table: pa.Table = arrow.table(source)
        except Exception as error:
            raise TypeError(
                f"customers is of the kind {type(source).__name__}, which cannot be read as an Arrow table "
                f"({type(error).__name__}): it must have columns, all of them of types that Arrow has."
            ) from None
        super().__init__(table.column_names, table.num_rows)
        self._table = table

    def _column(self, place: int, start: int) -> list[Any]:
        return objects(self._table.column(place).slice(start, self.AT_ONCE))


def imported_pyarrow(what: str) -> Any:
    """Return the module pyarrow.

    :param what: What needs it.
    :raises ModuleNotFoundError: It is not installed; the message says how to install it.
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f'{what} is read with pyarrow, which is not installed: pip install "airflow-provider-dub[arrow]".'
        ) from None
    return pa


def objects(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the cells of a column as Python's objects; narrow floats as numpy's, which say how narrow they are.

    :param column: An array, or a chunked one.
    """
    import pyarrow as pa

    try:
        column = _plain(column)
        cells: list[Any] = column.to_pylist()
    except Exception:  # one cell is enough, such as a date in the year 20000, or text that is not UTF-8
        cells = [_object(cell) for cell in column]
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        import numpy as np

        narrow: Any = np.float32 if pa.types.is_float32(column.type) else np.float16
        return [None if cell is None else narrow(cell) for cell in cells]
    return cells


def _object(cell: pa.Scalar[Any]) -> Any:
    try:
        return cell.as_py()
    except Exception:
        return UnreadableCell()


def _plain(column: Any) -> Any:
    """Return a column without what stands around its values: a dictionary, runs, an extension, a zone, nanoseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(column))
    if isinstance(kind, pa.BaseExtensionType) and pa.types.is_floating(kind.storage_type):
        return _plain(column.cast(kind.storage_type))
    if pa.types.is_timestamp(kind) and (kind.tz is not None or kind.unit == "ns"):
        is_too_fine = kind.unit == "ns"
        unit = "us" if is_too_fine else kind.unit
        return column.cast(pa.timestamp(unit, "UTC" if kind.tz else None), safe=not is_too_fine)
    return column
