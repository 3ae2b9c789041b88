"""The tests that the documentation shows pass."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.docs.pages import DOCS


@pytest.mark.slow
def test_the_tests_that_the_documentation_shows_pass(tmp_path) -> None:
    pytest.importorskip("responses")
    left_out = [] if _has_dag_processing_dagbag() else ["--ignore=test_dag_files.py"]
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.", *left_out],
        cwd=DOCS / "tests",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def _has_dag_processing_dagbag() -> bool:
    """Return whether this Airflow has the module that the test of DAG files imports."""
    return bool(find_spec("airflow.dag_processing")) and bool(find_spec("airflow.dag_processing.dagbag"))
