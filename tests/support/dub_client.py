"""A client of a server, without Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_dub.api.client import DubClient
from airflow_provider_dub.api.exchange import Server
from airflow_provider_dub.api.transport import Transport
from airflow_provider_dub.hooks.session import DubSession


def client_of(
    server: Any, *, key: str = "dub_TESTKEY", timeout: float = 30, workspace_slug: str | None = None, **options: Any
) -> DubClient:
    """Return a client of a server.

    :param server: Its URL, or an object that has one, such as the local Dub.
    :param key: The API key.
    :param timeout: Seconds for a request.
    :param workspace_slug: The slug of the workspace.
    :param options: Further arguments of the transport.
    """
    url = server if isinstance(server, str) else server.url
    return DubClient(Transport(lambda: DubSession(key), Server(url, timeout), **options), workspace_slug=workspace_slug)
