"""The warning of a result that is too large for Airflow's database."""

from __future__ import annotations

import json
import uuid

import pytest

from airflow_provider_dub.operators import xcom
from airflow_provider_dub.operators.xcom import warn_if_large
from airflow_provider_dub.version_compat import ObjectStoragePath
from tests.support.storage import attach_memory
from tests.support.update_operator import run

ROWS = [{"id": "cus_1LABA", "name": "Alicia"}]


def warned(records) -> list[str]:
    lines: list[str] = []
    warn_if_large(records, lambda line, *values: lines.append(line % values))
    return lines


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 30_000])
def test_the_size_is_estimated_from_a_sample(count) -> None:
    records = [{"id": f"cus_{n}", "name": "n" * (n % 17)} for n in range(count)]
    assert xcom.json_megabytes(records) * 1e6 == pytest.approx(len(json.dumps(records)), rel=0.1)


def test_more_than_ten_megabytes_are_warned_of_with_the_remedy() -> None:
    customer = {"id": "cus_1", "name": "n" * 400}
    assert warned([customer] * 20_000) == []
    (line,) = warned([customer] * 40_000)
    assert line.startswith("About 17 MB ")
    assert "records_path" in line
    assert "do_xcom_push=False" in line


def test_no_records_and_a_file_of_them_are_not_warned_of() -> None:
    assert warned([]) == warned("file:///records.jsonl") == []


@pytest.mark.parametrize(("options", "warns"), [({}, True), ({"do_xcom_push": False}, False)])
def test_only_what_goes_into_xcom_is_warned_of(connected, monkeypatch, logged, options, warns) -> None:
    monkeypatch.setattr(xcom, "MANY_MEGABYTES", 0)
    run(ROWS, **options)
    assert ("into Airflow's database" in logged()) is warns


@pytest.mark.parametrize("give", [str, ObjectStoragePath])
def test_records_may_go_to_any_storage_that_airflow_reaches(connected, give) -> None:
    attach_memory("storage")
    path = f"memory://storage@bucket-{uuid.uuid4()}/dub/records.jsonl"
    uri, _ = run(ROWS, records_path=give(path))
    assert str(uri).startswith("memory://storage@")
    assert json.loads(ObjectStoragePath(uri).read_text())["name"] == "Alicia"
