"""The statements about the state table and its lease; every value is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.warehouse.dialects import parsed
from airflow_provider_dub.warehouse.drivers import PLACEHOLDER
from airflow_provider_dub.warehouse.schema import (
    ATTEMPT,
    BASELINE,
    KEY,
    PENDING,
    POSITION,
    TIMESTAMPS,
    Part,
    history_columns,
    is_applied,
    staging_columns,
    state_columns,
    table_named,
    written,
)

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

_LEASE_COLUMNS = ("target", "task", "owner", "process", "expires_at", "schema_version", "previous")
#: The key of the one row that the table of the lease has.
_SLOT = "slot"


@dataclass(frozen=True)
class Statements:
    """Writes the statements about one state table.

    :param dialect: The engine.
    :param table: The name of the table, possibly with schema and database.
    """

    dialect: Dialect
    table: str

    @property
    def state_table(self) -> str:
        """The state table, as statements name it."""
        return written(self.state, self.dialect)

    @property
    def lease_table(self) -> str:
        """The table of the lease, as statements name it."""
        return written(self._lease, self.dialect)

    @property
    def history_table(self) -> str:
        """The history, as statements name it."""
        return written(self.history, self.dialect)

    @property
    def staging_table(self) -> str:
        """The staging table, as statements name it."""
        return written(self.staging, self.dialect)

    @property
    def schema(self) -> str:
        """The schema of the tables, as statements name it; empty if their name has none."""
        parts = [part for part in (self.state.args.get("catalog"), self.state.args.get("db")) if part]
        return ".".join(written(part, self.dialect) for part in parts)

    def create(self) -> list[str]:
        """Return the statements that create the state table, and its index where the engine has one."""
        return [self._create(self.state, self._types(state_columns())), *self._index(self.state, KEY)]

    def create_history(self) -> list[str]:
        """Return the statements that create the history."""
        return [self._create(self.history, self._types(history_columns())), *self._index(self.history, ATTEMPT)]

    def create_lease(self) -> list[str]:
        """Return the statements that create the table of the lease."""
        kinds = {_SLOT: "INTEGER"} | dict.fromkeys(_LEASE_COLUMNS, self.dialect.text_type)
        kinds |= {"expires_at": "BIGINT", "schema_version": "INTEGER"}
        return [self._create(self._lease, kinds)]

    def create_staging(self) -> list[str]:
        """Return the statements that create the staging table, for the rows of a query that is read elsewhere."""
        return [self._create(self.staging, self._types(staging_columns()))]

    def drop_staging(self) -> str:
        """Return the statement that drops the staging table."""
        return f"DROP TABLE {self.staging_table}"

    def delete_staged(self, *, others: bool = False) -> str:
        """Return the statement that deletes the rows of an attempt from the staging table; parameter: attempt.

        :param others: The rows of all other attempts instead.
        """
        kind = exp.NEQ if others else exp.EQ
        ours = kind(this=exp.column(ATTEMPT), expression=self._parameter())
        return written(exp.Delete(this=self.staging, where=exp.Where(this=ours)), self.dialect)

    def analyze(self, table: exp.Table, rows: int | None = None) -> list[str]:
        """Return the statement after which the engine plans by what is in a table, where it needs one.

        A user who may not is warned by the engine, and nothing fails.

        :param table: The table.
        :param rows: How many were just written to it, if that is known.
        """
        least = self.dialect.analyze_from
        is_needed = least is not None and (rows is None or rows >= least)
        return [f"ANALYZE {written(table, self.dialect)}"] if is_needed else []

    def read_state(self, columns: Sequence[str]) -> str:
        """Return the query for all rows of the state table; timestamps are text.

        :param columns: The columns.
        """
        as_text = self.dialect.own_timestamp_as_text
        read = [as_text(exp.column(name)).as_(name) if name in TIMESTAMPS else exp.column(name) for name in columns]
        return written(exp.select(*read).from_(self.state), self.dialect)

    def probe_staging(self) -> str:
        """Return the query that has the columns of the staging table and none of its rows."""
        return written(exp.select("*").from_(self.staging).where(_never()), self.dialect)

    def least_rights(self, role: str, *, staging: bool = False) -> list[str]:
        """Return the statements that give a role what a run needs once the tables are there.

        :param role: Its name; of BigQuery a principal such as ``serviceAccount:dub@project.iam.gserviceaccount.com``,
            of MySQL and MariaDB with the host after ``@`` if it is not any.
        :param staging: Whether the query is read elsewhere.
        """
        rights = {
            self.state_table: "SELECT, INSERT, UPDATE, DELETE",
            self.lease_table: "SELECT, INSERT, UPDATE",
            self.history_table: "SELECT, INSERT, DELETE",
        }
        if staging:
            rights[self.staging_table] = "SELECT, INSERT, DELETE"
        name = self._role(role)
        about_schema = [grant for grant in self.dialect.grants if "{schema}" in grant and self.schema]
        about_tables = [grant for grant in self.dialect.grants if "{table}" in grant]
        return [
            *(grant.format(schema=self.schema, role=name) for grant in about_schema),
            *(
                grant.format(rights=needed, table=table, role=name)
                for table, needed in rights.items()
                for grant in about_tables
            ),
        ]

    def probe(self) -> str:
        """Return the query that has the columns of the state table and none of its rows."""
        return written(exp.select("*").from_(self.state).where(_never()), self.dialect)

    def probe_history(self) -> str:
        """Return the query that has the columns of the history and none of its rows."""
        return written(exp.select("*").from_(self.history).where(_never()), self.dialect)

    def count(self, but: int) -> str:
        """Return the query that counts the rows of the state table, and those of them that a run recorded.

        Its parameters: the run, then keys that do not count.

        :param but: The number of these keys.
        """
        others = exp.column(KEY).isin(*(self._parameter() for _ in range(but))).not_()
        one = exp.Case().when(self._is("run"), exp.Literal.number(1)).else_(exp.Literal.number(0))
        of_run = exp.Coalesce(this=exp.Sum(this=one), expressions=[exp.Literal.number(0)])
        rows = exp.Count(this=exp.Star()).as_("customers")
        return written(exp.select(rows, of_run.as_("of_run")).from_(self.state).where(others), self.dialect)

    def clock(self) -> str:
        """Return the query for the database's time, in seconds since 1970."""
        return f"SELECT {self.dialect.clock} AS dub_now"  # a cursor of dicts needs a name

    def read_lease(self) -> str:
        """Return the query for the rows of the lease.

        There is one; where nothing keeps keys unique, first runs that began at once may have left several.
        Its columns: target, task, owner, process, expires_at, schema_version, previous, and the database's time.
        """
        return written(
            exp.select(*map(exp.column, _LEASE_COLUMNS), self._clock.as_("dub_now")).from_(self._lease), self.dialect
        )

    def insert_lease(self) -> str:
        """Return the statement that makes the lease's one row; parameters: target, schema_version."""
        known = {
            _SLOT: exp.Literal.number(1),
            "target": self._parameter(),
            "expires_at": exp.Literal.number(0),
            "schema_version": self._parameter(),
        }
        # Every column is named: some kinds of tables take no other rows.
        columns = [_SLOT, *_LEASE_COLUMNS]
        row = exp.values([tuple(known.get(name, exp.Null()) for name in columns)])
        return written(exp.insert(row, self._lease, columns=columns), self.dialect)

    def acquire_lease(self) -> str:
        """Return the statement that acquires a lease that is free, or that of an owner whose process is gone.

        The last owner is kept as the previous one until its outcomes are merged.
        Its parameters: task, owner, process, expires_at, now, owner that is gone, target, schema_version.
        """
        expired = exp.LT(this=exp.column("expires_at"), expression=self._parameter())
        free = exp.or_(exp.column("task").is_(exp.Null()), expired, self._is("owner"))
        known = exp.LTE(this=exp.column("schema_version"), expression=self._parameter())
        last = exp.Coalesce(this=exp.column("previous"), expressions=[exp.column("owner")])
        changes = [
            exp.EQ(this=exp.column("previous"), expression=last),  # first: MariaDB sets one after the other
            *map(self._is, ("task", "owner", "process", "expires_at")),
        ]
        where = exp.Where(this=exp.and_(free, self._is("target"), known))
        return written(exp.Update(this=self._lease, expressions=changes, where=where), self.dialect)

    def renew_lease(self) -> str:
        """Return the statement that renews a lease that is held, or ends it.

        Its parameters: task, seconds from now, owner.
        """
        expires_at = exp.Add(this=self._clock, expression=self._parameter())
        changes = [self._is("task"), exp.EQ(this=exp.column("expires_at"), expression=expires_at)]
        where = exp.Where(this=exp.and_(self._is("owner"), exp.column("task").is_(exp.Null()).not_()))
        return written(exp.Update(this=self._lease, expressions=changes, where=where), self.dialect)

    def set_merged(self) -> str:
        """Return the statement that notes that the previous owners' outcomes are merged; parameter: owner."""
        return self._clear_in_lease("previous")

    def end_lease(self) -> str:
        """Return the statement that ends a lease whose outcomes are merged; parameter: owner."""
        return self._clear_in_lease("task", "owner")

    def merge(self) -> list[str]:
        """Return the statements that merge the outcomes of an attempt; parameter of each: the attempt.

        They may run twice: the state is the same afterwards.
        """
        keys = exp.select(KEY).from_(self.history).where(self._is(ATTEMPT))
        if self.dialect.changes_by_join:
            delete = f"DELETE dub_rows FROM {self._joined(keys.distinct())}"
        else:
            delete = written(exp.Delete(this=self.state, where=exp.Where(this=self._in(keys))), self.dialect)
        last_first = [exp.Ordered(this=exp.column("last_tried_at"), desc=True)]
        place = exp.Window(
            this=exp.RowNumber(),
            partition_by=[self.dialect.exactly(exp.column(KEY))],
            order=exp.Order(expressions=last_first),
        )
        lines = (
            exp.select(*map(exp.column, state_columns()), place.as_("place"))
            .from_(self.history)
            .where(self._is(ATTEMPT))
        )
        last = exp.EQ(this=exp.column("place"), expression=exp.Literal.number(1))
        rows = exp.select(*map(exp.column, state_columns())).from_(lines.subquery("dub_lines")).where(last)
        return [
            delete,
            written(exp.insert(rows, self.state, columns=[*state_columns()]), self.dialect),
        ]

    def set_pending(self, keys: Part, attempt: str) -> str:
        """Return the statement that sets the outcome of rows that are about to be sent.

        The code of those whose values Dub has is the attempt: this run alone may leave out what did not change.

        :param keys: The query for their keys.
        :param attempt: The try of the task instance.
        """
        has_values = exp.Case().when(is_applied(exp.column), exp.Literal.string(attempt)).else_(exp.Null())
        changes = {"code": has_values, "outcome": exp.Literal.string(PENDING)}  # MariaDB sets one after the other
        if self.dialect.changes_by_join:
            written_as = (f"dub_rows.{name} = {written(value, self.dialect)}" for name, value in changes.items())
            return f"UPDATE {self._joined(keys)} SET {', '.join(written_as)}"  # noqa: S608 - names, no values
        pending = [exp.EQ(this=exp.column(name), expression=value) for name, value in changes.items()]
        return written(
            exp.Update(this=self.state, expressions=pending, where=exp.Where(this=self._in(keys))), self.dialect
        )

    def set_unsent(self) -> str:
        """Return the statement that sets rows back that an attempt set to pending and did not send; parameter: it.

        Only of those is the code the attempt: what is merged for a row that was sent replaces it.
        """
        from_source = exp.column("dub_id").is_(exp.Null())
        changes = [
            exp.EQ(
                this=exp.column("outcome"),
                expression=exp.Case()
                .when(from_source, exp.Literal.string(BASELINE))
                .else_(exp.Literal.string(Outcome.UPDATED)),
            ),
            exp.EQ(this=exp.column("code"), expression=exp.Null()),
        ]
        pending = exp.EQ(this=exp.column("outcome"), expression=exp.Literal.string(PENDING))
        where = exp.Where(this=exp.and_(pending, self._is("code")))
        return written(exp.Update(this=self.state, expressions=changes, where=where), self.dialect)

    def tried(self, lines: int) -> str:
        """Return the query for lines that were merged to try it, and for the oldest line of the history.

        Its columns: those of the state table but its timestamps, which a driver may be unable to read; and the time of
        that line, as text, of all but those of an attempt. Its parameters: that attempt; then the keys of the lines.

        :param lines: The number of keys.
        """
        others = exp.NEQ(this=exp.column(ATTEMPT), expression=self._parameter())
        oldest = exp.select(self.dialect.own_timestamp_as_text(exp.Min(this=exp.column("last_tried_at"))))
        oldest = oldest.from_(self.history).where(others)
        parts = exp.select(
            *(exp.column(name) for name in state_columns() if name not in TIMESTAMPS), oldest.subquery().as_("oldest")
        )
        these = exp.column(KEY).isin(*(self._parameter() for _ in range(lines)))
        return written(parts.from_(self.state).where(these), self.dialect)

    def delete_attempt(self) -> str:
        """Return the statement that deletes the lines of an attempt from the history; parameter: the attempt."""
        return written(exp.Delete(this=self.history, where=exp.Where(this=self._is(ATTEMPT))), self.dialect)

    def set_none_pending(self) -> str:
        """Return the statement that would set rows to pending, and sets none: whether it may is what it shows."""
        changes = [
            exp.EQ(this=exp.column("code"), expression=exp.Null()),
            exp.EQ(this=exp.column("outcome"), expression=exp.Literal.string(PENDING)),
        ]
        return written(exp.Update(this=self.state, expressions=changes, where=exp.Where(this=_never())), self.dialect)

    def prune(self, before: str) -> str:
        """Return the statement that deletes old lines of the history.

        :param before: The time, as every engine reads it.
        """
        old = exp.LT(this=exp.column("last_tried_at"), expression=exp.Literal.string(before))
        return written(exp.Delete(this=self.history, where=exp.Where(this=old)), self.dialect)

    def set_version(self) -> str:
        """Return the statement that sets the version of the table; parameters: schema_version, owner."""
        return self._update(self._lease, ("schema_version",), self._is("owner"))

    def add_column(self, name: str, *, to_history: bool = False) -> str:
        """Return the statement that adds a column of text to the state table, or to the history.

        :param name: The column.
        :param to_history: Whether it is added to the history.
        """
        table = self.history_table if to_history else self.state_table
        column = written(exp.to_identifier(name), self.dialect)
        return f"ALTER TABLE {table} {self.dialect.add_column} {column} {self.dialect.text_type}"

    @property
    def history(self) -> exp.Table:
        """The table of the history."""
        return table_named(self.table, self.dialect, suffix="_history")

    def _role(self, name: str) -> str:
        if self.dialect.role == "identifier":
            return written(exp.to_identifier(name), self.dialect)
        parts = [name]
        if self.dialect.role == "account":
            user, _, host = name.rpartition("@")
            parts = [user, host] if user else [name, "%"]
        return "@".join(exp.Literal.string(part).sql(dialect=self.dialect.name) for part in parts)

    @property
    def staging(self) -> exp.Table:
        """The staging table."""
        return table_named(self.table, self.dialect, suffix="_staging")

    @property
    def state(self) -> exp.Table:
        """The state table."""
        return table_named(self.table, self.dialect)

    @property
    def _lease(self) -> exp.Table:
        return table_named(self.table, self.dialect, suffix="_lease")

    def _types(self, columns: Sequence[str]) -> dict[str, str]:
        text, key = self.dialect.text_type, self.dialect.key_type
        special = dict.fromkeys((KEY, "outcome", ATTEMPT), key) | dict.fromkeys(TIMESTAMPS, self.dialect.timestamp_type)
        special[POSITION] = "BIGINT"
        return {name: special.get(name, text) for name in columns}

    def _create(self, table: exp.Table, kinds: Mapping[str, str]) -> str:
        columns = [
            exp.ColumnDef(
                this=exp.to_identifier(name), kind=self.dialect.type_named(kind), constraints=self._constraints(name)
            )
            for name, kind in kinds.items()
        ]
        properties = exp.Properties(expressions=self.dialect.table_properties())
        create = exp.Create(
            this=exp.Schema(this=table, expressions=columns), kind="TABLE", exists=True, properties=properties
        )
        return written(create, self.dialect)

    def _constraints(self, column: str) -> list[Part]:
        """Return what keeps two runs that begin at once from both making the lease's row."""
        unique = column == _SLOT and self.dialect.indexed
        return [exp.ColumnConstraint(kind=exp.PrimaryKeyColumnConstraint())] if unique else []

    def _index(self, table: exp.Table, column: str) -> list[str]:
        """Return the statement that creates an index, where the engine has one."""
        if not self.dialect.indexed:
            return []
        # Not unique: on engines that ignore case two keys may look the same.
        parameters = exp.IndexParameters(columns=[exp.column(column)])
        name: Part = exp.to_identifier(f"{table.name}_by_key")
        if self.dialect.index_names_schema and table.args.get("db"):
            name = exp.Dot(this=table.args["db"].copy(), expression=name)
            table.set("db", None)
        index = exp.Index(this=name, table=table, params=parameters)
        return [written(exp.Create(this=index, kind="INDEX"), self.dialect)]

    def _update(self, table: exp.Table, columns: Sequence[str], where: Part) -> str:
        changes = [self._is(name) for name in columns]
        return written(exp.Update(this=table, expressions=changes, where=exp.Where(this=where)), self.dialect)

    @property
    def _clock(self) -> Part:
        return parsed(self.dialect.clock, self.dialect.name).copy()

    def _is(self, column: str) -> Part:
        return exp.EQ(this=exp.column(column), expression=self._parameter())

    def _in(self, keys: Part) -> Part:
        """Return the condition that the key is one of those of a query.

        The plain comparison lets the engine use an index; the exact one decides. They are one condition: of two
        PostgreSQL may evaluate the second for every pair of rows.
        """
        key, keys = exp.column(KEY), keys.subquery("dub_keys")
        exact = self.dialect.exactly(key)
        if exact == key or not self.dialect.compares_pairs:
            return exp.In(this=exact, query=exp.select(exact.copy()).from_(keys).subquery())
        pair = exp.Tuple(expressions=[key, exact])
        return exp.In(this=pair, query=exp.select(key.copy(), exact.copy()).from_(keys).subquery())

    def _joined(self, keys: Part) -> str:
        """Return the state table, as ``dub_rows``, joined with the query for some of its keys.

        The plain comparison lets the engine use an index; the exact one decides.
        """
        state, query = written(self.state, self.dialect), written(keys, self.dialect)
        ours, theirs = (exp.column(KEY, table=table) for table in ("dub_rows", "dub_keys"))
        same = exp.and_(
            exp.EQ(this=ours, expression=theirs),
            exp.EQ(this=self.dialect.exactly(ours.copy()), expression=self.dialect.exactly(theirs.copy())),
        )
        return f"{state} AS dub_rows JOIN ({query}) AS dub_keys ON {written(same, self.dialect)}"

    def _clear_in_lease(self, *columns: str) -> str:
        changes = [exp.EQ(this=exp.column(name), expression=exp.Null()) for name in columns]
        where = exp.Where(this=self._is("owner"))
        return written(exp.Update(this=self._lease, expressions=changes, where=where), self.dialect)

    def _parameter(self) -> Part:
        return exp.Var(this=PLACEHOLDER)


def _never() -> Part:
    return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(0))
