"""The tables of a state: their names, how they are created, and the rights that they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from airflow_provider_dub.warehouse.dialects import parsed
from airflow_provider_dub.warehouse.drivers import PLACEHOLDER
from airflow_provider_dub.warehouse.schema import (
    ATTEMPT,
    KEY,
    POSITION,
    TIMESTAMPS,
    Expression,
    history_columns,
    staging_columns,
    state_columns,
    table_named,
)

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

#: What each of the tables has, whatever its version.
STATE_COLUMNS = (KEY, "cleared", "outcome", "last_tried_at", "run")
HISTORY_COLUMNS = (*STATE_COLUMNS, ATTEMPT)
STAGING_COLUMNS = (POSITION, KEY, ATTEMPT)
LEASE_COLUMNS = ("target", "task", "attempt", "process", "expires_at", "schema_version", "previous")
#: The key of the one row that the table of the lease has.
SLOT = "slot"


@dataclass(frozen=True)
class Tables:
    """The state table, its history, that of its lease, and the staging table.

    :param dialect: The engine.
    :param table: The name of the state table, possibly with schema and database.
    """

    dialect: Dialect
    table: str

    @property
    def state(self) -> exp.Table:
        """The state table."""
        return table_named(self.table, self.dialect)

    @property
    def history(self) -> exp.Table:
        """The table of the history."""
        return table_named(self.table, self.dialect, suffix="_history")

    @property
    def staging(self) -> exp.Table:
        """The staging table."""
        return table_named(self.table, self.dialect, suffix="_staging")

    @property
    def lease(self) -> exp.Table:
        """The table of the lease."""
        return table_named(self.table, self.dialect, suffix="_lease")

    @property
    def schema(self) -> str:
        """The schema of the tables, as statements name it; empty if their name has none."""
        parts = [part for part in (self.state.args.get("catalog"), self.state.args.get("db")) if part]
        return ".".join(self.dialect.to_sql(part) for part in parts)

    def create(self) -> list[str]:
        """Return the statements that create the state table, and its index where the engine has one."""
        return [self._create(self.state, self._types(state_columns())), *self._index(self.state, KEY)]

    def create_history(self) -> list[str]:
        """Return the statements that create the history."""
        return [self._create(self.history, self._types(history_columns())), *self._index(self.history, ATTEMPT)]

    def create_lease(self) -> list[str]:
        """Return the statements that create the table of the lease."""
        kinds = {SLOT: "INTEGER"} | dict.fromkeys(LEASE_COLUMNS, self.dialect.text_type)
        kinds |= {"expires_at": "BIGINT", "schema_version": "INTEGER"}
        return [self._create(self.lease, kinds)]

    def create_staging(self) -> list[str]:
        """Return the statements that create the staging table, for the rows of a query that is read elsewhere."""
        # Also a key that is too long for the state table: its row is rejected as any other.
        return [self._create(self.staging, self._types(staging_columns()) | {KEY: self.dialect.text_type})]

    def drop_staging(self) -> str:
        """Return the statement that drops the staging table."""
        return self.sql("DROP TABLE staging")

    def add_column(self, table: exp.Table, name: str) -> str:
        """Return the statement that adds a column of text.

        :param table: The table.
        :param name: The column.
        """
        to_sql = self.dialect.to_sql
        column = f"{to_sql(exp.to_identifier(name))} {self.dialect.text_type}"
        return f"ALTER TABLE {to_sql(table)} {self.dialect.add_column} {column}"

    def probe(self, table: exp.Table) -> str:
        """Return the query that has the columns of a table and none of its rows.

        :param table: The table.
        """
        return self.dialect.to_sql(exp.select("*").from_(table).where("1 = 0"))

    def least_rights(self, role: str, *, staging: bool = False) -> list[str]:
        """Return the statements that give a role what a run needs once the tables are there.

        :param role: Its name; of BigQuery a principal such as ``serviceAccount:dub@project.iam.gserviceaccount.com``,
            of MySQL and MariaDB with the host after ``@`` if it is not any.
        :param staging: Whether the query is read elsewhere.
        """
        rights = [
            (self.state, "SELECT, INSERT, UPDATE, DELETE"),
            (self.lease, "SELECT, INSERT, UPDATE"),
            (self.history, "SELECT, INSERT, DELETE"),
            *([(self.staging, "SELECT, INSERT, DELETE")] if staging else []),
        ]
        name = self._role(role)
        about_schema = [grant for grant in self.dialect.grants if "{schema}" in grant and self.schema]
        about_tables = [grant for grant in self.dialect.grants if "{table}" in grant]
        return [
            *(grant.format(schema=self.schema, role=name) for grant in about_schema),
            *(
                grant.format(rights=needed, table=self.dialect.to_sql(table), role=name)
                for table, needed in rights
                for grant in about_tables
            ),
        ]

    def clock(self) -> str:
        """Return the query for the database's time, in seconds since 1970."""
        return f"SELECT {self.dialect.clock} AS dub_now"  # a cursor of dicts needs a name

    def _types(self, columns: Sequence[str]) -> dict[str, str]:
        text, key = self.dialect.text_type, self.dialect.key_type
        special = dict.fromkeys((KEY, "outcome", ATTEMPT), key) | dict.fromkeys(TIMESTAMPS, self.dialect.timestamp_type)
        special[POSITION] = "BIGINT"
        return {name: special.get(name, text) for name in columns}

    def _create(self, table: exp.Table, kinds: Mapping[str, str]) -> str:
        columns = [
            exp.ColumnDef(
                this=exp.to_identifier(name),
                kind=exp.DataType.build(kind, dialect=self.dialect.name),
                constraints=self._constraints(name),
            )
            for name, kind in kinds.items()
        ]
        create = exp.Create(this=exp.Schema(this=table, expressions=columns), kind="TABLE", exists=True)
        return f"{self.dialect.to_sql(create)} {self.dialect.table_options}".rstrip()

    def _constraints(self, column: str) -> list[Expression]:
        if column == SLOT and self.dialect.indexed:  # of two runs that begin at once, one makes the lease's row
            return [exp.ColumnConstraint(kind=exp.PrimaryKeyColumnConstraint())]
        if column == KEY and (collation := self.dialect.exact_collation):
            return [exp.ColumnConstraint(kind=exp.CollateColumnConstraint(this=collation.copy()))]
        return []

    def _index(self, table: exp.Table, column: str) -> list[str]:
        """Return the statement that creates an index, where the engine has one."""
        if not self.dialect.indexed:
            return []
        # Not unique: on engines that ignore case two keys may look the same.
        parameters = exp.IndexParameters(columns=[exp.column(column)])
        name: Expression = exp.to_identifier(f"{table.name}_by_{column}")
        if self.dialect.index_names_schema and table.args.get("db"):
            name = exp.Dot(this=table.args["db"].copy(), expression=name)
            table.set("db", None)
        index = exp.Index(this=name, table=table, params=parameters)
        return [self.dialect.to_sql(exp.Create(this=index, kind="INDEX"))]

    def _role(self, name: str) -> str:
        if self.dialect.role == "identifier":
            return self.dialect.to_sql(exp.to_identifier(name))
        parts = [name]
        if self.dialect.role == "account":
            user, _, host = name.rpartition("@")
            parts = [user, host] if user else [name, "%"]
        return "@".join(exp.Literal.string(part).sql(dialect=self.dialect.name) for part in parts)

    def sql(self, statement: str, **parts: Expression) -> str:
        """Return a statement in the engine's SQL.

        :param statement: The statement, about the tables ``state``, ``history``, ``lease`` and ``staging``. ``?`` is a
            parameter and ``:name`` a part; ``EXACT(x)`` equals only the same text, ``TIMESTAMP_TEXT(x)`` is one of this
            package's timestamps as text, and ``CLOCK()`` the database's time.
        :param parts: What replaces each name.
        """
        dialect = self.dialect
        functions: dict[str, Callable[..., Expression]] = {
            "EXACT": dialect.exactly,
            "TIMESTAMP_TEXT": dialect.own_timestamp_as_text,
            "CLOCK": lambda: parsed(dialect.clock, dialect.name).copy(),
        }
        tables = ("state", "history", "lease", "staging")

        def of_engine(node: Expression) -> Expression:
            if isinstance(node, exp.Placeholder):
                return parts.get(node.name, exp.Var(this=PLACEHOLDER))
            if isinstance(node, exp.Table) and node.name in tables:
                return getattr(self, node.name)
            return functions[node.name](*node.expressions) if isinstance(node, exp.Anonymous) else node

        return dialect.to_sql(sqlglot.parse_one(statement).transform(of_engine, copy=False))
