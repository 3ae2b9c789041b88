"""What an administrator runs before the first sync: ``python -m airflow_provider_dub.warehouse --help``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_dub.warehouse.dialects import DIALECTS, dialect_named
from airflow_provider_dub.warehouse.statements import Statements


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the statements, and return the exit code.

    :param arguments: The arguments; the default is those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        print(_script(Statements(dialect_named(options.dialect), options.state_table), options))  # noqa: T201
    except ValueError as error:
        parser.error(str(error))
    return 0


def _script(statements: Statements, options: argparse.Namespace) -> str:
    dialect, role = statements.dialect, options.role
    tables = [*statements.create(), *statements.create_lease(), *statements.create_history()]
    tables += statements.create_staging() if options.state_conn_id else []
    lines = [
        f"-- The tables of {statements.table}. Nothing was run: read the statements, and run them as an administrator."
    ]
    lines += [f"{table};" for table in tables]
    if not dialect.grants:
        return "\n\n".join([*lines, f"-- {dialect.name} has no rights on tables: the file must be writable."])
    if role is None:
        return "\n\n".join([*lines, "-- With --role the least rights of a role are printed, too."])
    lines.append("-- The least rights, besides SELECT on what the query reads.")
    lines.append("\n".join(f"{grant};" for grant in statements.least_rights(role, staging=options.state_conn_id)))
    return "\n\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_dub.warehouse",
        description="Print the statements that create a state table, its lease and its history, and the least rights "
        "on them, for an administrator. A run creates the tables itself where it may.",
    )
    parser.add_argument(
        "--dialect",
        required=True,
        metavar="NAME",
        help=f"the engine's SQL: {', '.join(DIALECTS)}; or a connection type",
    )
    parser.add_argument("--state-table", required=True, metavar="TABLE", help="as in the operator's state_table")
    parser.add_argument(
        "--role",
        help="who runs the sync: a role or user; for MySQL and MariaDB user@host; for BigQuery a principal, such as "
        "serviceAccount:dub@project.iam.gserviceaccount.com",
    )
    parser.add_argument(
        "--state-conn-id",
        action="store_true",
        help="the operator has a state_conn_id, so the query is read elsewhere: the staging table, too",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
