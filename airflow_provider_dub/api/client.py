"""Dub's customers API, one method per endpoint.

Source of the facts: Dub's server, measured in August 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from copy import copy
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar
from urllib.parse import urlencode

from airflow_provider_dub.api.exchange import Request
from airflow_provider_dub.api.listing import CustomerListing
from airflow_provider_dub.api.responses import any_json_of, json_of
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.customers.ids import (
    EXTERNAL_PREFIX,
    external_id_of,
    is_exact_match,
    is_in_another_case,
    path_of,
    path_of_dub_id,
    travels_in_a_path,
)
from airflow_provider_dub.exceptions import DubCustomerNotFoundError, DubUnreadableResponseError, DubWrongCustomerError

if TYPE_CHECKING:
    from airflow_provider_dub.api.stop import Stop
    from airflow_provider_dub.api.transport import Transport
    from airflow_provider_dub.customers.fields import Customer

T = TypeVar("T")

#: What a list of customers can be narrowed down by.
FILTERS = ("email", "externalId", "country", "search", "linkId", "programId", "partnerId")
#: Of these, Dub looks at the first that is given.
_ONE_OF_THESE = ("email", "externalId", "search")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


class DubClient:
    """Dub's customers API over one API key; safe to share between threads.

    :param transport: Sends requests with that key.
    :param workspace_slug: When given, Dub refuses every request unless the key belongs to this workspace.
    """

    def __init__(self, transport: Transport, *, workspace_slug: str | None = None) -> None:
        self._transport = transport
        self._workspace = {"projectSlug": workspace_slug} if workspace_slug else {}
        #: Decides when a request may leave.
        self.rate_limiter = transport.rate_limiter
        #: What was sent and waited for so far.
        self.traffic = transport.traffic

    def get_customer(self, customer_id: str, *, include_expanded_fields: bool = False) -> Customer:
        """Read one customer.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :raises DubCustomerNotFoundError: There is no such customer.
        :raises DubWrongCustomerError: Only one whose id is spelled differently.
        """
        _check_customer_id(customer_id)
        expand = _expanded(include_expanded_fields)
        if travels_in_a_path(customer_id):
            customer = self._customer("GET", path_of(customer_id), expand)
            if not is_exact_match(customer_id, customer):
                raise DubWrongCustomerError(changed=False)
            return customer
        return self._find(customer_id, expand)

    def list_customers(self, *, include_expanded_fields: bool = False, **filters: str) -> CustomerListing:
        """Return what reads all customers of the workspace, in no particular order, page by page as they are consumed.

        A page is read before the one ahead of it is given out, so the customers may be updated meanwhile, even in what
        they are filtered by.

        Customers without external id cannot be listed by Dub; how many there are is logged, and known at the end.

        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param filters: ``email``, ``externalId`` (bare), ``country``, ``search``, ``linkId``, ``programId``,
            ``partnerId``. What Dub would ignore is refused here: an empty value, and one of ``email``,
            ``externalId`` and ``search`` together with another. Whatever ``programId`` is, Dub takes the workspace's
            default.
        :raises TypeError: A filter is not text.
        :raises ValueError: Dub would ignore a filter, or there is none of this name.
        :raises DubNotFoundError: The workspace has no program to filter by.
        """
        _check_filters(filters)
        query = {**_expanded(include_expanded_fields), **filters}
        return CustomerListing(lambda page: self._page({**query, **page}), lambda: self.count_customers(**filters))

    def count_customers(self, **filters: str) -> int:
        """Return how many customers the workspace has.

        :param filters: As for :meth:`list_customers`.
        """
        _check_filters(filters)
        return self._send("GET", "/customers/count", filters, _is_count)

    def update_customer(
        self,
        customer_id: str,
        fields: Mapping[str, Any],
        *,
        include_expanded_fields: bool = False,
        verified_ids: Container[str] | None = (),
    ) -> Customer:
        """Update one customer and return it as Dub shows it afterwards.

        Where Dub could take the id for another customer's, or where a retry after a lost response would not find the
        customer under its old external id, the customer is looked up first and updated under Dub's own id.

        :param customer_id: ``cus_…``, or ``ext_`` and the external id.
        :param fields: Dub field names and their new values; None clears.
        :param include_expanded_fields: Also return ``link``, ``programId``, ``partner`` and ``discount``.
        :param verified_ids: External ids that surely are an exact match; others are looked up first, at the price of a
            request. With None none is, and that Dub took another customer is found out when it is done.
        :raises TypeError: The id is not text, or the fields are not a mapping.
        :raises ValueError: The id is none, or there is no field of this name.
        :raises DubCustomerNotFoundError: There is no such customer.
        :raises DubWrongCustomerError: The response is about another customer.
        :raises DubError: Dub refused the update or could not be reached.
        """
        _check_customer_id(customer_id)
        _check_fields(fields)
        if _must_be_looked_up(customer_id, fields, verified_ids):
            customer_id = self._dub_id_of(customer_id)
            path = path_of_dub_id(customer_id)
        else:
            path = path_of(customer_id)
        body = _to_json(dict(fields))
        customer = self._customer("PATCH", path, _expanded(include_expanded_fields), body)
        if not is_exact_match(customer_id, customer):
            raise DubWrongCustomerError(changed=True, every_row=is_in_another_case(customer_id, customer))
        return customer

    def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Send a request to any endpoint of Dub, with pacing, retries and typed errors, and return the parsed JSON.

        A POST is not sent again where the first one may have arrived, since it may do twice what it does.

        :param method: The HTTP method.
        :param path: The path from ``/`` on, such as ``/links``; percent-encode what you put into it.
        :param query: Query parameters; None is left out, and a list becomes a repeated parameter.
        :param body: What is sent as JSON; None sends no body.
        :return: The JSON of the response; None if it has no body.
        :raises ValueError: The path is none.
        :raises DubError: Dub refused the request or could not be reached.
        """
        if not _PATH.fullmatch(path):
            raise ValueError("path must begin with /, be percent-encoded, and have no query: use query for that.")
        given = {name: _query_value(value) for name, value in (query or {}).items() if value is not None}
        content = None if body is None else _to_json(body)
        return self._transport.send(self._request(method.upper(), path, given, content), any_json_of)

    def for_run(self, stop: Stop) -> DubClient:
        """Return a client with the same rate limit and counts but sessions of its own; close it after the run.

        :param stop: When set, the run's waits end and no further request of it is sent.
        """
        client = copy(self)
        client._transport = self._transport.for_run(stop)
        return client

    def close(self) -> None:
        """Close the sessions as soon as they are idle; no further request is sent."""
        self._transport.close()

    def check(self) -> None:
        """Ask whether this key may update customers, with one request that changes nothing.

        The request is an empty update of a customer that cannot exist: Dub checks key, workspace, role and plan
        before it looks for the customer.

        :raises DubError: It may not, or Dub cannot be reached.
        """
        try:
            self._customer("PATCH", path_of("cus_airflow_connection_test"), {}, b"{}")
        except DubCustomerNotFoundError:
            return

    def _dub_id_of(self, customer_id: str) -> str:
        dub_id = str(self.get_customer(customer_id)["id"])
        if not dub_id or external_id_of(dub_id) is not None:
            raise DubUnreadableResponseError(200, "the customer has no id of Dub's")
        return dub_id

    def _find(self, customer_id: str, expand: dict[str, str]) -> Customer:
        external_id = customer_id.removeprefix(EXTERNAL_PREFIX)
        found = self._page({**expand, "externalId": external_id})
        for customer in found:
            if is_exact_match(customer_id, customer):
                return customer
        if found:
            raise DubWrongCustomerError(changed=False)
        raise DubCustomerNotFoundError("Dub has no customer with this external id.", status=404)

    def _customer(self, method: str, path: str, query: dict[str, str], body: bytes | None = None) -> Customer:
        return self._send(method, path, query, _is_customer, body)

    def _page(self, query: dict[str, str]) -> list[Customer]:
        return self._send("GET", "/customers", query, _is_page)

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        expected: Callable[[Any], TypeGuard[T]],
        body: bytes | None = None,
    ) -> T:
        return self._transport.send(
            self._request(method, path, query, body), lambda response: json_of(response, expected)
        )

    def _request(self, method: str, path: str, query: Mapping[str, Any], body: bytes | None) -> Request:
        query = {**query, **self._workspace}
        return Request(method, f"{path}?{urlencode(query, doseq=True)}" if query else path, body)


