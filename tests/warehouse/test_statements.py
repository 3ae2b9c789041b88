"""The SQL of every engine, as snapshots to review; `python -m tests.warehouse.test_statements` writes them anew.

They are compared as parsed trees, since another sqlglot may lay out the same statement in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from airflow_provider_dub.warehouse.change_query import ChangeQuery
from airflow_provider_dub.warehouse.cursors import Cursor
from airflow_provider_dub.warehouse.database import Warehouse
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.drivers import PLACEHOLDER, Driver
from airflow_provider_dub.warehouse.lease import Lease, Owner
from airflow_provider_dub.warehouse.schema import history_columns
from airflow_provider_dub.warehouse.source import Source, columns_query
from airflow_provider_dub.warehouse.staging import StagedRows
from airflow_provider_dub.warehouse.statements import Statements
from airflow_provider_dub.warehouse.status import READ, KnownState

SNAPSHOTS = Path(__file__).parent / "snapshots"
SOURCE = Source(
    sql="SELECT user_id, mail, name, updated_at FROM crm.people",
    key_column="user_id",
    columns={"mail": "email", "name": "name"},
    clears=frozenset({"name"}),
    latest_by="updated_at",
)
KNOWN = KnownState(
    "analytics.dub_state", retry_rejected=False, missing_before=datetime(2026, 1, 1, tzinfo=UTC), attempt="token"
)
#: To write and parse them all takes seconds.
EACH_DIALECT = pytest.mark.parametrize(
    "dialect_name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "sqlite")) for name in DIALECTS],
)


def statements_of(dialect_name: str) -> dict[str, str]:
    dialect = DIALECTS[dialect_name]
    about_state = Statements(dialect, KNOWN.table)
    changes = ChangeQuery(dialect, SOURCE, KNOWN)
    kept = next(iter(ChangeQuery(dialect, replace(SOURCE, latest_by=None), KNOWN).over_temporary_tables()), None)
    about_kept = (
        {}
        if kept is None
        else {
            "keep": kept.create_temporary_table().replace(" ON COMMIT DROP", ""),
            "counts of what is kept": kept.counts(),
            "rows of what is kept": kept.rows(READ),
            "set pending what is kept": about_state.set_pending(kept.keys_to_set_pending(), "token"),
        }
    )
    staged = ChangeQuery(dialect, StagedRows(about_state.staging, "token", ["email", "name"], latest_wins=True), KNOWN)
    return {
        "columns": columns_query(SOURCE.sql, dialect),
        "counts": changes.counts(),
        "rows": changes.rows(READ),
        "rows without a state table": ChangeQuery(dialect, SOURCE).rows(READ),
        **{f"create {n}": statement for n, statement in enumerate(about_state.create())},
        "probe": about_state.probe(about_state.state),
        **{f"create lease {n}": statement for n, statement in enumerate(about_state.create_lease())},
        "clock": about_state.clock(),
        **of_lease(about_state, ("read lease", "insert lease", "acquire lease"), lambda lease: [lease._acquire, ""]),
        **of_lease(about_state, ("renew lease",), lambda lease: [lease._set, "task", 300]),
        **of_lease(about_state, ("set version",), lambda lease: [lease.set_version]),
        "add column": about_state.add_column(about_state.state, "country"),
        "set pending": about_state.set_pending(changes.keys_to_set_pending(), "token"),
        "set pending, the first": about_state.set_pending(
            ChangeQuery(dialect, SOURCE, KNOWN, limit=10).keys_to_set_pending(), "token"
        ),
        **about_kept,
        "append": appended(about_state),
        **{f"merge {n}": statement for n, statement in enumerate(about_state.merge())},
        **of_lease(about_state, ("set merged",), lambda lease: [lease.set_merged]),
        **of_lease(about_state, ("end lease",), lambda lease: [lease.end]),
        "read check lines": about_state.read_check_lines(2),
        "repeated keys": changes.repeated_keys(),
        "find check lines": about_state.find_check_lines(2),
        "set none pending": about_state.set_none_pending(),
        "delete attempt": about_state.delete_attempt(),
        "prune": about_state.prune("2026-01-01 00:00:00.000000"),
        **{f"create staging {n}": statement for n, statement in enumerate(about_state.create_staging())},
        "probe staging": about_state.probe(about_state.staging),
        "drop staging": about_state.drop_staging(),
        "delete staged": about_state.delete_staged(),
        "delete staged by others": about_state.delete_staged(others=True),
        "counts of staged rows": staged.counts(),
        "rows of staged rows": staged.rows(READ),
        "read state": about_state.read_state(["customer_key", "last_tried_at"]),
        **{f"create history {n}": statement for n, statement in enumerate(about_state.create_history())},
    }


def of_lease(about_state: Statements, names: tuple[str, ...], work: Callable[[Lease], list[Any]]) -> dict[str, str]:
    """Return the statements that a lease runs; each has as many parameters as it is given."""
    method, *arguments = work(Lease(Warehouse(None), about_state, Owner("target", "task", "token")))
    cursor = RecordingCursor()
    method(Cursor(cursor, Driver(style="format")), *arguments)
    return dict(zip(names, cursor.statements, strict=True))


def appended(about_state: Statements) -> str:
    """Return the statement that appends two lines, of a driver without a way of its own."""
    cursor = RecordingCursor()
    lines = [["text"] * len(history_columns())] * 2
    Cursor(cursor, Driver(style="format")).insert_rows(
        about_state.history, history_columns(), lines, dialect=about_state.dialect
    )
    (statement,) = cursor.statements
    return statement


class RecordingCursor:
    """Keeps the statements that it is to execute."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        assert sql.count(PLACEHOLDER) == len(parameters)
        self.statements.append(sql)

    def fetchall(self) -> list[Any]:
        return []


