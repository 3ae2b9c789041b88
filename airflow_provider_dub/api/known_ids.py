"""Which external ids exist in Dub, to the letter.

Dub finds ``USER_1`` when asked for ``user_1``, and tells only in the answer, when an update is done. An id that exists
exactly so cannot be mistaken, since external ids are unique in that same comparison. Any other must be looked up
before it is updated. Reading the list of customers, 100 in a request, spares a run nearly all of these look-ups, and
so does an answer that Dub gave in an earlier run.

Source: Dub's server, measured in August 2026.
"""

from __future__ import annotations

import logging
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from airflow_provider_dub.exceptions import DubError

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer

log = logging.getLogger(__name__)

PAGE_SIZE = 100
#: The list is read page after page and look-ups side by side, so it must spare this many for each page.
_SPARED_BY_A_PAGE = 4


class Customers(Protocol):
    """What can count and list customers."""

    def count_customers(self) -> int:
        """Return how many there are."""

    def list_customers(self) -> Iterator[Customer]:
        """Yield them all."""


class KnownIds:
    """The external ids of a workspace, read when they are first needed if that is cheaper than single look-ups.

    A million of them take 8 MB: only their hashes are kept.

    :param customers: Counts and lists customers.
    :param rows: Rows of the run that may need a look-up each.
    :param confirmed: Ids that Dub has shown in this spelling before.
    """

    def __init__(self, customers: Customers, rows: int, confirmed: Iterable[str] = ()) -> None:
        self._customers = customers
        self._confirmed = _sorted_hashes(map(hash, confirmed))
        self._rows = rows - len(self._confirmed)
        self._hashes: array[int] | None = None
        self._reading = threading.Lock()

    def __contains__(self, external_id: str) -> bool:
        """Tell whether the id surely exists in this spelling; if not, nothing is known of it.

        :raises DubError: Dub refuses the key, or the run was stopped.
        """
        if _holds(self._confirmed, external_id):
            return True
        with self._reading:
            if self._hashes is None:
                self._hashes = self._read()
        return _holds(self._hashes, external_id)

    def _read(self) -> array[int]:
        hashes = array("q")
        try:
            if self._is_worth_it():
                hashes.extend(self._listed())
        except DubError as error:
            if error.fatal:
                raise
            log.warning("Dub's customers could not all be listed; each id is looked up instead. %s", error)
        return _sorted_hashes(hashes)

    def _is_worth_it(self) -> bool:
        if self._rows < _SPARED_BY_A_PAGE:
            return False
        return self._customers.count_customers() <= self._rows * PAGE_SIZE // _SPARED_BY_A_PAGE

    def _listed(self) -> Iterator[int]:
        log.info("Reading which external ids Dub has, so that no row can reach a customer whose id only looks alike.")
        for customer in self._customers.list_customers():
            external_id = customer.get("externalId")
            if isinstance(external_id, str):
                yield hash(external_id)


def _sorted_hashes(hashes: Iterable[int]) -> array[int]:
    return array("q", sorted(hashes))


def _holds(hashes: array[int], external_id: str) -> bool:
    wanted = hash(external_id)
    place = bisect_left(hashes, wanted)
    return place < len(hashes) and hashes[place] == wanted
