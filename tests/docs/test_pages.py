"""Every block of Python and SQL in the documentation works: it is run, or it is a file that another test runs."""

from __future__ import annotations

import ast
import re
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from airflow_provider_dub.exceptions import DubError
from airflow_provider_dub.operators.dub import DubUpdateCustomersOperator
from airflow_provider_dub.transfers.sql_to_dub import SqlToDubCustomersOperator
from airflow_provider_dub.version_compat import DAG
from tests.docs.pages import AIRFLOW, PAGES, ROOT, blocks, for_this_airflow


def with_python(pages: list[Path]) -> list[Path]:
    return [page for page in pages if blocks(page, "python")]


def runs_here(block: str) -> bool:
    if "common.compat.sdk" in block:  # not in what Airflow's constraints pin for 2.11.0 and 3.0.6
        return find_spec("airflow.providers.common.compat.sdk") is not None
    return AIRFLOW >= (3, 3) or "retry_policy" not in block


@pytest.mark.parametrize("page", with_python(PAGES), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_runs(page, connected, warehouse) -> None:
    names: dict[str, object] = {"__name__": "page"}
    with DAG(dag_id="page", start_date=datetime(2026, 1, 1), schedule=None):
        for block in filter(runs_here, blocks(page, "python")):
            exec(compile(for_this_airflow(block), str(page), "exec"), names)  # noqa: S102 - our own pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_python_can_be_read_and_every_file_that_a_page_shows_is_there(page) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)
    for name in re.findall(r'--8<-- "([^"]+)"', page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file()


def test_sql_stands_only_on_the_page_that_another_test_runs() -> None:
    assert {page.name for page in PAGES if blocks(page, "sql")} == {"state-table.md"}


@pytest.mark.parametrize("operator", [DubUpdateCustomersOperator, SqlToDubCustomersOperator])
def test_what_a_docstring_calls_templated_is(operator) -> None:
    said = set(re.findall(r":param (\w+): \(templated\)", operator.__doc__ or ""))
    assert said
    assert said <= set(operator.template_fields)


def test_the_codes_of_failures_are_all_explained() -> None:
    def codes(error: type[DubError]) -> set[str]:
        return {error.code}.union(*map(codes, error.__subclasses__()))

    of_rows = codes(DubError) - {"error", "state_table_locked", "warehouse"}
    section = (ROOT / "docs/reference/summary.md").read_text().split("## Codes")[1].split("## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if "|" in line]
    explained = set(re.findall(r"`([a-z_]+)`", " ".join(first_cells)))
    assert explained == of_rows | {"rejected", "duplicate", "superseded", "not_attempted", "internal"}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
