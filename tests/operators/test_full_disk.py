"""A file that takes no more: its last line is whole, and the summary counts exactly what lacks in it."""

from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys
import uuid
from itertools import product
from pathlib import Path

import pytest

from airflow_provider_dub.exceptions import DubFixSetupError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.operators.json_lines import JsonLinesFile
from airflow_provider_dub.sync.results import NOT_APPLIED
from tests.support.paths import ROOT
from tests.support.storage import FullStorage, attach_memory
from tests.support.task_instance import TaskInstance

ROWS = 1000
ARGUMENTS = ("rejected_path", "records_path")
LIMITS = (1, 4096, 30_001)


def run_with_full_disks(folder: str) -> None:
    """Run the operator in this process, whose files may have so many bytes, and print what became of each run."""
    for argument in ARGUMENTS:
        for limit in LIMITS:
            prefix = "cus_in" if argument == "records_path" else "cus_out"
            customers = [{"id": f"{prefix}{n}", "name": "n" * (n % 90)} for n in range(ROWS)]
            path = {argument: f"{folder}/{argument}-{limit}.jsonl"}
            operator = DubUpdateCustomersOperator(task_id="update", customers=customers, max_failure_rate=1.0, **path)
            task_instance = TaskInstance()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                operator.execute({"ti": task_instance})
            except OSError as error:
                print("\n" + json.dumps([argument, limit, error.errno, error.filename, task_instance.xcoms["summary"]]))


@pytest.mark.slow
def test_a_full_disk_leaves_whole_lines_and_an_exact_number(connected, tmp_path) -> None:
    connected.reset(setup_customers=[{"id": f"cus_in{n}", "externalId": f"in{n}", "name": "n"} for n in range(ROWS)])
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import *; run_with_full_disks({str(tmp_path)!r})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    runs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]  # others are Airflow's log
    assert [(argument, limit) for argument, limit, *_ in runs] == list(product(ARGUMENTS, LIMITS))
    for argument, limit, code, filename, summary in runs:
        assert filename == str(tmp_path / f"{argument}-{limit}.jsonl")
        text = (tmp_path / f"{argument}-{limit}.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert code == errno.EFBIG
        assert text.endswith("\n") or not text
        assert len(text) <= limit
        assert (len(lines) > 0) == (limit > 1000)
        assert summary["total"] == ROWS
        belong = sum(summary[one] for one in NOT_APPLIED) if argument == "rejected_path" else summary["updated"]
        assert belong - len(lines) == summary[f"not_in_{argument}"] > 0


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_object_of_which_a_part_was_refused_is_counted_as_it_is_in_the_storage(is_kept: bool) -> None:
    name = f"full-{uuid.uuid4()}"  # Airflow keeps what is attached
    attach_memory(name, FullStorage(most=7, keeps=is_kept))
    file = JsonLinesFile(f"memory://{name}@bucket-{uuid.uuid4()}/rejected.jsonl")
    file.open()
    file.write("{}")
    file.write("{}")
    with pytest.raises(OSError, match="takes no more"):
        file.write("[1, 2]")
    assert file.lines == (2 if is_kept else 0)


#: So many that their ids are read before the first is sent.
CHECKED = [{"id": f"ext_{n}", "name": "n"} for n in range(300)]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_cannot_be_opened_ends_the_task_before_anything_is_read(connected, tmp_path, dry_run: bool) -> None:
    (tmp_path / "file").touch()
    customers, rejected = tmp_path / "nothing.csv", tmp_path / "file" / "rows.jsonl"
    operator = DubUpdateCustomersOperator(task_id="t", customers=customers, rejected_path=rejected, dry_run=dry_run)
    with pytest.raises((FileExistsError, NotADirectoryError)):
        operator.execute({"ti": TaskInstance()})
    assert not connected.requests


def test_a_run_that_fails_before_its_first_row_leaves_the_file_of_the_run_before(connected, connect, tmp_path) -> None:
    connect(connected.url, "dub_EXPIREDKEY")
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    task_instance = TaskInstance()
    operator = DubUpdateCustomersOperator(task_id="update", customers=CHECKED, rejected_path=str(file))
    with pytest.raises(DubFixSetupError):
        operator.execute({"ti": task_instance})
    assert file.read_text() == "{}\n"
    assert task_instance.xcoms["summary"]["not_attempted"] == 300
    assert task_instance.xcoms["summary"]["not_in_rejected_path"] == 300


def test_a_device_that_is_full_has_no_line() -> None:
    file = JsonLinesFile(Path("/dev/full"))
    file.open()
    with pytest.raises(OSError, match="No space"):
        file.write("{}")
    file.close()
    assert file.lines == 0
