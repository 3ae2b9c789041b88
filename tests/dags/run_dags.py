"""Runs every DAG of the DAGs folder on a real Airflow in one process; writes their states to the file that is named."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.1
    from airflow.models.dagbag import DagBag


def log_as_a_task_does() -> None:
    """Airflow 3.0 sets up the log of tasks, but not of ``dag.test()``: it would show DEBUG and local variables."""
    import structlog
    from airflow.sdk.log import configure_logging

    if not structlog.is_configured():
        configure_logging(enable_pretty_log=False)


if __name__ == "__main__":
    with suppress(ImportError):  # Airflow 2.11
        log_as_a_task_does()
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    # A test run has nobody who approves.
    states = {dag_id: str(dag.test(mark_success_pattern="^approve$").state) for dag_id, dag in sorted(bag.dags.items())}
    Path(sys.argv[1]).write_text(json.dumps({"states": states, "import_errors": bag.import_errors}))
