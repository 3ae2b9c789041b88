"""What differs between the Airflows that this provider runs on: names of Airflow by one import path.

``airflow.providers.common.compat.sdk`` is that path on most of them. Airflow's own constraints pin versions of it that
lack the module (2.11.0: 1.7.0, 3.0.6: 1.7.3), so the few names that this package needs are looked up here, where they
may be. A name is imported when it is first used: importing an operator loads no more than it asks for.
"""

from __future__ import annotations

import importlib
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # isort: off
    from airflow.providers.common.compat.sdk import (
        DAG as DAG,
        AirflowException as AirflowException,
        AirflowFailException as AirflowFailException,
        AirflowNotFoundException as AirflowNotFoundException,
        AirflowOptionalProviderFeatureException as AirflowOptionalProviderFeatureException,
        AirflowRescheduleException as AirflowRescheduleException,
        AirflowSkipException as AirflowSkipException,
        AirflowTaskTimeout as AirflowTaskTimeout,
        Asset as Asset,
        BaseHook as BaseHook,
        BaseOperator as BaseOperator,
        BaseOperatorLink as BaseOperatorLink,
        Connection as Connection,
        Context as Context,
        ObjectStoragePath as ObjectStoragePath,
        Param as Param,
        Stats as Stats,
        TaskInstanceKey as TaskInstanceKey,
        XCom as XCom,
        XComArg as XComArg,
        dag as dag,
        mask_secret as mask_secret,
        task as task,
    )
    # isort: on

_COMPAT = "airflow.providers.common.compat.sdk"

#: Where a name is in Airflow 3, then in 2.11, if the compat module is not there or lacks it.
HOMES = {
    "DAG": ("airflow.sdk:DAG", "airflow.models.dag:DAG"),
    "AirflowException": ("airflow.exceptions:AirflowException",),
    "AirflowFailException": ("airflow.exceptions:AirflowFailException",),
    "AirflowNotFoundException": ("airflow.exceptions:AirflowNotFoundException",),
    "AirflowOptionalProviderFeatureException": ("airflow.exceptions:AirflowOptionalProviderFeatureException",),
    "AirflowRescheduleException": ("airflow.exceptions:AirflowRescheduleException",),
    "AirflowSkipException": ("airflow.exceptions:AirflowSkipException",),
    "AirflowTaskTimeout": ("airflow.exceptions:AirflowTaskTimeout",),
    "Asset": ("airflow.sdk:Asset", "airflow.datasets:Dataset"),
    "BaseHook": ("airflow.sdk:BaseHook", "airflow.hooks.base:BaseHook"),
    "BaseOperator": ("airflow.sdk:BaseOperator", "airflow.models.baseoperator:BaseOperator"),
    "BaseOperatorLink": ("airflow.sdk:BaseOperatorLink", "airflow.models.baseoperatorlink:BaseOperatorLink"),
    "Connection": ("airflow.sdk:Connection", "airflow.models.connection:Connection"),
    "Context": ("airflow.sdk:Context", "airflow.utils.context:Context"),
    "ObjectStoragePath": ("airflow.sdk:ObjectStoragePath", "airflow.io.path:ObjectStoragePath"),
    "Param": ("airflow.sdk:Param", "airflow.models.param:Param"),
    "Stats": ("airflow.stats:Stats",),
    "TaskInstanceKey": ("airflow.models.taskinstancekey:TaskInstanceKey",),
    "XCom": ("airflow.sdk.execution_time.xcom:XCom", "airflow.models.xcom:XCom"),
    "XComArg": ("airflow.sdk:XComArg", "airflow.models.xcom_arg:XComArg"),
    "dag": ("airflow.sdk:dag", "airflow.decorators:dag"),
    "mask_secret": (
        "airflow.sdk.log:mask_secret",
        "airflow.sdk.execution_time.secrets_masker:mask_secret",
        "airflow.utils.log.secrets_masker:mask_secret",
    ),
    "task": ("airflow.sdk:task", "airflow.decorators:task"),
}


def can_reschedule_failures() -> bool:
    """Return whether a retry policy may run a task again without using a retry (Airflow 3.4)."""
    try:
        from airflow.sdk.definitions.retry_policy import RetryAction
    except ImportError:
        return False
    return hasattr(RetryAction, "RESCHEDULE")


def may_be_rescheduled(task_instance: Any) -> bool:
    """Return whether a task that asks to be rescheduled is started again at that time, even if it is not a sensor.

    Before 3.1.8 the scheduler of Airflow 3 starts it at once, and may then take it for failed. A worker cannot see what
    the scheduler does, so this one feature is known by its version.

    :param task_instance: Airflow's, or a double.
    """
    if not hasattr(task_instance, "get_first_reschedule_date"):
        return False
    try:
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", version("apache-airflow-core"))
    except PackageNotFoundError:
        return False
    return found is not None and tuple(map(int, found.groups())) >= (3, 1, 8)


def may_run_again(operator: BaseOperator, task_instance: Any, error: BaseException) -> bool:
    """Return whether Airflow may run a task again by itself after an error.

    :param operator: The task.
    :param task_instance: Airflow's, or a double.
    :param error: The error.
    """
    from airflow_provider_dub.version_compat import AirflowFailException  # a bare name would not ask __getattr__

    if isinstance(error, AirflowFailException):
        return False
    is_rescheduled = getattr(operator, "retry_policy", None) is not None and can_reschedule_failures()
    return bool(is_rescheduled or task_instance.try_number <= task_instance.max_tries)


def tries_before_clear(operator: BaseOperator, task_instance: Any) -> int:
    """Return how many tries there were before the task was cleared: Airflow adds them to the most that there may be.

    :param operator: The task.
    :param task_instance: Airflow's, or a double.
    """
    return max(0, int(task_instance.max_tries) - (operator.retries or 0))


def instance_suffix(task_instance: Any) -> str:
    """Return what distinguishes a task instance from others of its task in one DAG run: nothing for the only one.

    The index of a mapped task instance, ``[3]``; from Airflow 3.4 on that of an iteration of a loop, too, with the
    region, as Airflow calls one execution of a loop or of an expansion: ``[3]@339390bd7bc0``.

    :param task_instance: Airflow's, or a double.
    """
    region = getattr(task_instance, "region_id", None)
    index = getattr(task_instance, "region_index", None)
    index = task_instance.map_index if index is None else index
    where = f"@{region.hex[-12:]}" if region is not None and region.int else ""  # its beginning is only the time
    return ("" if index in (None, -1) else f"[{index}]") + where


def __getattr__(name: str) -> Any:
    """Return a name of Airflow from wherever this Airflow has it."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = (f"{_COMPAT}:{name}", *HOMES[name])
    for home in homes:
        module, _, attribute = home.partition(":")
        try:
            value = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError):
            continue
        globals()[name] = value
        return value
    raise ImportError(f"{name} is in none of {', '.join(homes)}: this Airflow is not one that the provider runs on")
