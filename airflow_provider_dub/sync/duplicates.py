"""Rows that name the same customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Duplicates:
    """Knows the rows whose customer another row names too, before any of them is sent.

    A million ids are not kept: only their hashes, and of ids only those whose hash occurs twice.

    :param customer_ids: Returns the ids of all rows, in order, from the start; called up to twice.
    """

    def __init__(self, customer_ids: Callable[[], Iterable[str | None]]) -> None:
        self._rows: dict[str, tuple[int, int]] = {}
        repeated = _repeated(_hashes(customer_ids()))
        if not repeated:
            return
        for row, customer_id in enumerate(customer_ids()):
            if customer_id is not None and hash(customer_id) in repeated:
                first, _ = self._rows.get(customer_id, (row, row))
                self._rows[customer_id] = first, row

    def first_and_last(self, customer_id: str, row: int) -> tuple[int, int]:
        """Return the first and the last row that name the customer of this row.

        :param customer_id: The customer.
        :param row: The row.
        """
        return self._rows.get(customer_id, (row, row))


class SeenSoFar:
    """Learns the duplicates of rows that can be read only once, as it is asked about each in order; keeps every id."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    def first_and_last(self, customer_id: str, row: int) -> tuple[int, int]:
        """Return the first row so far that names the customer of this row, and this one: no later row is known."""
        return self._first.setdefault(customer_id, row), row


def _hashes(customer_ids: Iterable[str | None]) -> Iterator[int]:
    return (hash(customer_id) for customer_id in customer_ids if customer_id is not None)


def _repeated(hashes: Iterator[int]) -> set[int]:
    import numpy as np

    ordered: npt.NDArray[np.int64] = np.fromiter(hashes, dtype=np.int64)
    ordered.sort()
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
