"""Which external ids are an exact match in Dub: the preflight check.

Dub finds ``USER_1`` when asked for ``user_1``, and shows only in the response, when an update is done. An id that
exists exactly so cannot be mistaken, since external ids are unique in that same collation. Any other must be looked up
before it is updated. Reading the list of customers, 100 in a request, spares a run nearly all of these look-ups, and
so does an id that Dub showed in an earlier run.

Source: Dub's server, measured in August 2026.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from airflow_provider_dub.api.listing import PAGE_SIZE
from airflow_provider_dub.exceptions import DubError, DubStoppedError

if TYPE_CHECKING:
    from airflow_provider_dub.api.client import DubClient

log = logging.getLogger(__name__)

#: The list is read page after page and look-ups side by side, so it must spare this many for each page.
_SPARED_BY_A_PAGE = 4
#: Pages between two lines of the log.
_PAGES_PER_LINE = 100


class IdIndex:
    """External ids that are an exact match; a million of them take 8 MB, since only their hashes are kept.

    :param hashes: What ``hash`` returns for each id, in this process.
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = array("q", sorted(hashes))

    def __contains__(self, external_id: object) -> bool:
        """Return whether the id is surely an exact match; if not, nothing is known of it."""
        wanted = hash(external_id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def read_id_index(client: DubClient, rows: int, confirmed: Iterable[str], limit: int | None) -> IdIndex:
    """Read the external ids of the workspace, where that is cheaper than to look up those of the rows one by one.

    :param client: Counts and lists customers.
    :param rows: The number of rows that may need a look-up each.
    :param confirmed: External ids that Dub has shown before, an exact match.
    :param limit: The number of rows that are sent, and so looked up, at most.
    :raises DubError: Dub refuses the key, or the run was stopped.
    """
    known = list(confirmed)
    unknown = rows - len(known)
    look_ups = unknown if limit is None else min(unknown, limit)
    return IdIndex(map(hash, chain(known, _listed(client, look_ups // _SPARED_BY_A_PAGE))))


def _listed(client: DubClient, most_requests: int) -> Iterator[str]:
    """Yield the external ids that Dub lists, or some of them if that takes too many requests."""
    if most_requests < 1:
        return
    try:
        pages = -(-client.count_customers() // PAGE_SIZE)
        if pages > most_requests:
            return
        log.info("Reading which external ids Dub has, so that no row can reach a customer whose id differs in case.")
        listing = client.list_customers()
        for number, customer in enumerate(listing, 1):
            external_id = customer.get("externalId")
            if isinstance(external_id, str):
                yield external_id
            if number % (PAGE_SIZE * _PAGES_PER_LINE) == 0:
                log.info("Reading Dub's external ids: %s of %s pages.", f"{number // PAGE_SIZE:,}", f"{pages:,}")
            if listing.requests > most_requests + _SPARED_BY_A_PAGE:
                log.info("Too many customers have no external id to list the others; the other ids are looked up.")
                return
    except DubStoppedError:
        raise
    except DubError as error:
        if error.fatal:
            raise
        log.warning("Dub's customers could not all be listed; each id is looked up instead. %s", error)
