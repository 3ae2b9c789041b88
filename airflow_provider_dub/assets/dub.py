"""The customers of a Dub workspace as an Airflow asset: ``dub://<workspace slug, or host>/customers``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow_provider_dub.version_compat import Asset, Context

__all__ = ["customers_uri", "dub_customers"]

SCHEME = "dub"


def customers_uri(workspace: str) -> str:
    """Return the asset's URI.

    :param workspace: The workspace's slug, or the host of a connection that has none.
    """
    return f"{SCHEME}://{quote(workspace.lower(), safe=':[]%')}/customers"


def dub_customers(workspace: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return the customers of a workspace as an asset, for ``outlets=`` of a task or ``schedule=`` of a DAG.

    As an outlet of an operator of this provider, its events carry the number of rows by outcome in their ``extra``.

    :param workspace: The workspace's slug, or the host of a connection that has none.
    :param extra: The asset's own ``extra``.
    """
    from airflow_provider_dub.version_compat import Asset

    return Asset(uri=customers_uri(workspace), extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check and normalise a URI for Airflow.

    :param uri: The URI in parts.
    :raises ValueError: It is not of the form ``dub://<workspace>/customers``.
    """
    if not uri.netloc or uri.path != "/customers":
        raise ValueError("An asset of Dub is dub://<workspace slug, or host>/customers.")
    return uri._replace(netloc=uri.netloc.lower())


def count_in_events(counts: Mapping[str, int], outlets: Iterable[object], context: Context) -> None:
    """Put counts into the ``extra`` of the events that Airflow will emit for a task's Dub assets.

    :param counts: Rows by outcome.
    :param outlets: The task's outlets.
    :param context: The task's context.
    """
    events: Any = context.get("outlet_events")
    for outlet in outlets:
        if events is not None and str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://"):
            events[outlet].extra.update(counts)
