"""What can go wrong between us and Dub, as one tree of exceptions.

::

    DubError
    ├── DubConfigurationError      the key, the address or an option cannot work
    ├── DubConnectionError         no answer arrived: DNS, connect, TLS, reset, time-out          transient
    ├── DubUnreadableAnswerError   an answer arrived, but not one that Dub gives                  transient
    ├── DubWrongCustomerError      an answer about another customer than the one asked for
    └── DubApiError                Dub answered with an error
        ├── DubUnauthorizedError       401, 400 about the header: the key            hits every row
        ├── DubForbiddenError          403: the plan or the role                     hits every row
        ├── DubWorkspaceNotFoundError  404: the workspace                            hits every row
        ├── DubCustomerNotFoundError   404: this customer
        ├── DubConflictError           409: externalId or stripeCustomerId is taken
        ├── DubInvalidRequestError     400, 422: a value or the request was refused
        ├── DubAnswerNotBuiltError     422: applied, but Dub could not build its answer
        ├── DubRateLimitError          429                                                        transient
        └── DubServerError             5xx, and a 422 that blames the store                       transient

No message quotes what the server said or what was sent: both can hold customer data. Dub's own words are kept in
:attr:`DubApiError.answer` for a debugger, and nothing in this package logs them.

Source of every fact about Dub: its server, measured in August 2026 (see the table of answers in README.md).
"""

from __future__ import annotations

import json
import re
from typing import ClassVar

from airflow_provider_dub.api.customers import UPDATABLE_FIELDS

_FIELD = "|".join(UPDATABLE_FIELDS)
#: ``<zod code>: <field>: <message>``, the form of Dub's validation errors.
_VALIDATION = re.compile(rf"(invalid_type|invalid_format|invalid_value|too_big|too_small): (?:({_FIELD}): )?")
_LISTING = re.compile(r"Page is too big|Invalid cursor|You cannot use both ")
_TOO_LONG = re.compile(rf"too long for the column's type\. Column: ({_FIELD})\b")


class DubError(Exception):
    """Anything that this package raises about Dub."""

    #: A short name for summaries and rejected files.
    code: ClassVar[str] = "error"
    #: Whether the same request may succeed later.
    transient: bool = False
    #: Whether every other row would fail in the same way.
    hits_every_row: bool = False
    #: Whether the request, or an earlier try of it, may have changed the customer all the same.
    maybe_applied: bool = False


class DubConfigurationError(DubError, ValueError):
    """The API key, the address or an option of the connection cannot work."""

    code = "configuration"
    hits_every_row = True


class DubConnectionError(DubError):
    """No answer arrived: name look-up, connect, TLS, a dropped connection or a time-out.

    :param reason: The kind of failure, such as ``ConnectTimeoutError``.
    :param url: The base URL that was called.
    :param sent: Whether the request may have reached the server.
    """

    code = "no_answer"
    transient = True

    def __init__(self, reason: str, url: str, *, sent: bool) -> None:
        self.reason = reason
        self.maybe_applied = sent
        what_to_check = (
            "the worker's HTTP_PROXY, HTTPS_PROXY and NO_PROXY: the proxy cannot be reached, or it refuses."
            if reason == "ProxyError"
            else "that the host of the connection is right, that the worker reaches it, and that it trusts its "
            "certificate."
        )
        super().__init__(f"No answer from {url} ({reason}). Check {what_to_check}")


class DubUnreadableAnswerError(DubError):
    """An answer arrived, but not one that Dub gives: no JSON, the wrong shape, a redirect or an HTML page.

    A success that cannot be read is worth a repeat at once; any other page may be gone by the next try of the task.

    :param status: The HTTP status.
    :param what: What is wrong with the answer.
    """

    code = "unreadable_answer"
    transient = True

    def __init__(self, status: int, what: str) -> None:
        self.status = status
        self.maybe_applied = status == 200
        super().__init__(
            f"The answer (HTTP {status}) is not one of Dub's: {what}. If this happens for every request, the host of "
            "the connection is not a Dub API; it should be https://api.dub.co or your own server's address."
        )


class DubWrongCustomerError(DubError):
    """The answer is about another customer than the one asked for.

    Dub compares ids without regard to case, accents and trailing blanks, so ``user_1`` answers to ``USER_1``.

    :param changed: Whether that other customer was changed by the request.
    """

    code = "wrong_customer"

    def __init__(self, *, changed: bool) -> None:
        self.changed = changed
        effect = "that customer WAS changed; check it" if changed else "nothing was changed"
        super().__init__(
            "Dub answered for a customer whose id is spelled differently (it ignores case, accents and trailing "
            f"blanks): {effect}. Send the id exactly as Dub stores it."
        )


class DubApiError(DubError):
    """Dub answered with an error.

    :param message: What is wrong and what to do, in our words.
    :param status: The HTTP status.
    :param answer: Dub's own message. It may quote customer data: do not log it.
    """

    def __init__(self, message: str, *, status: int, answer: str = "") -> None:
        self.status = status
        self.answer = answer
        super().__init__(message)


class DubUnauthorizedError(DubApiError):
    """The API key is missing, malformed, unknown or expired."""

    code = "unauthorized"
    hits_every_row = True


