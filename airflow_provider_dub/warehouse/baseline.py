"""Which rows Dub has already, found by reading all its customers rather than by sending all rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.api.id_index import IdIndex
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.customers.ids import EXTERNAL_PREFIX
from airflow_provider_dub.sync.updates import CustomerUpdate

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.results import RowResult
    from airflow_provider_dub.warehouse.state_sink import StateSink


class RowIndex:
    """An index of all rows, small enough for memory: hashes of the id and of what would be sent.

    :param updates: What each row asks for. Rows with a value that Dub does not show as it was sent (an avatar, a
        cleared name) are left out.
    """

    def __init__(self, updates: Iterable[CustomerUpdate | RowResult]) -> None:
        self._rows, self._fields, self._values, ids = (array("q") for _ in range(4))
        for update in filter(_is_comparable, updates):
            row, fields, values, customer_id = _hashed(update)
            self._rows.append(row)
            self._fields.append(fields)
            self._values.append(values)
            ids.append(customer_id)
        by_id = sorted(one << 32 | place for place, one in enumerate(ids))  # a number each is the least to sort
        self._ids = array("q", (both >> 32 for both in by_id))
        self._places = array("q", (both & 0xFFFFFFFF for both in by_id))
        self._external_ids = array("q")

    def matching(self, customers: Iterable[Customer]) -> Iterator[tuple[int, str]]:
        """Yield the position of each row that Dub shows as it would be sent, and Dub's id of the customer.

        :param customers: All of Dub's customers.
        """
        for customer in customers:
            if isinstance(external_id := customer.get("externalId"), str):
                self._external_ids.append(hash(external_id))
            for customer_id in (customer["id"], EXTERNAL_PREFIX + str(customer.get("externalId"))):
                place = self._place(hash(customer_id))
                if place is not None and self._values[place] == hash(_shown(self._fields[place], customer)):
                    yield self._rows[place], customer["id"]

    @property
    def external_ids(self) -> IdIndex:
        """The external ids of the customers that were read: those of rows among them need no look-up."""
        return IdIndex(self._external_ids)

    def _place(self, wanted: int) -> int | None:
        found = bisect_left(self._ids, wanted)
        return self._places[found] if found < len(self._ids) and self._ids[found] == wanted else None


def record_applied(sink: StateSink, rows: Iterable[tuple[int, str | None]]) -> int:
    """Record rows that are not sent as applied, and return how many could be.

    :param sink: Writes to the state table; closed afterwards.
    :param rows: The position of each, and Dub's id of the customer, if it is known.
    """
    recorded = sum(sink.write_as_applied(row, dub_id) for row, dub_id in rows)
    sink.close(range(0))
    return recorded


def _is_comparable(update: CustomerUpdate | RowResult) -> bool:
    if not isinstance(update, CustomerUpdate):
        return False
    return all(FIELDS[name].is_comparable(value) for name, value in update.fields.items())


def _hashed(update: Any) -> tuple[int, int, int, int]:
    fields = sum(1 << bit for bit, name in enumerate(FIELDS) if name in update.fields)
    return update.row, fields, hash(_shown(fields, update.fields)), hash(update.customer_id)


def _shown(fields: int, values: Any) -> tuple[Any, ...]:
    return tuple(
        field.normalize(values.get(name)) for bit, (name, field) in enumerate(FIELDS.items()) if fields >> bit & 1
    )
