"""Airflow shows which file is read and how many rows there are, and no value of a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import polars as pl
import pytest
from airflow.serialization.helpers import serialize_template_field

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


@pytest.mark.parametrize(
    "text",
    [
        "[{'id': 'cus_1', 'name': 'Ann {# 1', 'email': 'jo@example.com'}]",
        '{"id": "cus_1", "name": "{{x", "email": "jo@example.com"}',
        "({'id': 'cus_1', 'name': '{% x', 'email': 'jo@example.com'},)",
    ],
)
def test_text_of_rows_that_hold_marks_of_a_template_is_masked(text: str) -> None:
    assert SECRET not in str(mask_rows(text, is_rendered=True))
    assert unmasked(mask_rows(text, is_rendered=True)) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ a }}",
        "{% if a %}{{ a }}{% endif %}",
        "[{{ a }}, {{ a }}]",
        "{# of #}{{ a }}",
        "[{'id': 'cus_1', 'name': '{{ a }}'}]",
    ],
)
def test_a_template_of_rows_is_left_to_be_rendered(template: str) -> None:
    assert mask_rows(template) == template


def beside_a_task(customers: Callable[[Any], object]) -> DubUpdateCustomersOperator:
    """Return an operator whose customers hold the output of a task, which is ``ROWS``."""
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)):
        source = DubUpdateCustomersOperator(task_id="source", customers=ROWS)
        return DubUpdateCustomersOperator(task_id="task", customers=customers(source.output))  # type: ignore[arg-type]


TEMPLATE_LIKE = {"id": "cus_3", "name": "{{ 7 * 7 }} {{ secret }}", "email": SECRET}


@pytest.mark.parametrize("kind", [list, tuple])
def test_rows_beside_the_output_of_a_task_are_masked_and_not_rendered(monkeypatch, kind: type) -> None:
    task = beside_a_task(lambda output: kind(["/data/{{ ds }}.csv", [TEMPLATE_LIKE], output]))
    assert task.upstream_task_ids == {"source"}
    assert SECRET not in str(serialize_template_field(task.customers, "customers"))
    monkeypatch.setattr(type(task.customers[-1]), "resolve", lambda *_, **__: ROWS)
    task.render_template_fields({"secret": "planted", "ds": "2026-03-01"})  # type: ignore[arg-type]
    assert SECRET not in str(task.customers)
    assert unmasked(task.customers) == kind(["/data/2026-03-01.csv", [TEMPLATE_LIKE], ROWS])


def test_values_of_a_row_beside_the_output_of_a_task_are_masked_and_not_rendered(monkeypatch) -> None:
    task = beside_a_task(lambda output: {**TEMPLATE_LIKE, "id": output})
    assert task.upstream_task_ids == {"source"}
    assert SECRET not in str(serialize_template_field(task.customers, "customers"))
    monkeypatch.setattr(type(task.customers["id"]), "resolve", lambda *_, **__: "cus_3")
    task.render_template_fields({"secret": "planted"})  # type: ignore[arg-type]
    assert SECRET not in str(task.customers)
    assert unmasked(task.customers) == TEMPLATE_LIKE


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_cell_of_one_of_several_rows_may_be_the_output_of_a_task(monkeypatch, kind: type) -> None:
    task = beside_a_task(
        lambda output: kind([TEMPLATE_LIKE, {**TEMPLATE_LIKE, "id": output}, [[output], TEMPLATE_LIKE]])
    )
    assert task.upstream_task_ids == {"source"}
    assert SECRET not in str(serialize_template_field(task.customers, "customers"))
    monkeypatch.setattr(type(task.customers[1]["id"]), "resolve", lambda *_, **__: "cus_3")
    task.render_template_fields({"secret": "planted"})  # type: ignore[arg-type]
    assert SECRET not in str(task.customers)
    assert unmasked(task.customers) == kind(
        [TEMPLATE_LIKE, {**TEMPLATE_LIKE, "id": "cus_3"}, [["cus_3"], TEMPLATE_LIKE]]
    )


def test_the_text_of_rows_is_rendered_and_then_masked() -> None:
    task = DubUpdateCustomersOperator(task_id="task", customers="[{'id': 'cus_1', 'email': '{{ mail }}'}]")
    task.render_template_fields({"mail": f"{SECRET} {{# 1"})  # type: ignore[arg-type]
    assert SECRET not in str(task.customers)
    assert unmasked(task.customers) == f"[{{'id': 'cus_1', 'email': '{SECRET} {{# 1'}}]"