class DubForbiddenError(DubApiError):
    """The workspace's plan or the role of the key's owner does not allow the call."""

    code = "forbidden"
    hits_every_row = True


class DubWorkspaceNotFoundError(DubApiError):
    """The key does not belong to the workspace, or to none."""

    code = "workspace_not_found"
    hits_every_row = True


class DubCustomerNotFoundError(DubApiError):
    """The workspace has no such customer."""

    code = "not_found"


class DubConflictError(DubApiError):
    """Another customer has the ``externalId`` or ``stripeCustomerId`` already."""

    code = "conflict"


class DubInvalidRequestError(DubApiError):
    """Dub refused a value or the request."""

    code = "invalid"


class DubAnswerNotBuiltError(DubApiError):
    """Dub applied the update and then failed to build its answer: the customer has no external id."""

    code = "answer_not_built"


class DubRateLimitError(DubApiError):
    """The key is over its limit of requests per minute."""

    code = "rate_limited"
    transient = True


class DubServerError(DubApiError):
    """Dub or its store failed; the same request may succeed later."""

    code = "server_error"
    transient = True
    maybe_applied = True


def error_from_answer(status: int, body: bytes) -> DubError:
    """Turn an HTTP answer that is not a success into a typed error.

    :param status: The HTTP status, anything but 200.
    :param body: The body as received; Dub's errors are ``{"error": {"code", "message", "doc_url"}}``.
    """
    message = _dub_message(body)
    if status >= 500 and status not in (501, 505):
        hint = "" if message else " This was no answer of Dub's API: if it persists, check the connection's host."
        return DubServerError(f"The server failed (HTTP {status}).{hint}", status=status, answer=message or "")
    if status == 429:
        return DubRateLimitError("The API key is over its requests per minute.", status=status, answer=message or "")
    if message is None:
        return DubUnreadableAnswerError(status, "the body is no error message of Dub's")
    error_of = {
        400: _bad_request,
        401: _unauthorized,
        403: _forbidden,
        404: _not_found,
        409: _conflict,
        422: _unprocessable,
    }.get(status, _unknown)
    return error_of(status, message)


def _dub_message(body: bytes) -> str | None:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return message if isinstance(message, str) else None


def _bad_request(status: int, message: str) -> DubApiError:
    if "authorization header" in message:
        return _unauthorized(status, message)
    return DubInvalidRequestError("Dub could not parse the request.", status=status, answer=message)


def _unauthorized(status: int, message: str) -> DubApiError:
    return DubUnauthorizedError(
        "Dub refused the API key: it is missing, unknown or expired. Put a current key of the workspace "
        "(Dub: Settings > API keys) into the connection's password.",
        status=status,
        answer=message,
    )


def _forbidden(status: int, message: str) -> DubApiError:
    if "higher plan" in message:
        text = "The workspace's plan has no access to customers: Dub's Business plan or higher is needed."
    elif "required role" in message:
        text = "The owner of the API key may not update customers: the role must be owner or member."
    else:
        text = "Dub forbids this call for this API key. Check the key's permissions."
    return DubForbiddenError(text, status=status, answer=message)


def _not_found(status: int, message: str) -> DubError:
    if not message.startswith(("Workspace", "Customer")):
        return DubUnreadableAnswerError(status, "the error message is none of Dub's for customers")
    if message.startswith("Workspace"):
        return DubWorkspaceNotFoundError(
            "Dub finds no workspace for this API key. Use a key of the workspace itself, and check the "
            "connection's workspace_slug.",
            status=status,
            answer=message,
        )
    return DubCustomerNotFoundError(
        "Dub knows no such customer. A Dub id starts with cus_; an id of your own, as the customer's externalId in Dub "
        "spells it, goes into external_id_column or starts with ext_.",
        status=status,
        answer=message,
    )


def _conflict(status: int, message: str) -> DubApiError:
    return DubConflictError(
        "Another customer has this externalId or stripeCustomerId already (Dub does not say which; the "
        "stripeCustomerId may belong to another workspace).",
        status=status,
        answer=message,
    )


def _unprocessable(status: int, message: str) -> DubApiError:
    if message.startswith("["):
        return DubAnswerNotBuiltError(
            "Dub applied the update but could not show the customer, because it has no external id. Send an "
            "externalId for it.",
            status=status,
            answer=message,
        )
    if match := _VALIDATION.match(message):
        what = (
            f'Dub refused the field "{match[2]}" ({match[1]}).' if match[2] else f"Dub refused the body ({match[1]})."
        )
        return DubInvalidRequestError(what, status=status, answer=message)
    if _LISTING.match(message):
        return DubInvalidRequestError("Dub refused the page or cursor of the list.", status=status, answer=message)
    if match := _TOO_LONG.search(message):
        return DubInvalidRequestError(
            f'The value of "{match[1]}" is longer than Dub stores (191 characters).', status=status, answer=message
        )
    return DubServerError(
        "Dub's store could not take the update now (HTTP 422 without a validation error).",
        status=status,
        answer=message,
    )


def _unknown(status: int, message: str) -> DubApiError:
    return DubInvalidRequestError(f"Dub refused the request (HTTP {status}).", status=status, answer=message)
