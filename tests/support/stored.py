"""What the local Dub has stored, what was sent to it, and how somebody else edits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator


def stored(dub: DubEmulator, **where: object) -> dict[str, Any]:
    """Return the one stored customer with this value."""
    ((name, value),) = where.items()
    (found,) = [customer for customer in dub.customers if customer[name] == value]
    return found


def sent(dub: DubEmulator) -> list[str]:
    """Return the customers of all updates that were sent, as they were named."""
    return [request["path"].rpartition("/")[2] for request in dub.requests if request["method"] == "PATCH"]


def edit(dub: DubEmulator, user: str, **fields: str) -> None:
    """Edit a customer as somebody in Dub's app would.

    :param user: The customer's external id.
    :param fields: Dub's fields and their values.
    """
    customer = f"{dub.url}/customers/ext_{user}"
    requests.patch(customer, json=fields, headers={"Authorization": "Bearer dub_TESTKEY"}, timeout=5).raise_for_status()
