"""How a sync reaches Dub: the preflight check of external ids, and what sends an update."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from airflow_provider_dub.customers.ids import EXTERNAL_PREFIX
from airflow_provider_dub.exceptions import DubStoppedError

if TYPE_CHECKING:
    from airflow_provider_dub.api.client import DubClient
    from airflow_provider_dub.customers.fields import Customer
    from airflow_provider_dub.sync.options import SyncOptions
    from airflow_provider_dub.sync.run import Send
    from airflow_provider_dub.sync.updates import CustomerUpdate, UpdateReader


def verified_ids(
    client: DubClient | None,
    reader: UpdateReader,
    *,
    customer_ids: Iterable[str | None] | None = None,
    confirmed: Iterable[str] = (),
) -> Container[str] | None:
    """Return the external ids that are an exact match in Dub; None if they are not checked.

    This is the preflight check. External ids that it does not return are looked up one by one, when they are sent.

    :param client: The client of the run; None where nothing is to be sent.
    :param reader: Reads the rows.
    :param customer_ids: The customers of the rows that will be sent; by default those that the rows name.
    :param confirmed: External ids that Dub has shown before, an exact match.
    :raises DubError: Dub refuses the key.
    """
    from airflow_provider_dub.api.id_index import read_id_index

    if client is None or not reader.options.check_external_ids:
        return None
    if customer_ids is None:
        customer_ids = reader.customer_ids() if reader.rereadable else ()
    rows = sum(1 for one in customer_ids if one and one.startswith(EXTERNAL_PREFIX))
    try:
        return read_id_index(client, rows, confirmed, reader.options.limit)
    except DubStoppedError:  # the run ends before its first row
        return ()


def sender(client: DubClient | None, options: SyncOptions, verified: Container[str] | None) -> Send:
    """Return what sends an update of a sync.

    :param client: The client of the run; None where nothing is to be sent.
    :param options: The options of the sync.
    :param verified: External ids that need no look-up; None checks none.
    """

    def send(update: CustomerUpdate) -> Customer:
        if client is None:
            raise RuntimeError("A dry run sends nothing.")
        return client.update_customer(
            update.customer_id,
            update.fields,
            include_expanded_fields=options.include_expanded_fields,
            verified_ids=verified,
        )

    return send
