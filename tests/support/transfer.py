"""Runs of the transfer, without a scheduler."""

from __future__ import annotations

from typing import Any

from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from tests.support.task_instance import TaskInstance

#: Of all runs, unless a test says otherwise.
_OPTIONS = {"external_id_column": "user_id", "state_table": "dub_state", "sql_conn_id": "warehouse"}


class Transfer:
    """Runs the operator, by default with all customers of the connection ``warehouse``."""

    #: That of the last run, also of one that failed.
    summary: dict[str, Any]

    def __call__(self, sql: str = "SELECT * FROM customers", **options: Any) -> dict[str, Any]:
        """Run it and return its summary.

        :param options: Arguments of the operator.
        """
        ti = TaskInstance()
        try:
            # As Airflow's task runner calls it, which 2.11 asks of every thread but the main one.
            caller = {"SqlToDubCustomersOperator__sentinel": object()}
            SqlToDubCustomersOperator(task_id="sync", sql=sql, **_OPTIONS | options).execute({"ti": ti}, **caller)
        finally:
            self.summary = ti.xcoms.get("summary")
        return self.summary
