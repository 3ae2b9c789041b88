"""The retry policy reads our errors."""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta

import pytest

from airflow_provider_dub.exceptions import (
    DubConfigurationError,
    DubConflictError,
    DubConnectionError,
    DubFixRowsError,
    DubFixSetupError,
    DubForbiddenError,
    DubRateLimitError,
    DubRetryLaterError,
    DubServerError,
    DubStateTableLockedError,
    DubUnauthorizedError,
    DubUnreadableResponseError,
    DubWarehouseError,
)
from airflow_provider_dub.version_compat import AirflowException, AirflowOptionalProviderFeatureException

try:
    from airflow.sdk.definitions.retry_policy import RetryAction
except ImportError:
    RetryAction = None
needs_airflow_3_3 = pytest.mark.skipif(RetryAction is None, reason="needs Airflow 3.3")


def decide(error: BaseException, try_number: int = 1):
    from airflow_provider_dub.retry_policy import DubRetryPolicy

    return DubRetryPolicy().evaluate(error, try_number, 5)


def not_dub() -> DubUnreadableResponseError:
    error = DubUnreadableResponseError(200, "the body is not JSON")
    error.fatal = True
    return error


@needs_airflow_3_3
@pytest.mark.parametrize(
    ("error", "minutes"),
    [
        (DubRetryLaterError("m", {"rate_limited"}), 2),
        (DubRateLimitError("m", status=429), 2),
        (DubRetryLaterError("m", {"server_error", "not_attempted"}), 1),
        (DubRetryLaterError("m", {"no_response", "rate_limited"}), 2),
        (DubServerError("m", status=503), 1),
        (DubConnectionError("ConnectTimeoutError", "https://api.dub.co", sent=False), 1),
        (DubUnreadableResponseError(200, "the body is not JSON"), 1),
    ],
    ids=repr,
)
def test_rate_limit_and_outage_are_tried_again_after_their_delay(error, minutes) -> None:
    decision = decide(error)
    assert decision.action is getattr(RetryAction, "RESCHEDULE", RetryAction.RETRY)  # Airflow 3.4, 3.3
    assert decision.retry_delay == timedelta(minutes=minutes)


@needs_airflow_3_3
def test_a_longer_outage_is_waited_for_longer_but_not_without_end() -> None:
    error = DubRetryLaterError("m", {"server_error"})
    minutes = [decide(error, try_number).retry_delay / timedelta(minutes=1) for try_number in (1, 2, 3, 4, 5, 6, 5000)]
    assert minutes == [1, 2, 4, 8, 15, 15, 15]


@needs_airflow_3_3
@pytest.mark.parametrize(
    "error",
    [
        DubFixSetupError("m"),
        DubFixRowsError("m"),
        DubUnauthorizedError("m", status=401),
        DubForbiddenError("m", status=403),
        DubConfigurationError("m"),
        DubConflictError("m", status=409),
        not_dub(),
    ],
    ids=repr,
)
def test_what_a_retry_would_meet_again_is_never_tried_again(error) -> None:
    assert decide(error).action is RetryAction.FAIL


@needs_airflow_3_3
@pytest.mark.parametrize(
    "error",
    [
        ValueError("m"),
        AirflowException("m"),
        DubRetryLaterError("m", {"not_attempted", "stopped"}),
        DubWarehouseError("m"),
    ],
    ids=repr,
)
def test_of_anything_else_the_task_decides(error) -> None:
    assert decide(error).action is RetryAction.DEFAULT


def test_an_airflow_without_retry_policies_says_so(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk.definitions.retry_policy", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_dub.retry_policy", raising=False)
    with pytest.raises(AirflowOptionalProviderFeatureException, match="need Airflow"):
        importlib.import_module("airflow_provider_dub.retry_policy")


@needs_airflow_3_3
def test_a_locked_state_table_is_left_to_the_retries_of_the_task() -> None:
    assert decide(DubStateTableLockedError("m")).action is RetryAction.DEFAULT


@needs_airflow_3_3
@pytest.mark.skipif(not hasattr(RetryAction, "RESCHEDULE"), reason="needs Airflow 3.4")
def test_an_outage_uses_no_retry_where_airflow_can_reschedule() -> None:
    decision = decide(DubServerError("m", status=503))
    assert (decision.action, decision.max_reschedules) == (RetryAction.RESCHEDULE, 3)
