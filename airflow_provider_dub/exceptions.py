"""Every exception that leaves this provider, in one tree; a database's error about the user's query stays as it is.

::

    AirflowException
    └── DubError                            everything below
        ├── DubConfigurationError           the connection cannot work (fatal)
        ├── DubConnectionError              no response: DNS, connect, TLS, reset, time-out (transient)
        ├── DubUnreadableResponseError      a response, but not one that Dub gives (transient)
        ├── DubWrongCustomerError           a response about another customer than the one asked for
        ├── DubStoppedError                 the run was stopped before a response arrived (transient)
        ├── DubApiError                     Dub responded with an error
        │   ├── DubUnauthorizedError        401, 400 about the header: the key (fatal)
        │   ├── DubForbiddenError           403: the plan or the role (fatal)
        │   ├── DubWorkspaceNotFoundError   404: the workspace (fatal)
        │   ├── DubNotFoundError            404: what the path names (permanent)
        │   │   └── DubCustomerNotFoundError    404: this customer (permanent)
        │   ├── DubConflictError            409: externalId or stripeCustomerId is taken (permanent)
        │   ├── DubInvalidRequestError      400, 422: a value or the request was refused (permanent)
        │   ├── DubResponseNotBuiltError    422: applied, but Dub could not build its response (permanent)
        │   ├── DubRateLimitError           429 (transient)
        │   └── DubServerError              5xx, and a 422 that blames the store (transient)
        ├── DubRetryLaterError              a task failed, in part for reasons that may pass: its retries apply
        ├── DubStateTableLockedError        another run holds the state table: the task's retries apply
        ├── DubWarehouseError               the database of the query or of the state table failed: retries apply
        │   ├── DubUnreadableRowsError      the query failed amid its rows
        │   ├── DubIncompleteRowsError      not all rows arrived
        │   ├── DubDatabaseError            a statement about the state failed
        │   └── DubUnrecordedOutcomesError  outcomes could not be recorded: these rows are sent again
        └── (and AirflowFailException: no Airflow retries)
            ├── DubReviewChangesError       a run would change more than allowed: look at the rows before they are sent
            ├── DubFixRowsError             rows were refused for reasons that a retry meets again: fix the rows
            └── DubFixSetupError            no row can work: fix the connection, the key or an argument

A *fatal* error ends the run, a *transient* one may be cured by a retry, a *permanent* one comes back
whenever the row is sent.

No message quotes what the server said or what was sent: both can hold customer data. Dub's own words are kept in
:attr:`DubApiError.server_message` for a debugger, and nothing in this package logs them.

Source of every fact about Dub: its server, measured in August 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from airflow_provider_dub.version_compat import AirflowException, AirflowFailException

__all__ = [
    "DubApiError",
    "DubConfigurationError",
    "DubConflictError",
    "DubConnectionError",
    "DubCustomerNotFoundError",
    "DubDatabaseError",
    "DubError",
    "DubFixRowsError",
    "DubFixSetupError",
    "DubForbiddenError",
    "DubIncompleteRowsError",
    "DubInvalidRequestError",
    "DubNotFoundError",
    "DubRateLimitError",
    "DubResponseNotBuiltError",
    "DubRetryLaterError",
    "DubReviewChangesError",
    "DubServerError",
    "DubStateTableLockedError",
    "DubStoppedError",
    "DubUnauthorizedError",
    "DubUnreadableResponseError",
    "DubUnreadableRowsError",
    "DubUnrecordedOutcomesError",
    "DubWarehouseError",
    "DubWorkspaceNotFoundError",
    "DubWrongCustomerError",
]


class DubError(AirflowException):
    """Anything that this provider raises."""

    #: A short name for summaries and rejected files.
    code: ClassVar[str] = "error"
    #: Whether the same request may succeed later.
    transient: bool = False
    #: Whether every other row would fail in the same way, so that the run ends.
    fatal: bool = False
    #: Whether the request, or an earlier try of it, may have changed the customer all the same.
    maybe_applied: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy without a call of ``__init__``, which takes other arguments than the message.

        An error that cannot be read again breaks a process pool.
        """
        return type(self).__new__, (type(self), *self.args), self.__dict__


class DubConfigurationError(DubError, ValueError):
    """The API key, the address or an option of the connection cannot work."""

    code = "configuration"
    fatal = True


