"""A whole Airflow without a scheduler: commands on its SQLite database, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT


class AirflowCommands:
    """An Airflow in a folder.

    :param home: The folder, with the DAGs in ``dags``.
    :param environment: Variables beside Airflow's settings, such as connections.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._environment = {
            **{name: value for name, value in os.environ.items() if "UNIT_TEST" not in name},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(ROOT),
            **environment,
        }

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module to its success, such as ``airflow``."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self._environment,
            cwd=self._home,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done
