"""Dub's responses become the JSON that was asked for, or typed errors of :mod:`airflow_provider_dub.exceptions`.

Source of every fact about Dub: its server, measured in August 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

from airflow_provider_dub.customers.converters import MAX_LENGTH
from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.exceptions import (
    DubApiError,
    DubConflictError,
    DubCustomerNotFoundError,
    DubError,
    DubForbiddenError,
    DubInvalidRequestError,
    DubNotFoundError,
    DubRateLimitError,
    DubResponseNotBuiltError,
    DubServerError,
    DubUnauthorizedError,
    DubUnreadableResponseError,
    DubWorkspaceNotFoundError,
)

if TYPE_CHECKING:
    from airflow_provider_dub.api.exchange import Response

T = TypeVar("T")

#: The kind of an error, and its text.
_Error: TypeAlias = tuple[type[DubApiError], str]

#: What Dub says of a list that is filtered by program or partner, where there is no program.
_NO_PROGRAM = "Program not found"
#: How Dub begins what it says of what it does not find.
_NOT_FOUND = ("Workspace", "Customer", _NO_PROGRAM)
#: ``<zod code>: <path>: <message>``, the form of Dub's validation errors; the path of the body itself is empty.
_VALIDATION = re.compile(r"(?P<code>[a-z]+(?:_[a-z]+)*): (?P<path>[\w.\[\]$-]*): ")
#: How the store's errors begin, where they look like the former.
_STORE = re.compile(r"target: |vttablet: ")
#: Parts of the store's errors that may pass, for endpoints whose other errors of this status are not known.
_STORE_OF_ANY = re.compile(rf"{_STORE.pattern}|prisma\.|deadlock|lock wait|write conflict", re.IGNORECASE)
_LISTING = re.compile(r"Page is too big|Invalid cursor|You cannot use both ")
_TOO_LONG = re.compile(r"too long for the column(?:'s type\. Column: (\w+)\b)?")


def any_json_of(response: Response) -> Any:
    """Return the JSON of a success of any endpoint, or None if it has no body.

    :param response: A response to a request about anything.
    :raises DubError: It is an error, or no JSON.
    """
    if not 200 <= response.status < 300:
        raise error_from_response(response.status, response.body, about_customers=False)
    if response.headers.get("Content-Type", "").startswith("text/csv"):
        raise DubInvalidRequestError(
            "This endpoint returns CSV, not JSON: read it with the session of get_conn().", status=response.status
        )
    return _parsed(response) if response.body else None


def json_of(response: Response, expected: Callable[[Any], TypeGuard[T]]) -> T:
    """Return the JSON of a success.

    :param response: A response to a request about customers.
    :param expected: Returns whether the JSON is what Dub sends here.
    :raises DubError: It is an error, or not what Dub sends here.
    """
    if response.status != 200:
        raise error_from_response(response.status, response.body)
    value = _parsed(response)
    if not expected(value):
        raise DubUnreadableResponseError(response.status, "the JSON has another shape")
    return value


def _parsed(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        raise DubUnreadableResponseError(response.status, "the body is not JSON") from None


def error_from_response(status: int, body: bytes, *, about_customers: bool = True) -> DubError:
    """Turn an HTTP response that is not a success into a typed error.

    :param status: The HTTP status, anything but 200.
    :param body: The body as received; Dub's errors are ``{"error": {"code", "message", "doc_url"}}``.
    :param about_customers: Whether the request was one about customers.
    """
    message = _dub_message(body)
    if status >= 500 and status not in (501, 505):
        hint = "" if message else " This was no response of Dub's API: if it persists, check the connection's host."
        return DubServerError(f"The server failed (HTTP {status}).{hint}", status=status, server_message=message or "")
    if status == 429:
        return DubRateLimitError(
            "The API key is over its requests per minute.", status=status, server_message=message or ""
        )
    if message is None:
        return DubUnreadableResponseError(status, "the body is not one of Dub's error messages")
    if about_customers and status == 404 and not message.startswith(_NOT_FOUND):
        return DubUnreadableResponseError(status, "the error message is not one of Dub's for customers")
    kind, text = (None if about_customers else _of_another_endpoint(status, message)) or _of_customers(status, message)
    return kind(text, status=status, server_message=message)


def _of_another_endpoint(status: int, message: str) -> _Error | None:
    """Return the error whose text or kind is another one for customers; None if there is no difference."""
    if status == 403:
        return (
            DubForbiddenError,
            "Dub forbids this call for this API key: check the workspace's plan and the key's permissions.",
        )
    if status == 404 and not message.startswith(_NOT_FOUND):
        return DubNotFoundError, "Dub finds nothing at this path."
    if status == 409:
        return DubConflictError, "Dub has such an object already."
    if status == 422 and message.startswith("["):
        return DubResponseNotBuiltError, "Dub applied the request but could not build its response."
    if status == 422 and _unprocessable(message)[0] is DubServerError and not _STORE_OF_ANY.search(message):
        return DubInvalidRequestError, "Dub refused the request (HTTP 422): the error's server_message says why."
    return None


def _dub_message(body: bytes) -> str | None:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return message if isinstance(message, str) else None


def _of_customers(status: int, message: str) -> _Error:
    if status == 400 and "authorization header" in message:
        status = 401
    if status in _SIMPLE:
        return _SIMPLE[status]
    if status == 403:
        return DubForbiddenError, _why_forbidden(message)
    if status == 404:
        if message.startswith(_NO_PROGRAM):
            return DubNotFoundError, "The workspace has no program: leave the filters programId and partnerId out."
        return _WORKSPACE_NOT_FOUND if message.startswith("Workspace") else _CUSTOMER_NOT_FOUND
    if status == 422:
        return _unprocessable(message)
    return DubInvalidRequestError, f"Dub refused the request (HTTP {status})."


_SIMPLE: dict[int, _Error] = {
    400: (DubInvalidRequestError, "Dub could not parse the request."),
    401: (
        DubUnauthorizedError,
        (
            "Dub refused the API key: it is missing, unknown or expired. Put a current key of the workspace "
            "(Dub: Settings > API keys; it begins with dub_) into the connection's password."
        ),
    ),
    409: (
        DubConflictError,
        (
            "Another customer has this externalId or stripeCustomerId already, perhaps in another case or with other "
            "accents (Dub does not say which; the stripeCustomerId may belong to another workspace)."
        ),
    ),
}
_WORKSPACE_NOT_FOUND: _Error = (
    DubWorkspaceNotFoundError,
    (
        "Dub finds no workspace for this API key. Use a key of the workspace itself, which begins with dub_, and check "
        "the connection's workspace_slug."
    ),
)
_CUSTOMER_NOT_FOUND: _Error = (
    DubCustomerNotFoundError,
    (
        "Dub has no such customer. A Dub id starts with cus_; an id of your own, as the customer's externalId in Dub "
        "spells it, goes into external_id_column or starts with ext_."
    ),
)


def _why_forbidden(message: str) -> str:
    if "higher plan" in message:
        return "The workspace's plan has no access to customers: Dub's Business plan or higher is needed."
    if "required role" in message:
        return "The owner of the API key may not update customers: the role must be owner or member."
    return "Dub forbids this call for this API key. Check the key's permissions."


def _unprocessable(message: str) -> _Error:
    if message.startswith("["):
        return (
            DubResponseNotBuiltError,
            (
                "Dub applied the update but could not show the customer, because it has no external id. Send an "
                "externalId for it."
            ),
        )
    if not _STORE.match(message) and (match := _VALIDATION.match(message)):
        refused = f'field "{match["path"]}"' if match["path"] in FIELDS else "request"
        return DubInvalidRequestError, f"Dub refused the {refused} ({match['code']})."
    if _LISTING.match(message):
        return DubInvalidRequestError, "Dub refused the page or cursor of the list."
    if match := _TOO_LONG.search(message):
        if match[1] not in FIELDS:
            return DubInvalidRequestError, "A value is longer than Dub stores."
        text = f'The value of "{match[1]}" is longer than Dub stores ({MAX_LENGTH} characters).'
        return DubInvalidRequestError, text
    return DubServerError, "Dub's store could not take the update now (HTTP 422 without a validation error)."
