"""The Dub workspace that a connection leads to: what lineage calls it, and where Dub's app shows it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_dub.api import DEFAULT_BASE_URL

_API_HOST = urlsplit(DEFAULT_BASE_URL).hostname
_APP = "https://app.dub.co"


@dataclass(frozen=True)
class Workspace:
    """A workspace, as far as a connection knows it.

    :param base_url: The address of the API.
    :param slug: The workspace's slug, if the connection has one, checked: it stands in addresses as it is.
    """

    base_url: str
    slug: str | None

    @property
    def name(self) -> str:
        """What lineage calls it: its slug, or else the API's host."""
        return self.slug or urlsplit(self.base_url).netloc

    @property
    def address(self) -> str:
        """Where it is: the API's address, and the slug if it is known."""
        return "/".join(filter(None, (self.base_url, self.slug)))

    def page(self, path: str) -> str | None:
        """Return the address of a page in Dub's app; None where that is unknown: without a slug, or on another host.

        :param path: The page, below the workspace.
        """
        if not self.slug or urlsplit(self.base_url).hostname != _API_HOST:
            return None
        return f"{_APP}/{self.slug}/{path}"
