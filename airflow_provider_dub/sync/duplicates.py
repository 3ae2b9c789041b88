"""Rows that name the same customer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy.typing as npt


def repeated_ids(customer_ids: Callable[[], Iterable[str | None]]) -> dict[str, tuple[int, int]]:
    """Return the ids that several rows have, each with the first and the last of these rows.

    A million ids are not kept: only their hashes, and of ids only those whose hash occurs twice.

    :param customer_ids: Returns the ids of all rows, in order, from the start; called up to twice.
    """
    import numpy as np

    hashes: npt.NDArray[np.int64] = np.fromiter((hash(one) for one in customer_ids() if one is not None), np.int64)
    hashes.sort()
    twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    rows: dict[str, tuple[int, int]] = {}
    for row, customer_id in enumerate(customer_ids() if twice else ()):
        if customer_id is not None and hash(customer_id) in twice:
            first, _ = rows.get(customer_id, (row, row))
            rows[customer_id] = first, row
    return rows