#: Why no response arrived, where that is the worker's fault: files or threads that it cannot have.
TOO_MANY_FILES, TOO_MANY_THREADS = "too many open files", "no thread can be started"
_LIMITS = (
    "the limits of the worker (ulimit -n and -u, the pids of a container): for each of max_workers a run needs an open "
    "file and two threads."
)
#: What to check, by the reason; otherwise the connection.
_WHAT_TO_CHECK = {
    "ProxyError": "the worker's HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY: the proxy cannot be reached, "
    "refuses, or has lost the response.",
    TOO_MANY_FILES: _LIMITS,
    TOO_MANY_THREADS: _LIMITS,
}
_CONNECTION = (
    "that the host of the connection is right, that the worker reaches it, and that it trusts its certificate."
)


class DubConnectionError(DubError):
    """No response arrived: name look-up, connect, TLS, a dropped connection or a time-out.

    :param reason: The kind of failure, such as ``ConnectTimeoutError``.
    :param url: The base URL that was called.
    :param sent: Whether the request may have reached the server.
    :param https_assumed: Whether the cause may be that the host was given without a scheme.
    """

    code = "no_response"
    transient = True

    def __init__(self, reason: str, url: str, *, sent: bool, https_assumed: bool = False) -> None:
        self.reason = reason
        self.maybe_applied = sent
        hint = (
            " The host names no scheme, so https was assumed: if the server has no TLS, put http:// in front of it."
            if https_assumed
            else ""
        )
        super().__init__(f"No response from {url} ({reason}). Check {_WHAT_TO_CHECK.get(reason, _CONNECTION)}{hint}")


class DubUnreadableResponseError(DubError):
    """A response arrived, but not one that Dub gives: not JSON, of the wrong shape, a redirect or an HTML page.

    A success that cannot be read is worth a retry at once; any other page may be gone by the next try of the task.

    :param status: The HTTP status.
    :param what: What is wrong with the response.
    """

    code = "unreadable_response"
    transient = True

    def __init__(self, status: int, what: str) -> None:
        self.status = status
        self.maybe_applied = status < 300
        super().__init__(
            f"The response (HTTP {status}) is not one of Dub's: {what}. If this happens for every request, the host of "
            "the connection is not a Dub API; it should be https://api.dub.co or your own server's address."
        )


_UNCHANGED_CASE = ", without LOWER or UPPER in the query, and from a column that keeps capitals"


class DubWrongCustomerError(DubError):
    """The response is about another customer than the one asked for.

    Dub compares ids without regard to case, accents and trailing blanks, so ``USER_1`` finds ``user_1``.

    :param changed: Whether that other customer was changed by the request.
    :param every_row: Whether other rows would presumably change their customers, too: one of Dub's own ids has another
        case, and what changes the case of one mostly changes that of all.
    """

    code = "wrong_customer"

    def __init__(self, *, changed: bool, every_row: bool = False) -> None:
        self.changed = changed
        self.fatal = every_row
        effect = "that customer WAS changed; check it" if changed else "nothing was changed"
        super().__init__(
            "The response is about a customer whose id is spelled differently (it ignores case, accents and trailing "
            f"blanks): {effect}. Send the id exactly as Dub stores it{_UNCHANGED_CASE if every_row else ''}."
        )


class DubApiError(DubError):
    """Dub responded with an error.

    :param message: What is wrong and what to do, in our words.
    :param status: The HTTP status.
    :param server_message: Dub's own message. It may quote customer data: do not log it.
    """

    def __init__(self, message: str, *, status: int, server_message: str = "") -> None:
        self.status = status
        self.server_message = server_message
        super().__init__(message)


class DubUnauthorizedError(DubApiError):
    """The API key is missing, malformed, unknown or expired."""

    code = "unauthorized"
    fatal = True


class DubForbiddenError(DubApiError):
    """The workspace's plan or the role of the key's owner does not allow the call."""

    code = "forbidden"
    fatal = True


class DubWorkspaceNotFoundError(DubApiError):
    """The key does not belong to the workspace, or to none."""

    code = "workspace_not_found"
    fatal = True


class DubNotFoundError(DubApiError):
    """There is nothing at the path of the request."""

    code = "not_found"


class DubCustomerNotFoundError(DubNotFoundError):
    """The workspace has no such customer."""