def _must_be_looked_up(customer_id: str, fields: Mapping[str, Any], verified_ids: Container[str] | None) -> bool:
    external_id = external_id_of(customer_id)
    if external_id is None:
        return False
    renamed = fields.get("externalId", external_id) != external_id
    if renamed or not travels_in_a_path(customer_id):
        return True
    return verified_ids is not None and external_id not in verified_ids


def _to_json(value: Any) -> bytes:
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:  # which holds the value; Dub would take it for its store's error
        raise ValueError("Half of a surrogate pair is not valid text.") from None


def _query_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [*map(_query_value, value)] if isinstance(value, list | tuple) else value


def _check_filters(filters: Mapping[str, object]) -> None:
    _check_names("filter", filters, FILTERS)
    for name, value in filters.items():
        if not isinstance(value, str):
            raise TypeError(f"The filter {name} must be text, not {type(value).__name__}.")
        if not value:
            raise ValueError(f"The filter {name} is empty: Dub would ignore it and return every customer.")
    given = [name for name in _ONE_OF_THESE if name in filters]
    if len(given) > 1:
        raise ValueError(f"With the filter {given[0]}, Dub would ignore {' and '.join(given[1:])}.")


def _check_customer_id(customer_id: object) -> None:
    if not isinstance(customer_id, str):
        raise TypeError(
            "customer_id must be text: Dub's own id (cus_...), or ext_ followed by your external id; not "
            f"{type(customer_id).__name__}."
        )


def _check_fields(fields: object) -> None:
    if not isinstance(fields, Mapping):  # a Series would have its values taken for names
        raise TypeError(f"fields must be a mapping from Dub's names to new values, not {type(fields).__name__}.")
    _check_names("field", fields, FIELDS)


def _check_names(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise an error that names each unknown name, and what may be meant: Dub ignores those that it does not know."""
    for name in given:
        if name not in known:
            close = get_close_matches(str(name), known, n=2, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}? " if close else ""
            raise ValueError(f'There is no {what} "{name}". {hint}The {what}s are: {", ".join(known)}.')


def _is_customer(value: Any) -> TypeGuard[Customer]:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _is_page(value: Any) -> TypeGuard[list[Customer]]:
    return isinstance(value, list) and all(map(_is_customer, value))


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int)


def _expanded(include_expanded_fields: bool) -> dict[str, str]:
    return {"includeExpandedFields": "true"} if include_expanded_fields else {}
