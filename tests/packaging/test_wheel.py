"""The wheel holds the package and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from tests.support.paths import ROOT


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "airflow_provider_dub").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert {"airflow_provider_dub/py.typed", "airflow_provider_dub/emulator/seed.json"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
