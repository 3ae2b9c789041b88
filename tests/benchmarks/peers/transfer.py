"""This provider's SqlToDubCustomersOperator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.benchmarks.peers.place import Place, run
from tests.support.task_instance import TaskInstance

NAME = "SqlToDubCustomersOperator"
AFTER_A_LOSS = {"baseline": "dub"}
AT_THE_LIMIT: dict[str, Any] = {}


class _TaskInstance(TaskInstance):
    def xcom_push(self, key: str, value: object) -> None:
        print("pushed", key, value)


def sync(place: Place) -> Callable[[], Any]:
    """Return what the task does."""
    from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator

    task = SqlToDubCustomersOperator(
        task_id="sync",
        sql_conn_id="warehouse",
        sql="SELECT user_id, name, email, country FROM customers",
        external_id_column="user_id",
        state_table="dub_state",
        on_locked="wait",
        **place.options,
    )
    return lambda: task.execute({"ti": _TaskInstance()})  # type: ignore[typeddict-item]


def settle(place: Place) -> None:
    """Have it believe that all rows were applied."""
    recorded = run(sys.modules[__name__], replace(place, options={"baseline": "source"}))
    assert not recorded.failed, recorded.said


def forget(place: Place) -> None:
    """Lose its memory."""
    place.sql("DROP TABLE dub_state, dub_state_lease")
