"""The ids of Dub customers, and how a request names one customer.

A customer is named by Dub's own id (``cus_…``) or by an external id after ``ext_``.

Source: Dub's server, measured in August 2026. The path segment is percent-decoded once. Two kinds of external ids are
at risk on the way through the edge in front of the public service and are looked up in the list of customers
instead: those that end in ``.rsc`` and those that hold a literal ``%`` and two hex digits. Dub's own ids need none,
since nothing but letters, digits, ``_`` and ``-`` stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

DUB_PREFIX = "cus_"
EXTERNAL_PREFIX = "ext_"

#: Blanks around one of Dub's ids, or ``.rsc`` after it, do not keep Dub from finding the customer.
_CUSTOMER_ID = re.compile(rf"{DUB_PREFIX}[A-Za-z0-9_-]+|{EXTERNAL_PREFIX}.*", re.DOTALL)
_AT_RISK_IN_A_PATH = re.compile(r"\.rsc\Z|%[0-9A-Fa-f]{2}")


def external_id_of(customer_id: str) -> str | None:
    """Return the external id that ``ext_…`` names, or None for one of Dub's own ids."""
    return customer_id[len(EXTERNAL_PREFIX) :] if customer_id.startswith(EXTERNAL_PREFIX) else None


def is_customer_id(customer_id: str) -> bool:
    """Return whether the text can name a customer: a bare external id cannot, Dub responds 404 to it."""
    return _CUSTOMER_ID.fullmatch(customer_id) is not None


def path_of(customer_id: str) -> str:
    """Return the path below the base URL, encoded so that exactly this customer is reached.

    :raises ValueError: The text is neither ``cus_…`` nor ``ext_…``.
    """
    if not is_customer_id(customer_id):
        raise ValueError(
            "A customer id is cus_ followed by letters, digits, _ and - (Dub's own), or ext_ followed by your "
            "external id."
        )
    return path_of_dub_id(customer_id)


def path_of_dub_id(customer_id: str) -> str:
    """Return the path of an id that Dub itself has given; old ones may not start with ``cus_``."""
    return "/customers/" + quote(customer_id, safe="")


def travels_in_a_path(customer_id: str) -> bool:
    """Return whether the id reaches its customer in the path; if not, the list of customers finds it."""
    external_id = external_id_of(customer_id)
    return external_id is None or not _AT_RISK_IN_A_PATH.search(external_id)


def is_exact_match(customer_id: str, customer: Mapping[str, Any]) -> bool:
    """Return whether the record is the customer that the id names, as an exact match."""
    external_id = external_id_of(customer_id)
    if external_id is None:
        return bool(customer.get("id") == customer_id)
    return bool(customer.get("externalId") == external_id)


def is_in_another_case(customer_id: str, customer: Mapping[str, Any]) -> bool:
    """Return whether the record's own id is this one but for capitals: Dub finds it all the same."""
    shown = customer.get("id")
    return isinstance(shown, str) and shown != customer_id and shown.lower() == customer_id.lower()
