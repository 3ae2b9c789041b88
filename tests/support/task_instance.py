"""A task instance without a database of Airflow's."""

from __future__ import annotations

import json
from typing import Any


class TaskInstance:
    """Takes what a task pushes. Attributes of the class may be patched for all task instances.

    :param attributes: What this one has differently, such as ``try_number``.
    """

    dag_id, run_id, task_id, map_index, try_number = "dag", "run", "sync", -1, 1
    max_tries = 0

    def __init__(self, **attributes: object) -> None:
        self.xcoms: dict[str, Any] = {}
        vars(self).update(attributes)

    def xcom_push(self, key: str, value: object) -> None:
        """Keep a value as JSON keeps it."""
        self.xcoms[key] = json.loads(json.dumps(value))
