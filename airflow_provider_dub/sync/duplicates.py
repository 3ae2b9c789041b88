"""Rows that name the same customer, and rows whose ids Dub cannot tell apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OnDuplicate: TypeAlias = Literal["fail", "last"]


class Duplicates:
    """Knows the rows whose customer another row names too, before any of them is sent.

    A million ids are not kept: only their hashes, and of ids only those whose hash occurs twice.

    :param customer_ids: Returns the ids of all rows, in order, from the start; called up to twice.
    """

    def __init__(self, customer_ids: Callable[[], Iterable[str | None]]) -> None:
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._spellings: dict[str, set[str]] = {}
        repeated = _repeated(_hashes(customer_ids()))
        if not repeated:
            return
        for row, customer_id in enumerate(customer_ids()):
            if customer_id is not None and hash(folded := _folded(customer_id)) in repeated:
                self._first.setdefault(customer_id, row)
                self._last[customer_id] = row
                self._spellings.setdefault(folded, set()).add(customer_id)

    def first_row(self, customer_id: str, row: int) -> int:
        """Return the first row that names the customer of this row."""
        return self._first.get(customer_id, row)

    def last_row(self, customer_id: str, row: int) -> int:
        """Return the last row that names the customer of this row."""
        return self._last.get(customer_id, row)

    def has_look_alike(self, customer_id: str) -> bool:
        """Tell whether another row spells the id differently, in a way that Dub does not distinguish."""
        return bool(self._spellings) and len(self._spellings.get(_folded(customer_id), ())) > 1


class SeenSoFar(Duplicates):
    """Learns the duplicates of rows that can be read only once; keeps every id that it has seen.

    Of two ids that look alike it knows only the later one.
    """

    def __init__(self) -> None:
        super().__init__(lambda: ())

    def first_row(self, customer_id: str, row: int) -> int:
        """Return the first row so far that names the customer of this row."""
        self._spellings.setdefault(_folded(customer_id), set()).add(customer_id)
        return self._first.setdefault(customer_id, row)


def _folded(customer_id: str) -> str:
    """Return what Dub's database compares, near enough: no case, no accents, no trailing blanks."""
    if not customer_id.isascii():
        customer_id = "".join(c for c in unicodedata.normalize("NFKD", customer_id) if not unicodedata.combining(c))
    return customer_id.casefold().rstrip()


def _hashes(customer_ids: Iterable[str | None]) -> Iterator[int]:
    return (hash(_folded(customer_id)) for customer_id in customer_ids if customer_id is not None)


def _repeated(hashes: Iterator[int]) -> set[int]:
    import numpy as np

    ordered: npt.NDArray[np.int64] = np.fromiter(hashes, dtype=np.int64)
    ordered.sort()
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
