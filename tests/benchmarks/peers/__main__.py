"""Print both tables, or the one named: ``python -m tests.benchmarks.peers [speed|behaviour]``."""

from __future__ import annotations

import os
import sys
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-dub-benchmarks-"))

from tests.benchmarks.peers import behaviour, speed
from tests.support.postgres import postgres_socket

if __name__ == "__main__":
    with postgres_socket() as postgres:
        for table in (speed, behaviour):
            if table.__name__.endswith(sys.argv[-1]) or len(sys.argv) == 1:
                table.main(postgres)
