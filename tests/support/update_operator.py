"""One run of the operator, without a scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.sync.results import Outcome
from tests.support.task_instance import TaskInstance


def run(customers: Any, *, fails: type[BaseException] | None = None, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Execute the operator and return its result, or the message that it fails with, and its summary."""
    task_instance = TaskInstance()
    operator = DubUpdateCustomersOperator(task_id="update", customers=customers, **options)
    if fails:
        with pytest.raises(fails) as failure:
            operator.execute({"ti": task_instance})
        result = str(failure.value)
    else:
        result = operator.execute({"ti": task_instance})
    summary = task_instance.xcoms["summary"]
    assert sum(summary[outcome] for outcome in Outcome) == summary["total"]
    return result, summary
