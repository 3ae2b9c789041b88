"""The SQL of every engine, as snapshots to review; `python -m tests.warehouse.test_statements` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.difference import TO_SEND, Difference, Memory, Source, column_names
from airflow_provider_dub.warehouse.statements import Statements

SNAPSHOTS = Path(__file__).parent / "snapshots"
SOURCE = Source(
    sql="SELECT user_id, mail, name, updated_at FROM crm.people",
    key_column="user_id",
    columns={"mail": "email", "name": "name"},
    clears=frozenset({"name"}),
    latest_by="updated_at",
)
MEMORY = Memory("analytics.dub_state", retry_rejected=False, missing_before="2026-01-01 00:00:00.000000")


def statements_of(dialect_name: str) -> dict[str, str]:
    dialect = DIALECTS[dialect_name]
    about_state = Statements(dialect, "%s", MEMORY.table)
    difference = Difference(dialect, SOURCE, MEMORY)
    return {
        "columns": column_names(SOURCE.sql, dialect),
        "counts": difference.counts(),
        "rows": difference.rows(TO_SEND),
        "rows without a state table": Difference(dialect, SOURCE).rows(TO_SEND),
        **{f"create {n}": statement for n, statement in enumerate(about_state.create())},
        "probe": about_state.probe(),
        **{f"create claim {n}": statement for n, statement in enumerate(about_state.create_claim())},
        "clock": about_state.clock(),
        "failed": difference.failed(),
        "read claim": about_state.read_claim(),
        "offer claim": about_state.offer_claim(),
        "take claim": about_state.take_claim(),
        "keep claim": about_state.keep_claim(),
        "mark": about_state.mark(2),
        "forget": about_state.forget(2),
        "remember": about_state.remember(2),
    }


def snapshot(dialect_name: str) -> str:
    pretty = {
        name: sqlglot.parse_one(sql.replace("%s", ":p"), read=dialect_name).sql(dialect=dialect_name, pretty=True)
        for name, sql in statements_of(dialect_name).items()
    }
    return "".join(f"-- {name}\n{sql};\n\n" for name, sql in pretty.items())


@pytest.mark.parametrize("dialect_name", DIALECTS)
def test_the_statements_are_those_that_were_reviewed(dialect_name: str) -> None:
    assert snapshot(dialect_name) == (SNAPSHOTS / f"{dialect_name}.sql").read_text()


@pytest.mark.parametrize("dialect_name", DIALECTS)
def test_every_statement_is_one_in_its_dialect(dialect_name: str) -> None:
    for sql in statements_of(dialect_name).values():
        (parsed,) = sqlglot.parse(sql.replace("%s", ":p"), read=dialect_name)
        assert parsed is not None
        assert not isinstance(parsed, sqlglot.exp.Command)


if __name__ == "__main__":
    for name in DIALECTS:
        (SNAPSHOTS / f"{name}.sql").write_text(snapshot(name))
