"""Runs every DAG of the DAGs folder on a real Airflow in one process; writes their states to the file that is named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow before 3.1
    from airflow.models.dagbag import DagBag

if __name__ == "__main__":
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    states = {dag_id: str(dag.test().state) for dag_id, dag in sorted(bag.dags.items())}
    Path(sys.argv[1]).write_text(json.dumps({"states": states, "import_errors": bag.import_errors}))
