"""A rejected row that is sent again is the same row, or is refused again."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from airflow_provider_dub.exceptions import DubFixRowsError, DubFixSetupError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.operators.json_lines import check_place
from airflow_provider_dub.operators.rejected_rows import rejected_line
from airflow_provider_dub.sync.inputs import rows_of
from airflow_provider_dub.sync.options import SyncOptions
from airflow_provider_dub.sync.results import Outcome, RowResult
from airflow_provider_dub.sync.shown import path_shown
from airflow_provider_dub.sync.updates import UpdateReader
from airflow_provider_dub.version_compat import BaseHook, ObjectStoragePath
from tests.support.any_value import anything
from tests.support.storage import attach_memory
from tests.support.task_instance import TaskInstance


def again(cell: object, column: str = "name", key: object = "u") -> tuple[object, object]:
    """Read a row, write it as rejected, and read that."""
    rows = rows_of([{"key": key, column: cell, "other": cell}])
    options = SyncOptions(external_id_column="key", columns={column: column}, null_policy={"name": "clear"})
    reader = UpdateReader(rows, options)
    (first,) = reader
    line = rejected_line(RowResult(0, first.key, Outcome.FAILED), rows.whole(0), reader.matched)
    (second,) = UpdateReader(rows_of([json.loads(line)]), options)
    return first, second


@given(cell=anything)
def test_any_cell_can_be_written_and_one_that_was_accepted_is_sent_again_as_it_was(cell) -> None:
    first, second = again(cell)
    assert second.key == "u"
    assert isinstance(first, RowResult) or first.fields == second.fields


@pytest.mark.parametrize(
    "cell",
    [
        None,
        np.nan,
        pd.NaT,
        "Ada",
        "",
        np.array(["a", "b"]),
        {np.int64(1): 2},
        b"Ada",
        pytest.param(10**5000, id="huge"),
        "\ud800",
        object(),
    ],
    ids=lambda cell: "an object" if type(cell) is object else repr(cell),
)
def test_a_name_is_sent_again_as_it_was_or_refused_again(cell) -> None:
    first, second = again(cell)
    assert type(first) is type(second)
    if not isinstance(first, RowResult):
        assert first.fields == second.fields


@pytest.mark.parametrize(
    "cell", [dt.date(2026, 3, 1), pd.Timestamp("2026-03-01", tz="UTC"), np.datetime64("2026-03-01", "ns"), None]
)
def test_a_timestamp_is_sent_again_as_it_was(cell) -> None:
    first, second = again(cell, "subscriptionCanceledAt")
    assert first.fields == second.fields


def test_a_timestamp_outside_the_calendar_is_refused_again() -> None:
    first, second = again(np.datetime64(2**62, "s"), "subscriptionCanceledAt")
    assert type(first) is type(second) is RowResult


@pytest.mark.parametrize(
    "cell",
    [
        dt.date(2026, 3, 1),
        pd.Timestamp("2026-03-01"),
        np.datetime64("2026-03-01"),
        dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
    ],
    ids=repr,
)
@pytest.mark.parametrize("column", ["name", "stripeCustomerId", "id"])
def test_a_date_that_was_refused_is_not_sent_as_text(connected, tmp_path, column, cell) -> None:
    path = tmp_path / "rejected.jsonl"
    for customers in ([{"id": "user_1", "name": "Ada"} | {column: cell}], str(path)):
        operator = DubUpdateCustomersOperator(
            task_id="update", customers=customers, external_id_column="id", rejected_path=str(path)
        )
        with pytest.raises(DubFixRowsError, match="1 rejected"):
            operator.execute({"ti": TaskInstance()})
        path = tmp_path / "again.jsonl"


@pytest.mark.parametrize("key", [Decimal("12.00"), 12, 12.0, np.int8(12), np.float32(12), uuid.UUID(int=1), "12.00"])
def test_the_id_names_the_same_customer(key) -> None:
    first, second = again("n", key=key)
    assert first.customer_id == second.customer_id


@pytest.mark.parametrize("cell", [np.float32(2**24 + 2), float(10**15 + 2), Decimal("7.5"), True])
def test_an_inexact_id_is_refused_again(cell) -> None:
    first, second = again(cell, "externalId")
    assert isinstance(first, RowResult)
    assert isinstance(second, RowResult)


@pytest.mark.parametrize("argument", ["rejected_path", "records_path"])
@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("~/rows.jsonl", "instead of ~"),
        ("file://localhost/rows.jsonl", "such as file:///"),
        ("file://tmp/rows.jsonl", "such as file:///"),
    ],
)
def test_a_path_that_lands_elsewhere_is_refused_before_anything_is_written(
    connected, tmp_path, monkeypatch, argument: str, path: str, advice: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{argument} must .*{advice}"):
        DubUpdateCustomersOperator(task_id="task", customers=[{"id": "cus_1LABA"}], **{argument: path})
    task = DubUpdateCustomersOperator(task_id="task", customers=[{"id": "cus_1LABA"}], **{argument: "{{ path }}"})
    task.render_template_fields({"path": path})
    with pytest.raises(DubFixSetupError, match=advice):
        task.execute({"ti": TaskInstance()})
    assert list(tmp_path.iterdir()) == connected.requests == []


@pytest.mark.parametrize(
    "path", ["rows.jsonl", "/data/rows.jsonl", "file:///data/r.jsonl", "FILE:///r", "s3://bucket/r"]
)
def test_other_paths_are_written_as_they_are(path: str) -> None:
    check_place("rejected_path", path)


@pytest.mark.parametrize("argument", ["rejected_path", "records_path"])
def test_a_storage_that_no_provider_has_ends_the_task_before_the_first_request(connected, argument: str) -> None:
    operator = DubUpdateCustomersOperator(
        task_id="update", customers=[{"id": "cus_1", "name": "n"}], **{argument: "gopher://host/rows.jsonl"}
    )
    with pytest.raises(DubFixSetupError, match=f"^{argument}: Airflow cannot open the storage gopher://"):
        operator.execute({"ti": TaskInstance()})
    assert not connected.requests


@pytest.mark.parametrize("argument", ["rejected_path", "records_path"])
def test_a_folder_in_the_place_of_a_file_ends_the_task_before_the_first_request(
    connected, tmp_path, argument: str
) -> None:
    operator = DubUpdateCustomersOperator(
        task_id="update", customers=[{"id": "cus_1", "name": "n"}], **{argument: str(tmp_path)}
    )
    with pytest.raises(DubFixSetupError, match=f"^{argument} names a folder"):
        operator.execute({"ti": TaskInstance()})
    assert not connected.requests


def test_a_password_in_the_place_of_rejected_rows_is_not_shown(connected, logged) -> None:
    attach_memory("me:PLANTED")
    path = f"memory://me:PLANTED@{uuid.uuid4()}/rows.jsonl"
    rows = [{"id": "no id", "name": "n"}, {"id": "cus_1", "name": "n"}]
    operator = DubUpdateCustomersOperator(task_id="update", customers=rows, rejected_path=path, max_failures=0)
    with pytest.raises(DubFixRowsError, match=r"The rows are in memory://\*\*\*@") as failed:
        operator.execute({"ti": TaskInstance()})
    assert "PLANTED" not in f"{failed.value}{logged()}"


def test_a_connection_of_a_storage_that_is_not_there_is_not_quoted(connected, monkeypatch) -> None:
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda _: BaseHook.get_connection("me:PLANTED")))
    path = "s3://me:PLANTED@bucket/rows.jsonl"
    operator = DubUpdateCustomersOperator(task_id="update", customers=[{"id": "cus_1"}], rejected_path=path)
    with pytest.raises(DubFixSetupError, match="the id of an Airflow connection") as failed:
        operator.execute({"ti": TaskInstance()})
    assert "PLANTED" not in str(failed.value)  # Airflow 2.11 logs where it looked for it


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("rows/what?.jsonl", "rows/what?.jsonl"),
        ("s3://me@bucket/k?sig=PLANTED", "s3://me@bucket/k"),
        ("s3://me:p@ss@bucket/k", "s3://***@bucket/k"),
    ],
)
def test_a_path_is_shown_without_its_password(path: str, shown: str) -> None:
    assert path_shown(path) == shown
