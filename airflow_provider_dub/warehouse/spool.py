"""Rows of a query, kept in a file without a name: the warehouse is read quickly and Dub is updated slowly."""

from __future__ import annotations

import copyreg
import pickle
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from airflow_provider_dub.exceptions import DubRetryLaterError

Row = tuple[Any, ...]

#: Batches in memory: rows are read ahead of those whose results are written.
_BATCHES_KEPT = 2


class Spool:
    """Rows in the order in which they came, in a temporary file that only this process can reach.

    :raises DubRetryLaterError: There is no place for it.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="dub-rows-")  # noqa: SIM115 - it lives as long as this object
        except FileNotFoundError:  # so Python says, too, where every disk is full
            raise DubRetryLaterError(
                "This worker has no folder for temporary files that can be written, or their disks are full. Set "
                "TMPDIR to one that has room for the rows of the query."
            ) from None
        self._firsts: list[int] = []  # of each batch: its first row...
        self._places: list[int] = []  # ...and its place in the file
        self._count = 0
        self._batch = lru_cache(_BATCHES_KEPT)(self._load)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a full disk again, on which nobody needs the rows any more
            self._file.close()

    def add(self, batch: Sequence[Row]) -> None:
        """Add rows; before any is read.

        :param batch: Rows, as the cursor fetches them.
        """
        if batch:
            self._firsts.append(self._count)
            self._places.append(self._file.tell())
            self._dump([*map(tuple, batch)])
            self._count += len(batch)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows, few batches in memory at a time."""
        for number in range(len(self._places)):
            yield from self._batch(number)

    def __getitem__(self, row: int) -> Row:
        """Return one row; fast for rows that are asked for in order."""
        number = bisect_right(self._firsts, row) - 1
        return self._batch(number)[row - self._firsts[number]]

    def _dump(self, batch: list[Row]) -> None:
        pickler = pickle.Pickler(self._file, pickle.HIGHEST_PROTOCOL)
        of_drivers: dict[type, Callable[[Any], Any]] = {memoryview: lambda memory: (bytes, (memory.tobytes(),))}
        pickler.dispatch_table = copyreg.dispatch_table | of_drivers
        with _folder_named():
            pickler.dump(batch)

    def _load(self, number: int) -> list[Row]:
        with _folder_named():
            self._file.seek(self._places[number])  # which writes the last rows, if they are still in memory
        batch: list[Row] = pickle.load(self._file)  # noqa: S301 - the file is ours alone
        return batch


@contextmanager
def _folder_named() -> Iterator[None]:
    """Name the folder of the file in an error: the system does not know it, and several disks may be full."""
    try:
        yield
    except OSError as error:
        error.filename = tempfile.gettempdir()
        raise
