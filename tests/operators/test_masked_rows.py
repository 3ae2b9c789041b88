"""Airflow shows which file is read and how many rows there are, and no value of a row."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.operators.masked_rows import MaskedRows, mask_rows, unmasked
from airflow_provider_dub.version_compat import DAG, ObjectStoragePath

SECRET = "jo@example.com"
ROWS = [{"id": "cus_1", "email": SECRET}, {"id": "cus_2", "email": SECRET}]


def rendered(customers: object, *, native: bool = False, **context: object) -> object:
    """What the template field holds once Airflow has rendered it."""
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        task = DubUpdateCustomersOperator(task_id="task", customers=customers)  # type: ignore[arg-type]
    task.render_template_fields(context)  # type: ignore[arg-type]
    return task.customers


@pytest.mark.parametrize(
    ("customers", "shown"),
    [
        (ROWS, "<list: 2 rows, values masked>"),
        (ROWS[0], "<dict: 1 row, values masked>"),
        (ROWS[:1], "<list: 1 row, values masked>"),
        (pd.DataFrame(ROWS * 1_000), "<DataFrame: 2,000 rows, values masked>"),
        (pl.DataFrame(ROWS), "<DataFrame: 2 rows, values masked>"),
        (iter(ROWS), "<list_iterator: rows, values masked>"),
        (str(ROWS), "<str: text, values masked>"),
        ([SECRET], "<list: 1 row, values masked>"),
    ],
)
def test_rows_are_masked_and_kept(customers, shown: str) -> None:
    masked = mask_rows(customers)
    assert isinstance(masked, MaskedRows)
    assert str(masked) == repr(masked) == masked.serialize() == shown
    assert unmasked(masked) is customers
    assert mask_rows(masked) is masked


def test_rows_are_not_rendered() -> None:
    row = {"id": "cus_1", "name": "{{ not_a_template }}"}
    assert unmasked(rendered([row])) == [row]


@pytest.mark.parametrize(
    "template", ["s3://bucket/{{ ds }}.jsonl", "/data/{{ ds }}.csv", "file:///data/{{ ds }}.parquet", "{{ ds }}.csv.gz"]
)
def test_the_name_of_a_file_is_rendered_and_shown(template: str) -> None:
    assert rendered(template, ds="2026-03-01") == template.replace("{{ ds }}", "2026-03-01")


def test_the_names_of_several_files_are_rendered_and_shown() -> None:
    assert rendered(["/data/{{ ds }}.csv", "/data/b.csv"], ds="2026-03-01") == ["/data/2026-03-01.csv", "/data/b.csv"]


def test_a_path_of_airflow_is_shown() -> None:
    path = ObjectStoragePath("file:///data/rows.csv")
    assert rendered(path) == path


def test_a_template_that_becomes_text_is_masked() -> None:
    text = rendered("{{ rows }}", rows=ROWS)
    assert SECRET not in str(text)
    assert unmasked(text) == str(ROWS)


def test_a_template_that_becomes_the_object_itself_is_masked() -> None:
    masked = rendered("{{ rows }}", native=True, rows=ROWS)
    assert unmasked(masked) == ROWS
    assert SECRET not in str(masked)
