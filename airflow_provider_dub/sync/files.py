"""The rows of a file of JSON lines, CSV or Parquet, read in bounded memory and as often as needed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import IO, Any

from airflow_provider_dub.sync.arrow import imported_pyarrow, objects
from airflow_provider_dub.sync.rows import CountedRows, cells_of_mappings, distinct
from airflow_provider_dub.sync.shown import path_shown

#: The kinds of files, by the end of their names; each may be compressed (``.csv.gz``), but for Parquet.
_JSON_LINES, _CSV, _PARQUET = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv"), (".parquet", ".pq")
_SUFFIXES = (*_JSON_LINES, *_CSV, *_PARQUET)
_CHUNK = 4096
#: Of a Parquet column, so that a large row group is not held as a whole.
_BUFFER = 2**20
#: The longest line that is read: a customer's row has a few kilobytes.
_LONGEST_LINE = 8 * 2**20
#: What stands between the cells of a CSV file, if its header has no comma.
_OTHER_DELIMITERS = ";\t|"


def is_named_like_rows(name: str) -> bool:
    """Return whether a file's name says that it holds rows.

    :param name: The name.
    """
    return name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def rows_of_file(path: Any) -> CountedRows:
    """Return the rows of a file; what it holds follows from the end of its name.

    :param path: A path with ``open`` and ``name``, of pathlib or Airflow's ``ObjectStoragePath``.
    :raises ValueError: The name has another end, or the file holds something else.
    :raises FileNotFoundError: There is no such file.
    :raises ModuleNotFoundError: pyarrow is needed for Parquet and not installed.
    """
    name = str(path.name).lower()
    plain_name = name.removesuffix(".gz")
    for suffixes, rows in ((_JSON_LINES, JsonLinesRows), (_CSV, CsvRows)):
        if plain_name.endswith(suffixes):
            return rows(path)
    if name.endswith(_PARQUET):
        return ParquetRows(path)
    raise ValueError(
        f"customers: the name of the file {path_shown(path)} must say what it holds: it must end with one of "
        f"{', '.join(_SUFFIXES)} (all but Parquet may be compressed, and then end with .gz)."
    )


@contextmanager
def _opened(path: Any) -> Iterator[Any]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"customers: there is no file {path_shown(path)}.") from None
    except IsADirectoryError:
        raise ValueError(f"customers: {path_shown(path)} is a directory; name the files in it, as a list.") from None
    with file:
        if str(path.name).lower().endswith(".gz"):
            try:
                with gzip.open(file) as plain:
                    yield plain
            except (EOFError, gzip.BadGzipFile, zlib.error):
                raise ValueError(f"customers: the file {path_shown(path)} is damaged or cut off.") from None
        else:
            yield file


class _FileRows:
    """What the kinds of files share.

    :param path: The path of the file.
    """

    def __init__(self, path: Any) -> None:
        self._path = path
        self.columns: list[Any] = []
        self._count = 0
        #: The next row to be read whole, and what reads it and those after it.
        self._reading = (0, self._records(None))

    @property
    def paths(self) -> list[Any]:
        """The files that are read."""
        return [self._path]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the cells of these columns, row by row."""
        read = 0
        for cells in cells_of_mappings(self._records(columns), columns):
            read += 1
            if read > self._count:
                break
            yield cells
        if read != self._count:
            raise ValueError(f"customers: the file {path_shown(self._path)} was changed while it was read.")

    def whole(self, row: int) -> dict[str, Any]:
        """Return one row with all its columns; it is fastest if rows are asked for in order."""
        following, records = self._reading
        if row < following:
            following, records = 0, self._records(None)
        self._reading = (row + 1, records)
        record = next(islice(records, row - following, None), None)
        return dict(record or {})

    def _records(self, columns: Sequence[str] | None) -> Iterator[Mapping[str, Any] | None]:
        """Yield the rows, with at least these columns; None for what is not a row.

        Where no columns are named, all are meant, and what is not a row is there as it is, as ``row``.
        """
        raise NotImplementedError


