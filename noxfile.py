"""The wheel on every Airflow and Python that it supports: ``nox`` runs all of them, ``nox --tags ci`` what CI runs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"

PROJECT = Path(__file__).parent
WHEELS = PROJECT / ".nox" / "wheels"

#: The newest patch of each line, with what it takes today for its own dependencies to fit together. A DataFrame in
#: XCom needs pandas 2 before Airflow 3.3.1, and the connection form of Airflow 3.0 the FAB provider.
AIRFLOWS = {
    "2.11.2": ["pandas<3"],
    "3.0.6": ["pandas<3", "fastapi<0.118", "cadwyn<6", "universal-pathlib<0.3", "apache-airflow-providers-fab"],
    "3.1.8": ["pandas<3"],
    "3.2.2": ["pandas<3", "fastapi<0.140", "cadwyn<8", "svcs<26"],
    "3.3.2": [],
}
PYTHONS = ["3.11", "3.12", "3.13"]

#: All else is as new as it was on this day, so that a run can be repeated.
TODAY = "2026-11-22"

# pyenv shows only the Pythons that are switched on; here any that it has will do.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(PYENV.glob("versions/*/bin"))), os.environ["PATH"]])


def _or_default(python: str) -> str:
    """CI must not fail because a machine has other Pythons."""
    return python if shutil.which(f"python{python}") else f"{sys.version_info.major}.{sys.version_info.minor}"


#: CI runs the highest Airflow from the lock file, and of these the lowest and a middle one.
CI = [("2.11.2", _or_default("3.11")), ("3.1.8", _or_default("3.12"))]
MATRIX = dict.fromkeys([*((airflow, python) for airflow in AIRFLOWS for python in PYTHONS), *CI])


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, once for all."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(WHEELS), str(PROJECT))


@nox.session(requires=["wheel"], allow_parallel=True)
@nox.parametrize(
    "airflow, python",
    [nox.param(*pair, id=f"{pair[0]}, Python {pair[1]}", tags=["ci"] * (pair in CI)) for pair in MATRIX],
)
def airflow(session: nox.Session, airflow: str) -> None:
    """Find the provider, run the tests and an example DAG."""
    (built,) = WHEELS.glob("*.whl")
    test = nox.project.dependency_groups(nox.project.load_toml(PROJECT / "pyproject.toml"), "test")
    home = Path(session.create_tmp()).resolve()
    session.env.update(AIRFLOW_HOME=str(home / "airflow"), UV_EXCLUDE_NEWER=TODAY)

    session.install(str(built), f"apache-airflow=={airflow}", *AIRFLOWS[airflow])
    session.run("airflow", "providers", "get", "airflow-provider-dub")

    session.install(f"{built}[emulator,sql]", f"apache-airflow=={airflow}", *AIRFLOWS[airflow], *test)
    # Beside a copy of the tests there is no package but the one that is installed.
    for part in ("tests", "example_dags"):
        shutil.rmtree(home / part, ignore_errors=True)
        shutil.copytree(PROJECT / part, home / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", home)
    session.chdir(home)
    session.run("python", "-m", "pytest", "-q", "--ignore=tests/packaging/test_wheel.py", *session.posargs)
    session.run("python", "-m", "example_dags")