def snapshot(dialect_name: str) -> str:
    pretty = {
        name: sqlglot.parse_one(sql.replace("%s", ":p"), read=dialect_name).sql(dialect=dialect_name, pretty=True)
        for name, sql in statements_of(dialect_name).items()
    }
    return "".join(f"-- {name}\n{sql};\n\n" for name, sql in pretty.items())


@EACH_DIALECT
def test_the_statements_are_those_that_were_reviewed(dialect_name: str) -> None:
    reviewed = sqlglot.parse((SNAPSHOTS / f"{dialect_name}.sql").read_text(), read=dialect_name)
    assert sqlglot.parse(snapshot(dialect_name), read=dialect_name) == reviewed


@EACH_DIALECT
def test_every_statement_is_one_in_its_dialect(dialect_name: str) -> None:
    for sql in statements_of(dialect_name).values():
        (parsed,) = sqlglot.parse(sql.replace("%s", ":p"), read=dialect_name)
        assert parsed is not None
        assert not isinstance(parsed, sqlglot.exp.Command)


@EACH_DIALECT
def test_percent_signs_mark_parameters_and_nothing_else(dialect_name: str) -> None:
    assert "%" not in DIALECTS[dialect_name].clock
    for sql in statements_of(dialect_name).values():
        assert "%" not in sql.replace(PLACEHOLDER, "")


@EACH_DIALECT
def test_even_of_the_longest_table_no_name_is_longer_than_engines_take(dialect_name: str) -> None:
    tables = Statements(DIALECTS[dialect_name], "a" * 44)
    for sql in (*tables.create(), *tables.create_history(), *tables.create_lease(), *tables.create_staging()):
        names = [one.name for one in sqlglot.parse_one(sql, read=dialect_name).find_all(sqlglot.exp.Identifier)]
        assert max(map(len, names)) <= 63


if __name__ == "__main__":
    for name in DIALECTS:
        (SNAPSHOTS / f"{name}.sql").write_text(snapshot(name))
