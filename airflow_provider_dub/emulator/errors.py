"""Responses that are not a success: Dub's JSON errors, and the pages and redirects of the web framework beneath it."""

from __future__ import annotations

from typing import Any

_STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "unprocessable_entity": 422,
    "rate_limit_exceeded": 429,
    "internal_server_error": 500,
}


class ApiError(Exception):
    """An error as the API words it.

    :param code: Dub's error code, such as ``not_found``; it decides the HTTP status.
    :param message: What the caller reads.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.status = _STATUS[code]
        # Dub replaces only the first underscore: "rate-limit_exceeded".
        doc_url = "https://dub.co/docs/api-reference/errors#" + code.replace("_", "-", 1)
        self.body: dict[str, Any] = {"error": {"code": code, "message": message, "doc_url": doc_url}}


class PageError(Exception):
    """A request that never reaches the API: the framework responds with an HTML page.

    :param status: The HTTP status, 404 or 500.
    :param reason: What the page says.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RedirectError(Exception):
    """A URL that the framework redirects, for good, to its tidy form.

    :param path: The path to redirect to.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def html_page(status: int, reason: str) -> str:
    """Return an HTML error page, as a framework or an edge server sends it.

    :param status: The HTTP status.
    :param reason: The words beside it.
    """
    title = f"{status}: {reason}"
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
