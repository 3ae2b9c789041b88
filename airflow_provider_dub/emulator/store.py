"""The customers table: lookups, uniqueness and column lengths as the database has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_dub.emulator.collation import collation_key
from airflow_provider_dub.emulator.errors import ApiError

Customer = dict[str, Any]

_COLUMN_LENGTH = 191
# A TEXT column, counted in bytes.
_AVATAR_BYTES = 65_535


class CustomerStore:
    """
    All customers of all workspaces.

    Rows are never changed in place, so a snapshot stays what it was.

    :param customers: the rows to start with.
    """

    def __init__(self, customers: Iterable[Customer]) -> None:
        self._by_id: dict[str, Customer] = {}
        self._by_workspace: defaultdict[str, dict[str, Customer]] = defaultdict(dict)
        self._by_external_id: dict[tuple[str, ...], str] = {}
        self._by_stripe_id: dict[tuple[str, ...], str] = {}
        for customer in customers:
            self.put(customer)

    def put(self, customer: Customer) -> None:
        """
        Add a customer; one with the same id is replaced.

        :param customer: the whole row.
        """
        existing = self.with_id(customer["id"])
        if existing:
            self.delete(existing)
        if not self._is_unique(customer):
            raise ValueError(f"Customer {customer['id']} has the externalId or stripeCustomerId of another one.")
        self._store(customer)

    def update(self, customer: Customer, changes: Mapping[str, Any]) -> Customer:
        """
        Change a customer and return the new row, or raise and change nothing.

        :param customer: the stored row.
        :param changes: new values by column.
        """
        for column, value in changes.items():
            _check_column(column, value)
        updated = {**customer, **changes}
        if not self._is_unique(updated):
            # Dub blames the external id whichever of the two clashes.
            raise ApiError("conflict", "A customer with this external ID already exists.")
        self._unindex(customer)
        self._store(updated)
        return updated

    def delete(self, customer: Customer) -> None:
        """
        Remove a customer.

        :param customer: the stored row.
        """
        key = collation_key(customer["id"])
        del self._by_id[key], self._by_workspace[customer["projectId"]][key]
        self._unindex(customer)

    def with_id(self, customer_id: str) -> Customer | None:
        """
        Find a customer by Dub's own id, in any workspace.

        :param customer_id: such as ``cus_…``.
        """
        return self._by_id.get(collation_key(customer_id))

    def with_external_id(self, workspace_id: str, external_id: str) -> Customer | None:
        """
        Find a customer by external id.

        :param workspace_id: the workspace to look in.
        :param external_id: the id without ``ext_``.
        """
        key = self._by_external_id.get((workspace_id, collation_key(external_id)))
        return None if key is None else self._by_id[key]

    def of_workspace(self, workspace_id: str) -> list[Customer]:
        """
        List all customers of a workspace, in no order.

        :param workspace_id: the workspace's id.
        """
        return list(self._by_workspace[workspace_id].values())

    def all(self) -> list[Customer]:
        """Copy all rows, in the order in which they were stored."""
        return [dict(customer) for customer in list(self._by_id.values())]

    def _is_unique(self, customer: Customer) -> bool:
        key = collation_key(customer["id"])
        return all(index.get(value, key) == key for index, value in self._unique_values(customer))

    def _store(self, customer: Customer) -> None:
        key = collation_key(customer["id"])
        self._by_id[key] = self._by_workspace[customer["projectId"]][key] = customer
        for index, value in self._unique_values(customer):
            index[value] = key

    def _unindex(self, customer: Customer) -> None:
        for index, value in self._unique_values(customer):
            del index[value]

    def _unique_values(self, customer: Customer) -> Iterator[tuple[dict[tuple[str, ...], str], tuple[str, ...]]]:
        """Each unique index with the customer's value in it; nulls are in no index."""
        if customer["externalId"] is not None:
            yield self._by_external_id, (customer["projectId"], collation_key(customer["externalId"]))
        if customer["stripeCustomerId"] is not None:
            yield self._by_stripe_id, (collation_key(customer["stripeCustomerId"]),)


def update_failed(reason: str) -> ApiError:
    """
    Word the refusal of an update as the database's client does.

    :param reason: what the database says.
    """
    return ApiError("unprocessable_entity", f"\nInvalid `prisma.customer.update()` invocation:\n\n\n{reason}")


def _check_column(column: str, value: str | None) -> None:
    if value is None:
        return
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise update_failed("unexpected end of hex escape") from None  # half of a surrogate pair
    is_too_long = len(encoded) > _AVATAR_BYTES if column == "avatar" else len(value) > _COLUMN_LENGTH
    if is_too_long:
        raise update_failed(f"The provided value for the column is too long for the column's type. Column: {column}")
