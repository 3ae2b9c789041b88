"""Run an example DAG on a real Airflow, against a local Dub.

Everything that Airflow writes stays below .quickstart. With AIRFLOW_CONN_DUB_DEFAULT set, the DAG runs against that Dub
instead of the emulator.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from airflow_provider_dub.emulator import DubEmulator

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".quickstart" / "airflow"
LOG = HOME / "quickstart.log"
DUB = "AIRFLOW_CONN_DUB_DEFAULT"
EXAMPLES = sorted(path.stem for path in Path(__file__).parent.glob("example_*.py"))
DEFAULT = "example_dub_update_customers"

CUSTOMERS_IN_DUB = ROOT / "example_dags" / "customers_in_dub.json"

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z? ")
_TASK = re.compile(r"\[DAG TEST\] (starting|end task) task_id=(\w+) map_index=(-?\d+)")


def main(arguments: list[str]) -> int:
    """Run the example that the command line names and return the exit code."""
    try:
        return run(parse(arguments))
    except KeyboardInterrupt:
        _say("Stopped.")
        return 128 + signal.SIGINT


def parse(arguments: list[str]) -> str:
    """Return the example to run."""
    parser = argparse.ArgumentParser(
        prog="python -m example_dags",
        description=__doc__,
        epilog="Examples:\n  " + "\n  ".join(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dag", nargs="?", default=DEFAULT, metavar="EXAMPLE", help=f"default: {DEFAULT}")
    dag: str = parser.parse_args(arguments).dag
    if dag not in EXAMPLES:
        parser.error(f"there is no example {dag!r}. The examples are: {', '.join(EXAMPLES)}")
    return dag


def run(dag_id: str) -> int:
    """Run one example DAG and return the exit code."""
    started = time.monotonic()
    HOME.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, LOG.open("w", encoding="utf-8") as log:
        environment = {**os.environ, **_airflow_settings()}
        if environment.get(DUB):
            _say(f"Dub: the one that {DUB} names.")
        else:
            environment[DUB] = _local_dub(stack)
        _say(f"Airflow: preparing its database in {HOME.relative_to(ROOT)} ...")
        code = _airflow(["db", "migrate"], environment, log)
        if code == 0:
            _say(f"Airflow: running the DAG {dag_id} ...")
            # Nobody is there to approve what waits for it.
            code = _airflow(["dags", "test", "--mark-success-pattern", "^approve$", dag_id], environment, log)
    outcome = "succeeded" if code == 0 else "FAILED"
    _say(f"The DAG {outcome} after {time.monotonic() - started:.0f} s. Airflow's log: {LOG.relative_to(ROOT)}")
    return code


def _airflow_settings() -> dict[str, str]:
    warehouse = {"conn_type": "sqlite", "host": str(HOME / "warehouse.db")}
    return {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
        "AIRFLOW_CONN_EXAMPLE_WAREHOUSE": json.dumps(warehouse),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _local_dub(stack: ExitStack) -> str:
    dub = stack.enter_context(DubEmulator())
    customers = json.loads(CUSTOMERS_IN_DUB.read_text(encoding="utf-8"))
    dub.reset(setup_customers=[{"id": f"cus_EXAMPLE{n}", **customer} for n, customer in enumerate(customers)])
    _say(f"Dub: the local emulator at {dub.url}, a stand-in for the real service.")
    return json.dumps({"conn_type": "dub", "host": dub.url, "password": dub.api_key})


def _airflow(command: list[str], environment: dict[str, str], log: object) -> int:
    """Run an Airflow command: its log goes to the file, what tasks print to the screen."""
    began: dict[str, float] = {}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "airflow", *command],
        env=environment,
        cwd=HOME,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        for line in process.stdout or ():
            print(line, end="", file=log)
            if task := _TASK.search(line):
                _show_progress(*task.groups(), began)
            elif began and not _LOG_LINE.match(line):
                print(f"    {line}", end="", flush=True)
    return process.returncode


def _show_progress(event: str, task_id: str, map_index: str, began: dict[str, float]) -> None:
    name = task_id if map_index == "-1" else f"{task_id}[{map_index}]"
    if event == "starting":
        began[name] = time.monotonic()
        print(f"  {name}", flush=True)
    else:
        print(f"  {name}: done in {time.monotonic() - began.get(name, time.monotonic()):.1f} s", flush=True)


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
