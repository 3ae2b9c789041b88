"""A requests session that authenticates itself at Dub."""

from __future__ import annotations

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from airflow_provider_dub import __version__


class _ApiKey(AuthBase):
    """Sets the Authorization header; as an object of its own it keeps a .netrc from replacing it."""

    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


def dub_session(api_key: str, *, verify: bool | str, pool_size: int) -> requests.Session:
    """Return a session for one API key.

    :param api_key: The key.
    :param verify: Whether to check the server's certificate, or the path of a CA bundle.
    :param pool_size: Connections kept open, and the most that exist at a time.
    """
    session = requests.Session()
    session.auth = _ApiKey(api_key)
    session.verify = verify
    session.headers["User-Agent"] = f"airflow-provider-dub/{__version__} {session.headers['User-Agent']!s}"
    session.headers["Accept"] = "application/json"
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool_size, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
