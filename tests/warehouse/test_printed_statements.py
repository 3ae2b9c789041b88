"""`python -m airflow_provider_dub.warehouse` prints what an administrator runs before the first sync."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlglot

from airflow_provider_dub.warehouse.__main__ import main
from airflow_provider_dub.warehouse.dialects import DIALECTS
from airflow_provider_dub.warehouse.statements import Statements


def printed(capsys, *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_tables_are_those_that_a_run_creates(dialect: str, capsys) -> None:
    script = printed(capsys, "--dialect", dialect, "--state-table", "dub_state", "--role", "dub")
    write = Statements(DIALECTS[dialect], "dub_state")
    for statement in (*write.create(), *write.create_lease(), *write.create_history()):
        assert f"{statement};" in script
    assert ("GRANT" in script) == (dialect not in ("sqlite", "duckdb"))


def test_the_staging_table_is_printed_where_the_query_is_read_elsewhere(capsys) -> None:
    arguments = ("--dialect", "postgres", "--state-table", "dub_state", "--role", "dub")
    assert "staging" not in printed(capsys, *arguments)
    script = printed(capsys, *arguments, "--state-conn-id")
    (create,) = Statements(DIALECTS["postgres"], "dub_state").create_staging()
    assert f"{create};" in script
    assert 'GRANT SELECT, INSERT, DELETE ON "dub_state_staging" TO "dub";' in script


@pytest.mark.parametrize(
    ("dialect", "role", "grant"),
    [
        ("postgres", "dub", 'GRANT SELECT, INSERT, UPDATE ON "analytics"."dub_state_lease" TO "dub";'),
        ("postgres", 'a"b', 'GRANT USAGE ON SCHEMA "analytics" TO "a""b";'),
        ("mysql", "dub", "GRANT SELECT, INSERT, DELETE ON `analytics`.`dub_state_history` TO 'dub'@'%';"),
        ("mysql", "dub@10.0.0.1", "TO 'dub'@'10.0.0.1';"),
        ("snowflake", "dub", 'ON TABLE "ANALYTICS"."DUB_STATE" TO ROLE "DUB";'),
        (
            "bigquery",
            "user:a@b.co",
            "GRANT `roles/bigquery.dataEditor` ON TABLE `analytics`.`dub_state` TO 'user:a@b.co'",
        ),
        ("databricks", "dub", "GRANT SELECT, MODIFY ON TABLE `analytics`.`dub_state` TO `dub`;"),
        ("mssql", "dub", "GRANT SELECT, INSERT, UPDATE, DELETE ON [analytics].[dub_state] TO [dub];"),
    ],
)
def test_the_rights_are_the_least(dialect: str, role: str, grant: str, capsys) -> None:
    assert grant in printed(capsys, "--dialect", dialect, "--state-table", "analytics.dub_state", "--role", role)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if DIALECTS[name].grants])
def test_every_grant_can_be_parsed(dialect: str) -> None:
    grants = Statements(DIALECTS[dialect], "analytics.dub_state").least_rights("dub")
    assert len(grants) >= 3
    for grant in grants:
        assert sqlglot.tokenize(grant, read=dialect)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dialect", "oracle", "--state-table", "dub_state"], "one of postgres, mysql, sqlite"),
        (["--dialect", "postgres", "--state-table", "a b"], "state_table must be a name"),
        (["--dialect", "postgres"], "--state-table"),
    ],
)
def test_a_wrong_argument_is_explained(arguments: list[str], says: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "airflow_provider_dub.warehouse", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--state-table" in shown
    assert "least rights" in " ".join(shown.split())
