"""What a DAG file costs that imports an operator: nothing heavy is loaded before a task runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("requests", "urllib3", "pandas", "numpy", "sqlglot", "pyarrow", "starlette", "uvicorn", "cryptography.fernet")
MODULES = (
    "airflow_provider_dub.exceptions",
    "airflow_provider_dub.assets.dub",
    "airflow_provider_dub.hooks.dub",
    "airflow_provider_dub.operators.dub",
    "airflow_provider_dub.transfers.sql_to_dub",
)
#: In one process, since each has to import Airflow; what Airflow loads by itself does not count.
CODE = f"""
import importlib, json, sys
import airflow_provider_dub.version_compat as sdk
from airflow_provider_dub.version_compat import BaseHook, BaseOperator, BaseOperatorLink, Stats, XCom
heavy, loaded = set({HEAVY!r}) - set(sys.modules), {{}}
for module in {MODULES!r}:
    importlib.import_module(module)
    loaded[module] = sorted(heavy & set(sys.modules))
import airflow_provider_dub.api.client, airflow_provider_dub.sync.run, airflow_provider_dub.sync.inputs
loaded["to send rows"] = sorted({{"pandas", "numpy"}} & set(sys.modules))
print(json.dumps(loaded))
"""


@pytest.mark.slow
def test_nothing_heavy_is_loaded_at_parse_time_and_rows_are_sent_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == {module: [] for module in (*MODULES, "to send rows")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "imported", ["airflow_provider_dub.transfers.sql_to_dub", "airflow_provider_dub.warehouse.__main__"]
)
def test_without_the_extra_sql_the_import_says_what_to_install(imported: str) -> None:
    code = f"import sys; sys.modules['sqlglot'] = None; import {imported}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("needs the extra sql: pip install 'airflow-provider-dub[sql]'.")
