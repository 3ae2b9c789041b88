"""What a task of this provider raises, beside the errors of :mod:`airflow_provider_dub.api.errors`.

::

    AirflowException
    ├── DubCustomersNotUpdatedError     some failures may pass: the task's retries apply
    ├── DubStateTableClaimedError       another run works with the state table: the task's retries apply
    └── AirflowFailException
        ├── DubCustomersRefusedError    every failure is for good: no retry
        └── DubSyncImpossibleError      the key, the plan, the workspace or the address: no retry
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


class DubCustomersNotUpdatedError(AirflowException):
    """More rows failed than ``max_failures`` allows, some of them for a reason that may pass.

    :param message: What failed.
    :param codes: The codes of the failures that may pass, such as ``rate_limited``.
    """

    def __init__(self, message: str, codes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.codes = frozenset(codes)


class DubCustomersRefusedError(AirflowFailException):
    """More rows failed than ``max_failures`` allows, all of them for reasons that a retry meets again."""


class DubSyncImpossibleError(AirflowFailException):
    """Every row would fail: the key was refused, the plan is too low, or the address is not Dub's."""


class DubStateTableClaimedError(AirflowException):
    """Another run works with the state table, or has taken it over from this one."""
