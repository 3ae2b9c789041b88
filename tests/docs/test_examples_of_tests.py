"""The tests that the documentation shows pass."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import pytest

from tests.docs.pages import DOCS


def test_the_tests_that_the_documentation_shows_pass(tmp_path) -> None:
    pytest.importorskip("responses")
    left_out = ["--ignore=test_dag_files.py"] if metadata.version("apache-airflow") < "3.1" else []
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
