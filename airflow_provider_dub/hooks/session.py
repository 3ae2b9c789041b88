"""A requests session that authenticates itself at Dub."""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import AuthBase

from airflow_provider_dub import __version__


class ApiKeyAuth(AuthBase):
    """Sets the Authorization header; as an object of its own it keeps a .netrc from replacing it.

    :param api_key: The key.
    """

    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authenticate a request."""
        request.headers["Authorization"] = self._header
        return request


class DubSession(requests.Session):
    """A session for one API key.

    It differs from other sessions in two things: REQUESTS_CA_BUNDLE does not replace a ``verify`` that was set, and
    redirects are not followed, since Dub's API has none and the key is for nobody else.

    :param api_key: The key.
    :param verify: Whether to check the server's certificate, or the path of a CA bundle. With True, the environment's
        REQUESTS_CA_BUNDLE is used where there is one.
    """

    def __init__(self, api_key: str, *, verify: bool | str = True) -> None:
        super().__init__()
        self.auth = ApiKeyAuth(api_key)
        self.verify = verify
        self.headers["User-Agent"] = f"airflow-provider-dub/{__version__} {self.headers['User-Agent']!s}"
        self.headers["Accept"] = "application/json"

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings of a request: its own, then the session's, then the environment's."""
        if verify is None and self.verify is not True:
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the name is requests'
        """Return None: no response leads elsewhere."""
        return None
