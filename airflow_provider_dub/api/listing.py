"""All customers of a workspace, each once, even where Dub cannot list some of them.

Dub orders by id where a cursor is given and by creation otherwise, so a list begins with any customer and goes from
there both ways. A page over a customer whose external id is null is an error as a whole, which names the customer's
index in the page. So the page is read up to there, and the list goes on from a customer on the other side; that one
is found by its place in the order of creation, which is mostly the order of the ids as well.

Source: Dub's server, measured in August and November 2026.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_dub.exceptions import DubInvalidRequestError

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer

log = logging.getLogger(__name__)

#: The most customers in a page.
PAGE_SIZE = 100
#: Dub counts pages up to here.
_LAST_PAGE = 1000
#: So many requests for each gap may look for customers on the other side of it and find none that is new...
_PROBES = 12
#: ...the first of them right after what was listed so far.
_GUESSES = 2
#: The sizes of the windows in which they are looked for.
_WINDOWS = (PAGE_SIZE, 50, 25, 5, 1)

_UNLISTABLE = re.compile(r"invalid_type: \[(\d+)\]\.externalId: ")


class _Page(NamedTuple):
    """A page, as far as Dub could list it.

    :param customers: Its customers, up to the first that has no external id.
    :param is_cut: Whether there is one.
    """

    customers: list[Customer]
    is_cut: bool


class CustomerListing:
    """Reads customers page by page, as they are consumed; once only.

    :param read_page: Returns the customers of a page for these query parameters.
    :param count: Returns how many customers there are.
    """

    def __init__(self, read_page: Callable[[Mapping[str, str]], list[Customer]], count: Callable[[], int]) -> None:
        self._read_page = read_page
        self._count = count
        self._seen: set[int] = set()  # hashes of the ids that were yielded
        self._segments = self._edges = 0  # stretches of the list that were read, and their ends at gaps
        self._unlistable_places: set[int] = set()  # in the order of creation
        #: Requests that were sent for the list.
        self.requests = 0
        #: Customers that Dub cannot list; known at the end.
        self.unlistable = 0

    def __iter__(self) -> Iterator[Customer]:
        """Yield the customers."""
        first = self._page({}, 1)
        yield from self._segment(first.customers)
        if first.is_cut or self._edges:
            yield from self._other_segments()
            log.warning(
                "%s without external id cannot be listed by Dub.",
                "1 customer" if self.unlistable == 1 else f"{self.unlistable:,} customers",
            )

    def _other_segments(self) -> Iterator[Customer]:
        """Yield the customers behind gaps: those without external id, each of which parts the list in two."""
        self.requests += 1
        total = self._count()
        windows = self._windows(total)
        found_at = self.requests
        while (missing := total - len(self._seen)) > max(self._gaps(), len(self._unlistable_places)):
            fruitless = self.requests - found_at
            if fruitless > _PROBES * min(missing, 2 * self._gaps() + 1):
                break
            customers: list[Customer] | None
            if fruitless < _GUESSES:  # just after what was listed so far
                customers = self._at(len(self._seen) + max(self._gaps(), 1) + fruitless, 1) or []
            else:
                customers = next(windows, None)
            if customers is None:
                break
            before = len(self._seen)
            yield from self._segment(customers)
            if len(self._seen) > before:
                found_at = self.requests
        self.unlistable = max(missing, self._gaps())

    def _gaps(self) -> int:
        """Return the number of gaps between the segments and at the ends; more than one customer may be in each."""
        return self._edges - self._segments + 1

    def _windows(self, total: int) -> Iterator[list[Customer]]:
        """Yield all customers in the order of creation, a few at a time, from the first gap on and then before it."""
        first = len(self._seen) // PAGE_SIZE
        last = -(-total // PAGE_SIZE)
        for window in (*range(first, last), *reversed(range(first))):
            yield from self._window(window * PAGE_SIZE, _WINDOWS)

    def _window(self, start: int, sizes: tuple[int, ...]) -> Iterator[list[Customer]]:
        """Yield the customers of a window: at once, or else those of smaller windows round one that is not listed."""
        size, *smaller = sizes
        is_known = any(start <= place < start + size for place in self._unlistable_places)
        if not is_known and (customers := self._at(start, size)) is not None:
            yield customers
            return
        if smaller:
            yield []
            for part in range(start, start + size, smaller[0]):
                yield from self._window(part, tuple(smaller))

    def _at(self, start: int, size: int) -> list[Customer] | None:
        """Return customers by their place in the order of creation; None if one of them has no external id."""
        if start // size >= _LAST_PAGE:
            return []
        query = {"page": str(start // size + 1), "pageSize": str(size)}
        self.requests += 1
        try:
            return self._read_page(query)
        except DubInvalidRequestError as error:
            self._unlistable_places.add(start + _listable(error, size))
            return None

    def _segment(self, start: list[Customer]) -> Iterator[Customer]:
        """Yield a customer that is new, and those on both sides of it up to the next gap or the end.

        Each page is read before the one ahead of it is yielded, and the first customer is the last that is yielded:
        what the consumer does to a customer may take it out of the filter, and Dub skips another one after a cursor
        that is not in it any more.
        """
        for customer in start:
            if self._is_new(customer):
                pages = chain(self._walk(customer["id"], "desc"), self._walk(customer["id"], "asc"), [[customer]], [[]])
                for page, _next_page in pairwise(pages):
                    yield from page
                self._segments += 1

    def _walk(self, cursor: str, order: str) -> Iterator[list[Customer]]:
        while True:
            page = self._page({"startingAfter": cursor, "sortOrder": order}, PAGE_SIZE)
            new = [customer for customer in page.customers if self._is_new(customer)]
            self._edges += page.is_cut
            yield new
            if page.is_cut or not new or len(page.customers) < PAGE_SIZE:
                return  # even where a server ignores the cursor
            cursor = page.customers[-1]["id"]

    def _page(self, query: Mapping[str, str], size: int) -> _Page:
        is_cut = False
        while size:
            self.requests += 1
            try:
                return _Page(self._read_page({**query, "pageSize": str(size)}), is_cut)
            except DubInvalidRequestError as error:
                is_cut, size = True, _listable(error, size)
        return _Page([], is_cut)

    def _is_new(self, customer: Customer) -> bool:
        hashed = hash(customer["id"])
        if hashed in self._seen:
            return False
        self._seen.add(hashed)
        return True


def _listable(error: DubInvalidRequestError, size: int) -> int:
    """Return how many customers of a page come before one without external id, or raise the error if it is another."""
    found = _UNLISTABLE.match(error.server_message)
    if found is None or int(found[1]) >= size:
        raise error
    return int(found[1])
