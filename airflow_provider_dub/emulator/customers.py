"""The endpoints of the customers API: what each does once the caller is known and allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.emulator import listing, schemas
from airflow_provider_dub.emulator.errors import ApiError
from airflow_provider_dub.emulator.names import random_id, random_name

if TYPE_CHECKING:
    from airflow_provider_dub.emulator.access import Workspace
    from airflow_provider_dub.emulator.seed import Seed
    from airflow_provider_dub.emulator.store import Customer, CustomerStore

_SHOWN_COLUMNS = (
    "id",
    "name",
    "email",
    "avatar",
    "externalId",
    "stripeCustomerId",
    "country",
    "sales",
    "saleAmount",
    "createdAt",
    "firstSaleAt",
    "subscriptionCanceledAt",
)
# Bare prefixes, so a look-alike host such as dubassets.com.evil.test counts as stored too.
_STORED_AVATARS = ("https://dubassets.com", "https://api.dub.co/og/avatar/")
_FETCHABLE_AVATAR = re.compile(r"https?:|data:image/[\w.+-]+;base64,", re.IGNORECASE)
_NULL_EXTERNAL_ID = "Invalid input: expected string, received null"


class CustomersApi:
    """
    Reads and changes customers.

    Each endpoint takes the caller's workspace and, where it has them, the id as in the path, the query and the body. It
    returns the JSON of a success and raises :class:`.errors.ApiError` for anything else.

    :param store: all customers.
    :param seed: links and partners, for the expanded fields.
    :param ignore_fields: fields of an update that are accepted and dropped.
    """

    def __init__(self, store: CustomerStore, seed: Seed, ignore_fields: Collection[str] = ()) -> None:
        self._store = store
        self._seed = seed
        self._ignored = ignore_fields
        # Servers that ignore it do not know it, so they do not check it either.
        unknown = {"subscriptionCanceledAt"}.intersection(ignore_fields)
        self._update_body = {f: parser for f, parser in schemas.UPDATE_BODY.items() if f not in unknown}

    def get(self, workspace: Workspace, customer_id: str, query: Mapping[str, str]) -> Any:
        """GET /customers/{id}."""
        options = schemas.parse(schemas.CUSTOMER_QUERY, query)
        customer = self._find(workspace, customer_id)
        _require_external_id(customer, "externalId")
        return self._shown(customer, options)

    def update(self, workspace: Workspace, customer_id: str, query: Mapping[str, str], body: bytes) -> Any:
        """PATCH /customers/{id}."""
        options = schemas.parse(schemas.CUSTOMER_QUERY, query)
        changes = schemas.parse(self._update_body, schemas.parse_json(body))
        customer = self._find(workspace, customer_id)
        avatar: str = changes.get("avatar") or ""
        is_uploaded = avatar != "" and not avatar.startswith(_STORED_AVATARS)
        if is_uploaded and avatar != customer["avatar"]:
            changes["avatar"] = f"https://dubassets.com/customers/{customer['id']}/avatar_{random_id(7)}"
        applied = {column: value for column, value in changes.items() if column not in self._ignored}
        updated = self._store.update(customer, applied)
        if is_uploaded and not _FETCHABLE_AVATAR.match(avatar):
            # The upload happens after the answer, and fails.
            self._store.update(updated, {"avatar": None})
        if updated["externalId"] is None:
            raise _answer_not_built()
        return self._shown(updated, options)

    def delete(self, workspace: Workspace, customer_id: str) -> Any:
        """DELETE /customers/{id}."""
        customer = self._find(workspace, customer_id)
        self._store.delete(customer)
        return {"id": customer["id"]}

    def list(self, workspace: Workspace, query: Mapping[str, str]) -> Any:
        """GET /customers."""
        options = schemas.parse(schemas.LIST_QUERY, query)
        customers = listing.page_of(self._store, workspace, options)
        for position, customer in enumerate(customers):
            _require_external_id(customer, f"[{position}].externalId")
        return [self._shown(customer, options) for customer in customers]

    def count(self, workspace: Workspace, query: Mapping[str, str]) -> Any:
        """GET /customers/count."""
        return len(listing.matching(self._store, workspace, schemas.parse(schemas.COUNT_QUERY, query)))

    def _find(self, workspace: Workspace, customer_id: str) -> Customer:
        if customer_id.startswith("ext_"):
            customer = self._store.with_external_id(workspace.id, customer_id.removeprefix("ext_"))
        else:
            customer = self._store.with_id(customer_id)
        if customer is None or customer["projectId"] != workspace.id:
            raise ApiError(
                "not_found",
                "Customer not found. Make sure you're using the correct customer ID (e.g."
                " `cus_3TagGjzRzmsFJdH8od2BNCsc`) or external ID (has to be prefixed with `ext_`).",
            )
        return customer

    def _shown(self, customer: Customer, options: Mapping[str, Any]) -> dict[str, Any]:
        shown = {column: customer[column] for column in _SHOWN_COLUMNS}
        shown["name"] = customer["name"] or customer["email"] or random_name()
        if options.get("includeExpandedFields"):
            shown |= self._expanded(customer)
        return shown

    def _expanded(self, customer: Customer) -> dict[str, Any]:
        fields: dict[str, Any] = {"link": self._seed.links.get(customer["linkId"])}
        enrollment = self._seed.enrollments.get((customer["programId"], customer["partnerId"]))
        if enrollment:
            fields |= {
                "programId": enrollment.program_id,
                "partner": enrollment.partner,
                "discount": enrollment.discount,
            }
        return {field: value for field, value in fields.items() if value is not None}


def _require_external_id(customer: Customer, path: str) -> None:
    if customer["externalId"] is None:
        raise schemas.invalid("invalid_type", path, _NULL_EXTERNAL_ID)


def _answer_not_built() -> ApiError:
    issue = {"expected": "string", "code": "invalid_type", "path": ["externalId"], "message": _NULL_EXTERNAL_ID}
    return ApiError("unprocessable_entity", json.dumps([issue], indent=2))