class DubConflictError(DubApiError):
    """Another customer has the ``externalId`` or ``stripeCustomerId`` already."""

    code = "conflict"


class DubInvalidRequestError(DubApiError):
    """Dub refused a value or the request."""

    code = "invalid"


class DubResponseNotBuiltError(DubApiError):
    """Dub applied the update and then failed to build its response: the customer has no external id."""

    code = "response_not_built"


class DubRateLimitError(DubApiError):
    """The key is over its limit of requests per minute."""

    code = "rate_limited"
    transient = True


class DubServerError(DubApiError):
    """Dub or its store failed; the same request may succeed later."""

    code = "server_error"
    transient = True
    maybe_applied = True


class DubStoppedError(DubError):
    """The run was stopped while this request waited for its turn, its response or its retry.

    :param sent: Whether the request was sent before, so that the change may have been applied.
    """

    code = "stopped"
    transient = True

    def __init__(self, *, sent: bool = False) -> None:
        self.maybe_applied = sent
        super().__init__("The run was stopped before this row's request had a response.")


class DubRetryLaterError(DubError):
    """A task failed for a reason that may pass: its retries apply.

    More rows failed than allowed, or a file, a table or Airflow's task state store did not take what the run wrote.

    :param message: What failed.
    :param codes: The codes of the failures of rows that may pass, such as ``rate_limited``.
    """

    def __init__(self, message: str, codes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.codes = frozenset(codes)


class DubStateTableLockedError(DubError):
    """Another run holds the state table, or has taken it over from this one: the task's retries apply."""

    code = "state_table_locked"
    transient = True


class DubWarehouseError(DubError):
    """The database of the query or of the state table failed: the task's retries apply.

    What was not recorded is sent again. The message has nothing of the database's own, which may quote a value.
    """

    code = "warehouse"
    transient = True


_NOT_SHOWN = "What the database says of it may hold a value of a row and is not shown"


class DubUnreadableRowsError(DubWarehouseError):
    """The user's query failed while its rows were read.

    :param kind: The class of the database's error, and its code.
    :param advice: What helps, if it is not the query that is wrong.
    """

    def __init__(self, kind: str, advice: str = "") -> None:
        self.kind = kind
        shown = advice or f"{_NOT_SHOWN}; run the query there to see it."
        super().__init__(f"The query failed while its rows were read: {kind}. {shown}")


class DubIncompleteRowsError(DubWarehouseError):
    """Fewer rows of a query arrived than the database counted, or than were read: nothing was sent."""


class DubDatabaseError(DubWarehouseError):
    """A statement about the state table, its lease or its history failed.

    :param kind: The class of the database's error, and its code.
    :param is_denied: Whether the database does not allow the statement.
    :param is_permanent: Whether a retry of the statement fails, too.
    :param is_read_only: Whether nothing can be written, by nobody or in this session, as on a standby.
    :param advice: What an administrator can do about it, if its code says that.
    """

    def __init__(
        self, kind: str, *, is_denied: bool, is_permanent: bool, is_read_only: bool = False, advice: str = ""
    ) -> None:
        self.kind = kind
        self.is_read_only = is_read_only
        self.advice = advice
        self.is_denied = is_denied
        self.is_permanent = is_permanent
        super().__init__(f"A statement about the state table failed: {kind}. {_NOT_SHOWN}.")


class DubUnrecordedOutcomesError(DubWarehouseError):
    """The database or its driver failed while outcomes were recorded; what is not recorded is sent again.

    :param kind: The class of the database's error, and its code.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"The database did not record the outcomes: {kind}. {_NOT_SHOWN}. Check that the connection's password "
            "still holds, that its user may insert, update and delete in the state table and its history, that no "
            "column is narrower than those that this package creates, and that no partition is missing. What is not "
            "recorded is sent again."
        )


class DubFixRowsError(DubError, AirflowFailException):
    """More rows failed than allowed, all of them for reasons that a retry meets again: fix the rows."""


class DubReviewChangesError(DubError, AirflowFailException):
    """A run would change more than ``max_changes`` or ``max_change_rate`` allows, so that nothing was sent."""


class DubFixSetupError(DubError, AirflowFailException, ValueError):
    """No row can work: the key was refused, the plan is too low, the address is not Dub's, or an argument is wrong."""
