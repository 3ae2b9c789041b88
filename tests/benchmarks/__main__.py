"""``python -m tests.benchmarks``: the tables behind docs/performance.md, and where they were measured.

It takes half an hour on a machine that does nothing else.
"""

from __future__ import annotations

import os
import platform
import tempfile
from datetime import date

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-dub-benchmarks-"))
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from tests.benchmarks import conversion, cost, faults, pacing, warehouse

if __name__ == "__main__":
    print(f"{date.today()}, {platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    pacing.main()
    cost.main()
    conversion.main()
    warehouse.main()
    faults.main()
