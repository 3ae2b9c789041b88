"""A retry policy that knows Dub's errors. Needs Airflow 3.3.

Most of what this provider raises decides on its own: what no retry can help raises an ``AirflowFailException``, and
Airflow asks no policy about that. What is left is how long to wait, and the errors that your own tasks get from
``DubHook``.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_dub.exceptions import (
    DubConnectionError,
    DubError,
    DubRateLimitError,
    DubRetryLaterError,
    DubServerError,
    DubUnreadableResponseError,
)
from airflow_provider_dub.version_compat import (
    AirflowFailException,
    AirflowOptionalProviderFeatureException,
    can_reschedule_failures,
)

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError as error:
    raise AirflowOptionalProviderFeatureException(
        "Retry policies need Airflow 3.3 or later. Before, set retries, retry_delay and retry_exponential_backoff."
    ) from error

if TYPE_CHECKING:
    from airflow_provider_dub.version_compat import Context

__all__ = ["DubRetryPolicy"]

_OUTAGE = frozenset({DubConnectionError.code, DubServerError.code, DubUnreadableResponseError.code})


class DubRetryPolicy(RetryPolicy):
    """Waits as long as the failure asks for, and gives up where no retry can help.

    Of several delays the longest counts. About errors that are not of this provider, and about runs that were
    stopped, it has no opinion: the task's ``retry_delay`` applies.

    :param rate_limit: The delay after a request was refused for its rate too long. Dub counts over two clock minutes.
    :param outage: The delay after the first try that met server errors or no response; doubled by every further one.
    :param longest_outage: The most that this delay grows to.
    :param max_reschedules: The number of times that one try is run again without using a retry, from Airflow 3.4 on.
        Before, every wait is a retry.
    """

    def __init__(
        self,
        *,
        rate_limit: timedelta = timedelta(minutes=2),
        outage: timedelta = timedelta(minutes=1),
        longest_outage: timedelta = timedelta(minutes=15),
        max_reschedules: int = 3,
    ) -> None:
        self.rate_limit = rate_limit
        self.outage = outage
        self.longest_outage = longest_outage
        self.max_reschedules = max_reschedules

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow counts the tries
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide whether and when Airflow tries again.

        :param exception: What the task raised.
        :param try_number: The number of the try that failed, from 1.
        :param max_tries: The most tries.
        :param context: The task's context.
        """
        if isinstance(exception, AirflowFailException):
            return RetryDecision.fail("a retry would fail in the same way")
        if isinstance(exception, DubRetryLaterError):
            return self._after(exception.codes, try_number)
        if isinstance(exception, DubError):
            if exception.fatal or not exception.transient:
                return RetryDecision.fail(f"Dub: {exception.code}, a retry would fail in the same way")
            return self._after({exception.code}, try_number)
        return RetryDecision.default()

    def _after(self, codes: AbstractSet[str], try_number: int) -> RetryDecision:
        delays = []
        if DubRateLimitError.code in codes:
            delays.append(self.rate_limit)
        if codes & _OUTAGE:
            delays.append(min(self.outage * 2 ** min(try_number - 1, 20), self.longest_outage))
        if not delays:
            return RetryDecision.default()
        reason = f"Dub: {', '.join(sorted(codes))}"
        if can_reschedule_failures():
            return cast("Any", RetryDecision).reschedule(  # type: ignore[no-any-return] # not in Airflow 3.3
                max(delays), max_reschedules=self.max_reschedules, reason=reason
            )
        return RetryDecision.retry(max(delays), reason)
