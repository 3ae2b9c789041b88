"""The rows of an input, whatever its kind: frames, mappings, files, several of them, or an iterator of mappings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any, cast

from airflow_provider_dub.customers.cells import GIVEN_TWICE
from airflow_provider_dub.customers.fields import field_named, normalized_name
from airflow_provider_dub.sync.arrow import ArrowRows
from airflow_provider_dub.sync.files import is_named_like_rows, rows_of_file
from airflow_provider_dub.sync.frames import FrameRows
from airflow_provider_dub.sync.rows import ABSENT, CountedRows, Rows, cells_of_mappings, distinct

_KINDS = (
    "a pandas or polars DataFrame, a list of mappings, one mapping, an Arrow table, or the path or URI of a file of "
    "JSON lines, CSV or Parquet (.jsonl, .csv, .parquet)"
)
_ROWS_NEEDED = (
    'each row must be a mapping from column to cell, such as {"id": "cus_1", "email": "jo@example.com"}. The result of '
    "a query is sent by SqlToDubCustomersOperator, or as a DataFrame (get_df of its hook)."
)
_LONGEST_PATH = 2_000
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def rows_of(customers: Any, *, path_of: Callable[[str], Any] | None = None) -> Rows:
    """Wrap an input; one that is wrapped already stays as it is.

    :param customers: A DataFrame of pandas, polars or another library that speaks Arrow, an Arrow table, a sequence of
        mappings, one mapping, a file or its path or URI, a sequence of these, or an iterator of mappings.
    :param path_of: Returns the path that a text names, such as Airflow's ``ObjectStoragePath``, which knows URIs, too.
        By default a text names a local file.
    :raises TypeError: It is none of these; the message says what is needed, and quotes nothing.
    :raises ValueError: A file cannot be read as what its name says.
    :raises FileNotFoundError: There is no such file.
    :raises ModuleNotFoundError: The package that reads it is not installed.
    """
    if all(hasattr(type(customers), method) for method in ("cells", "whole")):
        return customers  # type: ignore[no-any-return]
    path_of = path_of or _local_path
    if isinstance(customers, Mapping):
        return _rows_of_mapping(customers)
    if _is_frame(customers):
        return FrameRows(customers)
    if _is_arrow(customers):
        return ArrowRows(customers)
    if is_file(customers):
        return rows_of_file(path_of(customers) if isinstance(customers, str) else customers)
    if isinstance(customers, list | tuple) or _is_lazy(customers):
        return _rows_of_sequence(_fetched(customers), path_of)
    if isinstance(customers, Iterator):
        return StreamedRows(customers)
    raise TypeError(_what_is_needed(customers))


def _local_path(text: str) -> Path:
    if _URI.match(text):
        raise ValueError("customers: a URI is read here as ObjectStoragePath(uri); text alone names a local file.")
    return Path(text)


def _rows_of_mapping(customers: Mapping[Any, Any]) -> MappingRows:
    if customers and all(isinstance(cell, list | tuple | Mapping) for cell in customers.values()):
        raise TypeError(
            "customers is a mapping whose values are lists or mappings, as DataFrame.to_dict() makes them; one mapping "
            'must be one row. Pass the DataFrame itself, or to_dict("records").'
        )
    return MappingRows([customers])


def _rows_of_sequence(items: Sequence[Any], path_of: Callable[[str], Any]) -> CountedRows:
    items = [*map(_fetched, items)] if any(map(_is_lazy, items)) else items
    # A text among rows is a malformed row, not a file.
    are_inputs = any(_is_input(item) for item in items if not (_is_row(item) or isinstance(item, str)))
    known = next((item for item in items if _is_row(item) or _is_input(item)), None)
    if not items or (_is_row(known) and not are_inputs):
        return MappingRows(items)
    if known is None:
        kinds = " and ".join(sorted({type(item).__name__ for item in items[:100]}))
        raise TypeError(
            f"customers is a {type(items).__name__} of {kinds}, which have no names of columns: {_ROWS_NEEDED}"
        )
    return JoinedRows([_part(number, item, path_of) for number, item in enumerate(items)])


def _part(number: int, item: Any, path_of: Callable[[str], Any]) -> CountedRows:
    if not (isinstance(item, Mapping) or _is_input(item)):
        raise TypeError(
            f"customers holds several inputs, and number {number} (from 0) is of the kind {type(item).__name__}: each "
            f"must be {_KINDS}."
        )
    return cast("CountedRows", rows_of(item, path_of=path_of))


def _is_row(item: Any) -> bool:
    return isinstance(item, Mapping) or _is_named_tuple(item)


def _is_named_tuple(item: Any) -> bool:
    """Return whether an item is a named tuple, or a row of SQLAlchemy, which is like one."""
    return isinstance(item, Sequence) and hasattr(item, "_fields") and hasattr(item, "_asdict")


def _is_input(item: Any) -> bool:
    """Return whether an item of a sequence is rows itself."""
    if isinstance(item, list | tuple) and not _is_named_tuple(item):
        return not item or any(_is_row(inner) or _is_input(inner) for inner in item)
    return _is_frame(item) or _is_arrow(item) or is_file(item)


def _is_lazy(item: Any) -> bool:
    """Return whether an item is a sequence such as Airflow's of mapped tasks, which fetches a part at each look."""
    is_here = isinstance(item, list | tuple | str | bytes | bytearray) or _is_named_tuple(item)
    return isinstance(item, Sequence) and not is_here


