"""Which rows Dub has already, found by reading all its customers rather than by sending all rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.api.customers import EXTERNAL_PREFIX, UPDATABLE_FIELDS
from airflow_provider_dub.sync.fields import FIELDS
from airflow_provider_dub.sync.updates import CustomerUpdate

if TYPE_CHECKING:
    from airflow_provider_dub.api.customers import Customer
    from airflow_provider_dub.sync.updates import RejectedRow

_BITS = {name: 1 << bit for bit, name in enumerate(UPDATABLE_FIELDS)}


class KnownRows:
    """The rows, small enough to have them all at hand: hashes of the id and of what would be sent.

    :param updates: What each row asks for. Rows with a value that Dub does not show as it was sent (an avatar, a
        cleared name) are left out.
    """

    def __init__(self, updates: Iterable[CustomerUpdate | RejectedRow]) -> None:
        by_id = sorted(map(_hashed, filter(_can_be_told, updates)))
        self._ids, self._rows, self._fields, self._values = (array("q", (row[n] for row in by_id)) for n in range(4))

    def matching(self, customers: Iterable[Customer]) -> Iterator[tuple[int, str]]:
        """Yield the position of each row that Dub shows as it would be sent, and Dub's id of the customer.

        :param customers: All of Dub's customers.
        """
        for customer in customers:
            for customer_id in (customer["id"], EXTERNAL_PREFIX + str(customer.get("externalId"))):
                place = bisect_left(self._ids, hash(customer_id))
                if self._is_at(place, customer_id, customer):
                    yield self._rows[place], customer["id"]

    def _is_at(self, place: int, customer_id: str, customer: Customer) -> bool:
        if place == len(self._ids) or self._ids[place] != hash(customer_id):
            return False
        return self._values[place] == hash(_shown(self._fields[place], customer))


def _can_be_told(update: CustomerUpdate | RejectedRow) -> bool:
    if not isinstance(update, CustomerUpdate):
        return False
    return all(FIELDS[name].tells(value) for name, value in update.fields.items())


def _hashed(update: Any) -> tuple[int, int, int, int]:
    fields = sum(_BITS[name] for name in update.fields)
    return hash(update.customer_id), update.row, fields, hash(_shown(fields, update.fields))


def _shown(fields: int, values: Any) -> tuple[Any, ...]:
    return tuple(FIELDS[name].normal(values.get(name)) for name, bit in _BITS.items() if fields & bit)
