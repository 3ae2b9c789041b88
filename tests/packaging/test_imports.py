"""What a DAG file costs that imports an operator: nothing heavy is loaded before a task runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("requests", "urllib3", "pandas", "numpy", "sqlglot", "pyarrow", "starlette", "uvicorn")


@pytest.mark.parametrize(
    "module",
    [
        "airflow_provider_dub.operators.dub",
        "airflow_provider_dub.transfers.sql_to_dub",
        "airflow_provider_dub.hooks.dub",
        "airflow_provider_dub.assets.dub",
        "airflow_provider_dub.exceptions",
    ],
)
def test_nothing_heavy_is_loaded_at_parse_time(module: str) -> None:
    code = (
        "import sys; import airflow_provider_dub.version_compat as sdk; "
        "from airflow_provider_dub.version_compat import BaseHook, BaseOperator, BaseOperatorLink, Stats, XCom; "
        f"before = set(sys.modules); import {module}; "
        f"print('loaded:', sorted(set({HEAVY!r}) & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