def _fetched(item: Any) -> Any:
    return list(item) if _is_lazy(item) else item


def _is_frame(item: Any) -> bool:
    return hasattr(item, "iloc") and hasattr(item, "columns")


def _is_arrow(item: Any) -> bool:
    return hasattr(item, "__arrow_c_stream__") or hasattr(item, "__arrow_c_array__")


def is_file(item: Any) -> bool:
    """Return whether an input is a file: an object that can be opened and has a name, or the path or URI of one.

    :param item: Any input.
    """
    return _is_file_name(item) if isinstance(item, str) else hasattr(item, "open") and hasattr(item, "name")


def _is_file_name(text: str) -> bool:
    """Return whether a text is the path or URI of a file, rather than rows that became text."""
    if len(text) > _LONGEST_PATH or not text.isprintable() or text.startswith(("[", "{", "(", "<")):
        return False
    return is_named_like_rows(text) or text.startswith("/") or _URI.match(text) is not None


def _what_is_needed(customers: Any) -> str:
    if isinstance(customers, str):
        return (
            f"customers must be {_KINDS}, not other text. A template such as {{{{ ti.xcom_pull('task') }}}} becomes "
            "text: pass the output of the task itself, task.output, or set render_template_as_native_obj=True on the "
            "DAG."
        )
    if customers is None:
        return (
            f"customers must be {_KINDS}, not None. If it is the output of a task, that task was skipped, did not run "
            "or returned nothing: let it return [] when there are no rows."
        )
    collect = " Collect it into a DataFrame first." if callable(getattr(customers, "collect", None)) else ""
    return f"customers must be {_KINDS}, not {type(customers).__name__}.{collect}"


class MappingRows:
    """Rows that are mappings from column to cell, or named tuples; each may have columns of its own.

    :param rows: The rows.
    """

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows
        self.columns = list(dict.fromkeys(name for row in rows for name in _mapping(row) or ()))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        return cells_of_mappings(map(_mapping, self._rows), columns)

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns."""
        found = _mapping(self._rows[row])
        return {"row": self._rows[row]} if found is None else dict(zip(distinct(found), found.values(), strict=True))


def _mapping(row: Any) -> Mapping[Any, Any] | None:
    if isinstance(row, Mapping):
        return row
    return row._asdict() if _is_named_tuple(row) else None


class StreamedRows:
    """Rows that can be read only once, as they are needed; their columns may be written in any way.

    :param rows: Yields the rows.
    """

    columns = None

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        names: dict[tuple[Any, ...], list[Any]] = {}
        for row in map(_mapping, self._rows):
            if row is None:
                yield ()
                continue
            found = tuple(row)
            if found not in names:
                if len(names) > _SHAPES_KEPT:
                    names.clear()
                names[found] = [_name_in(column, found, columns) for column in columns]
            yield tuple([row.get(name, ABSENT) if name is not GIVEN_TWICE else name for name in names[found]])

    def whole(self, row: int) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: a row is gone once it was read."""
        return {}


#: Rows with the same columns are looked up once; rows that have all other columns do not fill the memory.
_SHAPES_KEPT = 1_000


def _name_in(column: str, found: Sequence[Any], columns: Sequence[str]) -> Any:
    """Return the name by which a row has a column; two names for one field leave it open which is meant."""
    if column in found and field_named(column) is None:
        return column
    matching = [name for name in found if isinstance(name, str) and normalized_name(name) == normalized_name(column)]
    matching = [name for name in matching if name == column or name not in columns]
    return GIVEN_TWICE if len(matching) > 1 else next(iter(matching), column)


class JoinedRows:
    """Several inputs, read as one after the other.

    :param parts: The inputs.
    """

    def __init__(self, parts: Sequence[CountedRows]) -> None:
        self._parts = parts
        #: The files that are read.
        self.paths = [path for part in parts for path in getattr(part, "paths", ())]
        self._ends = list(accumulate(len(part) for part in parts))
        most: Counter[Any] = Counter()
        for part in parts:
            most |= Counter(part.columns)  # what a part has twice is there twice
        self.columns = list(most.elements())

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        for part in self._parts:
            has = [column for column in columns if column in part.columns]
            if len(has) == len(columns):
                yield from part.cells(columns)
                continue
            if not has:  # an input that is asked for no column may have no rows to give
                yield from repeat((ABSENT,) * len(columns), len(part))
                continue
            places = [has.index(column) if column in has else None for column in columns]
            for cells in part.cells(has):
                # No cells: the row is not a mapping.
                yield tuple([ABSENT if place is None else cells[place] for place in places]) if cells else ()

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns."""
        number = bisect_right(self._ends, row)
        return self._parts[number].whole(row - (self._ends[number - 1] if number else 0))
