"""Rows of a query, kept in a file without a name: the warehouse is read quickly and Dub is updated slowly."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

Row = tuple[Any, ...]


class Spool:
    """Rows in the order in which they came, in a temporary file that only this process can reach.

    :param batches: The rows, as the cursor fetches them.
    """

    def __init__(self, batches: Iterable[Sequence[Row]]) -> None:
        self._file = tempfile.TemporaryFile(prefix="dub-rows-")  # noqa: SIM115 - it lives as long as this object
        self._starts: list[tuple[int, int]] = []  # of each batch: its first row, its place in the file
        self._cached: tuple[int, list[Row]] = (-1, [])
        self._count = 0
        for batch in batches:
            self._starts.append((self._count, self._file.tell()))
            pickle.dump([tuple(map(_plain, row)) for row in batch], self._file, pickle.HIGHEST_PROTOCOL)
            self._count += len(batch)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows, a batch in memory at a time."""
        for number in range(len(self._starts)):
            yield from self._load(number)

    def __getitem__(self, row: int) -> Row:
        """Return one row; fast for rows that are asked for in order."""
        from bisect import bisect_right

        number = bisect_right(self._starts, row, key=lambda start: start[0]) - 1
        if self._cached[0] != number:
            self._cached = (number, self._load(number))
        return self._cached[1][row - self._starts[number][0]]

    def _load(self, number: int) -> list[Row]:
        self._file.seek(self._starts[number][1])
        batch: list[Row] = pickle.load(self._file)  # noqa: S301 - the file is ours alone
        return batch


def _plain(cell: Any) -> Any:
    return bytes(cell) if isinstance(cell, memoryview) else cell