class JsonLinesRows(_FileRows):
    """The rows of a file with one JSON object per line, such as the file of rejected rows.

    :param path: The path of the file.
    """

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        names: dict[str, None] = {}
        good = 0
        for record in self._records(()):
            self._count += 1
            if record is not None:
                good += 1
                names |= dict.fromkeys(record)
        if self._count and not good:
            raise ValueError(
                f"customers: no line of the file {path_shown(path)} is a JSON object; a file of JSON lines has one for "
                "each row."
            )
        self.columns = [*names]

    def _records(self, columns: Sequence[str] | None) -> Iterator[Mapping[str, Any] | None]:
        with _opened(self._path) as file:
            for line in _lines(file):
                if line is None or line.strip():
                    found = _json_object(line)
                    is_kept = found is None and columns is None
                    yield {"row": (line or b"").decode(errors="replace")} if is_kept else found


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Yield the lines of a file; None for one that is too long."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST_LINE)
        yield None


def _json_object(line: bytes | None) -> Mapping[str, Any] | None:
    try:
        found = json.loads((line or b"").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class CsvRows(_FileRows):
    """The rows of a CSV file in UTF-8 whose first line has the names of the columns.

    :param path: The path of the file.
    """

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        with self._reader() as reader:
            rows = self._rows(reader)
            header = next(rows, [])
            self.columns = list(header)
            self._names = distinct(header)
            self._count = sum(1 for _ in rows)

    def _records(self, columns: Sequence[str] | None) -> Iterator[Mapping[str, Any] | None]:
        with self._reader() as reader:
            rows = self._rows(reader)
            next(rows, None)
            for row in rows:
                if len(row) == len(self._names):
                    yield dict(zip(self._names, row, strict=True))
                else:  # it is not known which of the cells belongs to which column
                    yield {"row": row} if columns is None else None

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        with (
            _opened(self._path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            lines = self._lines(text)
            header = next(lines, "")
            if header.startswith(("\udcff\udcfe", "\udcfe\udcff")):
                raise ValueError(f"customers: the file {path_shown(self._path)} must be in UTF-8; it is in UTF-16.")
            others = [delimiter for delimiter in _OTHER_DELIMITERS if delimiter in header]
            yield csv.reader(
                chain([header], lines), delimiter=others[0] if others and "," not in header else ",", strict=True
            )

    def _lines(self, text: IO[str]) -> Iterator[str]:
        while line := text.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise ValueError(f"customers: the file {path_shown(self._path)} has a line that is too long for CSV.")
            yield line

    def _rows(self, reader: Any) -> Iterator[list[str]]:
        """Yield the rows but for empty lines."""
        try:
            yield from filter(None, reader)
        except csv.Error:
            # After it nothing is certain: what a quote holds might be taken for rows.
            raise ValueError(
                f"customers: the file {path_shown(self._path)} is not valid CSV at or before line {reader.line_num}: a "
                "quote is not closed or not doubled, or a cell is longer than 131,072 characters. Nothing was sent."
            ) from None


class ParquetRows(_FileRows):
    """The rows of a Parquet file.

    :param path: The path of the file.
    :raises ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        imported_pyarrow("A Parquet file")
        with self._file() as file:
            self.columns = list(file.schema_arrow.names)
            self._count = file.metadata.num_rows

    def _records(self, columns: Sequence[str] | None) -> Iterator[Mapping[str, Any] | None]:
        if columns is not None and any("." in column for column in columns):
            columns = None  # there a dot names a part of a column
        with self._file() as file:
            for batch in file.iter_batches(_CHUNK, columns=columns):
                names = distinct(batch.schema.names)
                for row in zip(*map(objects, batch.columns), strict=True):
                    yield dict(zip(names, row, strict=True))

    @contextmanager
    def _file(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with _opened(self._path) as stream:
            try:
                file = pq.ParquetFile(stream, buffer_size=_BUFFER)
            except pa.ArrowInvalid:
                raise ValueError(f"customers: the file {path_shown(self._path)} is not a Parquet file.") from None
            yield file
