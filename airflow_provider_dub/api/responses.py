"""Dub's error responses become typed errors of :mod:`airflow_provider_dub.exceptions`.

Source of every fact about Dub: its server, measured in August 2026.
"""

from __future__ import annotations

import json
import re

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

#: ``<zod code>: <path>: <message>``, the form of Dub's validation errors; the path of the body itself is empty.
_VALIDATION = re.compile(r"(?P<code>[a-z]+(?:_[a-z]+)*): (?P<path>[\w.\[\]$-]*): ")
#: How the store's errors begin, where they look like the former.
_STORE = re.compile(r"target: |vttablet: ")
_LISTING = re.compile(r"Page is too big|Invalid cursor|You cannot use both ")
_TOO_LONG = re.compile(r"too long for the column's type\. Column: (\w+)\b")


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
        return DubUnreadableResponseError(status, "the body is no error message of Dub's")
    if not about_customers and (error := _of_another_endpoint(status, message)):
        return error
    error_of = {
        400: _bad_request,
        401: _unauthorized,
        403: _forbidden,
        404: _not_found,
        409: _conflict,
        422: _unprocessable,
    }.get(status, _unknown)
    return error_of(status, message)


def _of_another_endpoint(status: int, message: str) -> DubApiError | None:
    """Return the error whose text or kind is another one for customers; None if there is no difference."""
    if status == 403:
        text = "Dub forbids this call for this API key: check the workspace's plan and the key's permissions."
        return DubForbiddenError(text, status=status, server_message=message)
    if status == 404 and not message.startswith(("Workspace", "Customer")):
        return DubNotFoundError("Dub finds nothing at this path.", status=status, server_message=message)
    if status == 409:
        return DubConflictError("Dub has such an object already.", status=status, server_message=message)
    if status == 422 and message.startswith("["):
        text = "Dub applied the request but could not build its response."
        return DubResponseNotBuiltError(text, status=status, server_message=message)
    return None


def _dub_message(body: bytes) -> str | None:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return message if isinstance(message, str) else None


def _bad_request(status: int, message: str) -> DubApiError:
    if "authorization header" in message:
        return _unauthorized(status, message)
    return DubInvalidRequestError("Dub could not parse the request.", status=status, server_message=message)


def _unauthorized(status: int, message: str) -> DubApiError:
    return DubUnauthorizedError(
        "Dub refused the API key: it is missing, unknown or expired. Put a current key of the workspace "
        "(Dub: Settings > API keys) into the connection's password.",
        status=status,
        server_message=message,
    )


def _forbidden(status: int, message: str) -> DubApiError:
    if "higher plan" in message:
        text = "The workspace's plan has no access to customers: Dub's Business plan or higher is needed."
    elif "required role" in message:
        text = "The owner of the API key may not update customers: the role must be owner or member."
    else:
        text = "Dub forbids this call for this API key. Check the key's permissions."
    return DubForbiddenError(text, status=status, server_message=message)


def _not_found(status: int, message: str) -> DubError:
    if not message.startswith(("Workspace", "Customer")):
        return DubUnreadableResponseError(status, "the error message is none of Dub's for customers")
    if message.startswith("Workspace"):
        return DubWorkspaceNotFoundError(
            "Dub finds no workspace for this API key. Use a key of the workspace itself, and check the "
            "connection's workspace_slug.",
            status=status,
            server_message=message,
        )
    return DubCustomerNotFoundError(
        "Dub knows no such customer. A Dub id starts with cus_; an id of your own, as the customer's externalId in Dub "
        "spells it, goes into external_id_column or starts with ext_.",
        status=status,
        server_message=message,
    )


def _conflict(status: int, message: str) -> DubApiError:
    return DubConflictError(
        "Another customer has this externalId or stripeCustomerId already (Dub does not say which; the "
        "stripeCustomerId may belong to another workspace).",
        status=status,
        server_message=message,
    )


def _unprocessable(status: int, message: str) -> DubApiError:
    if message.startswith("["):
        return DubResponseNotBuiltError(
            "Dub applied the update but could not show the customer, because it has no external id. Send an "
            "externalId for it.",
            status=status,
            server_message=message,
        )
    if not _STORE.match(message) and (match := _VALIDATION.match(message)):
        refused = f'field "{match["path"]}"' if match["path"] in FIELDS else "request"
        what = f"Dub refused the {refused} ({match['code']})."
        return DubInvalidRequestError(what, status=status, server_message=message)
    if _LISTING.match(message):
        what = "Dub refused the page or cursor of the list."
        return DubInvalidRequestError(what, status=status, server_message=message)
    if (match := _TOO_LONG.search(message)) and match[1] in FIELDS:
        what = f'The value of "{match[1]}" is longer than Dub stores ({MAX_LENGTH} characters).'
        return DubInvalidRequestError(what, status=status, server_message=message)
    return DubServerError(
        "Dub's store could not take the update now (HTTP 422 without a validation error).",
        status=status,
        server_message=message,
    )


def _unknown(status: int, message: str) -> DubApiError:
    return DubInvalidRequestError(f"Dub refused the request (HTTP {status}).", status=status, server_message=message)
