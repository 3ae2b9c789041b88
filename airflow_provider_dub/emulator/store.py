"""The customers table: lookups, uniqueness and column lengths as the database has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_dub.customers import fields
from airflow_provider_dub.emulator.collation import collation_key
from airflow_provider_dub.emulator.errors import ApiError

#: A stored row: what a response shows, and the ids of the link, workspace, program and partner.
Row = dict[str, Any]

_COLUMN_LENGTH = 191
# A URL has a TEXT column, counted in bytes.
_TEXT_BYTES = 65_535


class CustomerStore:
    """All customers of all workspaces.

    Rows are never changed in place, so a snapshot stays what it was.

    :param customers: The rows to start with.
    """

    def __init__(self, customers: Iterable[Row]) -> None:
        self._by_id: dict[str, Row] = {}
        self._by_workspace: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self._by_external_id: dict[tuple[str, ...], str] = {}
        self._by_stripe_id: dict[tuple[str, ...], str] = {}
        for customer in customers:
            self.put(customer)

    def put(self, customer: Row) -> None:
        """Add a customer; one with the same id is replaced.

        :param customer: The whole row.
        """
        existing = self.with_id(customer["id"])
        if existing:
            self.delete(existing)
        if not self._is_unique(customer):
            raise ValueError(f"Customer {customer['id']} has the externalId or stripeCustomerId of another one.")
        self._store(customer)

    def update(self, customer: Row, changes: Mapping[str, Any]) -> Row:
        """Change a customer and return the new row, or raise and change nothing.

        :param customer: The stored row.
        :param changes: New values by column.
        """
        for column, value in changes.items():
            _check_column(column, value, "update")
        updated = {**customer, **changes}
        if not self._is_unique(updated):
            raise _conflict()
        self._unindex(customer)
        self._store(updated)
        return updated

    def create(self, customer: Row) -> None:
        """Add a customer, or raise and change nothing.

        :param customer: The whole row.
        """
        for column in fields.FIELDS:
            _check_column(column, customer[column], "create")
        if not self._is_unique(customer):
            raise _conflict()
        self._store(customer)

    def delete(self, customer: Row) -> None:
        """Remove a customer.

        :param customer: The stored row.
        """
        key = collation_key(customer["id"])
        del self._by_id[key], self._by_workspace[customer["projectId"]][key]
        self._unindex(customer)

    def with_id(self, customer_id: str) -> Row | None:
        """Return the customer with this id of Dub, in any workspace.

        :param customer_id: An id such as ``cus_…``.
        """
        return self._by_id.get(collation_key(customer_id))

    def with_external_id(self, workspace_id: str, external_id: str) -> Row | None:
        """Return the customer with this external id.

        :param workspace_id: The workspace to look in.
        :param external_id: The id without ``ext_``.
        """
        key = self._by_external_id.get((workspace_id, collation_key(external_id)))
        return None if key is None else self._by_id[key]

    def of_workspace(self, workspace_id: str) -> list[Row]:
        """Return all customers of a workspace, in no order.

        :param workspace_id: The workspace's id.
        """
        return list(self._by_workspace[workspace_id].values())

    def all(self) -> list[Row]:
        """Return a copy of all rows, in the order in which they were stored."""
        return [dict(customer) for customer in list(self._by_id.values())]

    def _is_unique(self, customer: Row) -> bool:
        key = collation_key(customer["id"])
        return all(index.get(value, key) == key for index, value in self._unique_values(customer))

    def _store(self, customer: Row) -> None:
        key = collation_key(customer["id"])
        self._by_id[key] = self._by_workspace[customer["projectId"]][key] = customer
        for index, value in self._unique_values(customer):
            index[value] = key

    def _unindex(self, customer: Row) -> None:
        for index, value in self._unique_values(customer):
            del index[value]

    def _unique_values(self, customer: Row) -> Iterator[tuple[dict[tuple[str, ...], str], tuple[str, ...]]]:
        """Each unique index with the customer's value in it; nulls are in no index."""
        if customer["externalId"] is not None:
            yield self._by_external_id, (customer["projectId"], collation_key(customer["externalId"]))
        if customer["stripeCustomerId"] is not None:
            yield self._by_stripe_id, (collation_key(customer["stripeCustomerId"]),)


def statement_failed(statement: str, reason: str) -> ApiError:
    """Word the failure of a statement as the database's client does.

    :param statement: Either ``create`` or ``update``.
    :param reason: What the database says.
    """
    return ApiError("unprocessable_entity", f"\nInvalid `prisma.customer.{statement}()` invocation:\n\n\n{reason}")


def _conflict() -> ApiError:
    # Dub blames the external id, also when the id of Stripe clashes.
    return ApiError("conflict", "A customer with this external ID already exists.")


def _check_column(column: str, value: str | None, statement: str) -> None:
    if value is None:
        return
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise statement_failed(statement, "unexpected end of hex escape") from None  # half of a surrogate pair
    is_url = fields.FIELDS[column].server_type == "url"
    if len(encoded) > _TEXT_BYTES if is_url else len(value) > _COLUMN_LENGTH:
        reason = f"The provided value for the column is too long for the column's type. Column: {column}"
        raise statement_failed(statement, reason)
