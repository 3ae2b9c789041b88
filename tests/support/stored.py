"""What the local Dub has stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dub.emulator import DubEmulator


def stored(dub: DubEmulator, **where: object) -> dict[str, Any]:
    """Return the one stored customer with this value."""
    ((name, value),) = where.items()
    (found,) = [customer for customer in dub.customers if customer[name] == value]
    return found
