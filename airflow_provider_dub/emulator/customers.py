"""The endpoints of the customers API: what each does once the caller is known and allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers import converters, fields
from airflow_provider_dub.emulator import listing, schemas
from airflow_provider_dub.emulator.errors import ApiError
from airflow_provider_dub.emulator.export import COLUMNS_OF_THE_LINK, MAX_ROWS, csv_of
from airflow_provider_dub.emulator.json_body import parse_json
from airflow_provider_dub.emulator.names import random_id, random_name

if TYPE_CHECKING:
    from airflow_provider_dub.emulator.access import Workspace
    from airflow_provider_dub.emulator.seed import Seed
    from airflow_provider_dub.emulator.store import CustomerStore, Row

# Bare prefixes, so that a host such as dubassets.com.evil.test counts as stored too.
_STORED_AVATARS = ("https://dubassets.com", "https://api.dub.co/og/avatar/")
_NULL_EXTERNAL_ID = "Invalid input: expected string, received null"


class CustomersApi:
    """Reads and changes customers.

    Each endpoint takes the caller's workspace and, where it has them, the id as in the path, the query and the body. It
    returns the JSON of a success and raises :class:`.errors.ApiError` for anything else.

    :param store: All customers.
    :param seed: Where links and partners are, for the expanded fields.
    :param ignore_fields: Fields of a body that are accepted and dropped.
    :param later: Calls a function a moment after the response.
    """

    def __init__(
        self,
        store: CustomerStore,
        seed: Seed,
        ignore_fields: Collection[str],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self._store = store
        self._seed = seed
        self._ignored = ignore_fields
        self._later = later

    def get(self, workspace: Workspace, customer_id: str, query: Mapping[str, str]) -> Any:
        """GET /customers/{id}."""
        options = schemas.parse(schemas.CUSTOMER_QUERY, query)
        customer = self._find(workspace, customer_id)
        _require_external_id(customer, "externalId")
        return self._shown(customer, options)

    def create(self, workspace: Workspace, body: bytes) -> Any:
        """POST /customers."""
        given = self._applied(schemas.parse_new(parse_json(body), self._unchecked()))
        customer = self._seed.customer({"projectId": workspace.id, "createdAt": _now()} | given)
        customer["name"] = customer["name"] or customer["email"] or random_name()
        customer["avatar"] = _stored_avatar(customer, customer["avatar"])
        self._store.create(customer)
        self._fetch_avatar(customer, given.get("avatar"))
        return self._shown(customer, {})

    def update(self, workspace: Workspace, customer_id: str, query: Mapping[str, str], body: bytes) -> Any:
        """PATCH /customers/{id}."""
        options = schemas.parse(schemas.CUSTOMER_QUERY, query)
        given = schemas.parse_update(parse_json(body), self._unchecked())
        customer = self._find(workspace, customer_id)
        changes = self._applied(given)
        avatar = changes.get("avatar")
        if avatar and avatar != customer["avatar"]:
            changes["avatar"] = _stored_avatar(customer, avatar)
        updated = self._store.update(customer, changes)
        self._fetch_avatar(updated, avatar)
        if updated["externalId"] is None:
            raise _response_not_built()
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
        options = schemas.parse(schemas.COUNT_QUERY, query)
        group_by = options.get("groupBy")
        if group_by in ("country", "linkId"):
            options.pop(group_by, None)
        customers = listing.matching(self._store, workspace, options)
        if group_by == "country":
            return listing.counts_by(customers, "country")
        if group_by == "linkId":
            return [
                group | {"shortLink": link["shortLink"], "url": link["url"]}
                for group in listing.counts_by(customers, "linkId")
                if (link := self._seed.links.get(group["linkId"]))
            ]
        return len(customers)

    def export(self, workspace: Workspace, query: Mapping[str, str]) -> str | None:
        """GET /customers/export, as CSV; None where Dub would send it by e-mail."""
        shown = [*_shown_columns(), *COLUMNS_OF_THE_LINK]
        options = schemas.parse(schemas.export_query(shown), query)
        if len(listing.matching(self._store, workspace, options)) > MAX_ROWS:
            return None
        customers = listing.page_of(self._store, workspace, options | {"page": 1, "pageSize": MAX_ROWS})
        columns = options.get("columns", _shown_columns())
        return csv_of(sorted(set(columns), key=shown.index), map(self._exported, customers))

    def _find(self, workspace: Workspace, customer_id: str) -> Row:
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

    def _unchecked(self) -> set[str]:
        """Return the ignored fields that are not checked either: servers without timestamps do not know them."""
        return {name for name in self._ignored if fields.FIELDS[name].server_type == "timestamp"}

    def _applied(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name not in self._ignored}

    def _fetch_avatar(self, customer: Row, given: str | None) -> None:
        """Let an avatar that cannot be fetched become null, a moment after the response."""

        def forget_avatar() -> None:
            if current := self._store.with_id(customer["id"]):
                self._store.update(current, {"avatar": None})

        if given and not given.startswith(_STORED_AVATARS) and not converters.FETCHABLE_AVATAR.fullmatch(given):
            self._later(forget_avatar)

    def _shown(self, customer: Row, options: Mapping[str, Any]) -> dict[str, Any]:
        shown = {column: customer.get(column) for column in _shown_columns()}
        shown["name"] = customer["name"] or customer["email"] or random_name()
        shown["saleAmount"] = _javascript_integer(customer["saleAmount"])
        if options.get("includeExpandedFields"):
            shown |= self._expanded(customer)
        return shown

    def _expanded(self, customer: Row) -> dict[str, Any]:
        expanded: dict[str, Any] = {"link": self._seed.links.get(customer["linkId"])}
        enrollment = self._seed.enrollments.get((customer["programId"], customer["partnerId"]))
        if enrollment:
            expanded |= {
                "programId": enrollment.program_id,
                "partner": enrollment.partner,
                "discount": enrollment.discount,
            }
        return {name: value for name, value in expanded.items() if value is not None}

    def _exported(self, customer: Row) -> dict[str, Any]:
        expanded = self._expanded(customer)
        link, partner = expanded.get("link", {}), expanded.get("partner", {})
        exported = {column: customer.get(column) for column in _shown_columns()}
        return exported | {
            "name": customer["name"] or customer["email"],
            "saleAmount": f"${_javascript_integer(customer['saleAmount']) / 100:,.2f}",
            "link": link.get("shortLink"),
            "partnerId": partner.get("id"),
            "partnerName": partner.get("name"),
            "partnerEmail": partner.get("email"),
        }


def _shown_columns() -> list[str]:
    """Return the columns of a response, in its order: the name first, and timestamps behind the counters."""
    timestamps = [name for name, field in fields.FIELDS.items() if field.server_type == "timestamp"]
    others = [name for name in fields.FIELDS if name != "name" and name not in timestamps]
    return ["id", "name", *others, "sales", "saleAmount", "createdAt", "firstSaleAt", *timestamps]


def _stored_avatar(customer: Row, avatar: str | None) -> str | None:
    if not avatar or avatar.startswith(_STORED_AVATARS):
        return avatar
    return f"https://dubassets.com/customers/{customer['id']}/avatar_{random_id(7)}"


def _javascript_integer(value: int) -> int:
    """Return a whole number as JavaScript writes it, which knows 53 binary digits of it."""
    return value if abs(value) <= 2**53 else int(Decimal(repr(float(value))))


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _require_external_id(customer: Row, path: str) -> None:
    if customer["externalId"] is None:
        raise schemas.invalid("invalid_type", path, _NULL_EXTERNAL_ID)


def _response_not_built() -> ApiError:
    issue = {"expected": "string", "code": "invalid_type", "path": ["externalId"], "message": _NULL_EXTERNAL_ID}
    return ApiError("unprocessable_entity", json.dumps([issue], indent=2))
