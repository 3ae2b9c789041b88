"""The statements about the state table and its lease; every value is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_dub.warehouse.schema import KEY, TIMESTAMPS, Part, state_columns, table_named, written

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

_LEASE_COLUMNS = ("target", "task", "owner", "expires_at", "schema_version")
#: The key of the one row that the table of the lease has.
_SLOT = "slot"


@dataclass(frozen=True)
class Statements:
    """Writes the statements about one state table.

    :param dialect: The engine.
    :param placeholder: Stands for a parameter, in the driver's style.
    :param table: The name of the table, possibly with schema and database.
    """

    dialect: Dialect
    placeholder: str
    table: str

    def create(self) -> list[str]:
        """Return the statements that create the state table, and its index where the engine has one."""
        text, key, timestamp = self.dialect.text_type, self.dialect.key_type, self.dialect.timestamp_type
        state = dict.fromkeys(state_columns(), text) | {KEY: key, "outcome": key} | dict.fromkeys(TIMESTAMPS, timestamp)
        return [self._create(self._state, state), *([self._index()] if self.dialect.indexed else [])]

    def create_lease(self) -> list[str]:
        """Return the statements that create the table of the lease."""
        kinds = {_SLOT: "INTEGER"} | dict.fromkeys(_LEASE_COLUMNS, self.dialect.text_type)
        kinds |= {"expires_at": "BIGINT", "schema_version": "INTEGER"}
        return [self._create(self._lease, kinds)]

    def probe(self) -> str:
        """Return the query that has the columns of the state table and none of its rows."""
        none = exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(0))
        return written(exp.select("*").from_(self._state).where(none), self.dialect)

    def clock(self) -> str:
        """Return the query for the database's time, in seconds since 1970."""
        return f"SELECT {self.dialect.clock}"

    def read_lease(self) -> str:
        """Return the query for the lease: target, task, owner, expires_at, schema_version."""
        return written(exp.select(*_LEASE_COLUMNS).from_(self._lease), self.dialect)

    def insert_lease(self) -> str:
        """Return the statement that makes the lease's one row; parameters: target, schema_version."""
        row = exp.values([(exp.Literal.number(1), self._parameter(), exp.Literal.number(0), self._parameter())])
        columns = [_SLOT, "target", "expires_at", "schema_version"]
        return written(exp.insert(row, self._lease, columns=columns), self.dialect)

    def acquire_lease(self) -> str:
        """Return the statement that acquires a lease that is free.

        Its parameters: task, owner, expires_at, now, target, schema_version.
        """
        expired = exp.LT(this=exp.column("expires_at"), expression=self._parameter())
        free = exp.or_(exp.column("task").is_(exp.Null()), expired)
        known = exp.LTE(this=exp.column("schema_version"), expression=self._parameter())
        return self._update(self._lease, ("task", "owner", "expires_at"), exp.and_(free, self._is("target"), known))

    def renew_lease(self) -> str:
        """Return the statement that renews a lease, or ends it; parameters: task, expires_at, owner."""
        return self._update(self._lease, ("task", "expires_at"), self._is("owner"))

    def set_version(self) -> str:
        """Return the statement that sets the version of the table; parameters: schema_version, owner."""
        return self._update(self._lease, ("schema_version",), self._is("owner"))

    def add_column(self, name: str) -> str:
        """Return the statement that adds a column of text to the state table.

        :param name: The column.
        """
        table, column = written(self._state, self.dialect), written(exp.to_identifier(name), self.dialect)
        return f"ALTER TABLE {table} {self.dialect.add_column} {column} {self.dialect.text_type}"

    def set_outcome(self, keys: int) -> str:
        """Return the statement that sets the outcome of so many keys; parameters: outcome, :meth:`among`."""
        return self._update(self._state, ("outcome",), self._among(keys))

    def delete(self, keys: int) -> str:
        """Return the statement that deletes so many keys; parameters: :meth:`among`."""
        return written(exp.Delete(this=self._state, where=exp.Where(this=self._among(keys))), self.dialect)

    def among(self, keys: Sequence[str]) -> list[str]:
        """Return the parameters that stand for these keys."""
        return [*keys, *(keys if self._compares_twice else ())]

    def insert(self, rows: int) -> str:
        """Return the statement that inserts so many rows; parameters: every column of each."""
        row = tuple(self._parameter() for _ in state_columns())
        return written(exp.insert(exp.values([row] * rows), self._state, columns=[*state_columns()]), self.dialect)

    @property
    def _state(self) -> exp.Table:
        return table_named(self.table, self.dialect)

    @property
    def _lease(self) -> exp.Table:
        return table_named(self.table, self.dialect, suffix="_lease")

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

    def _index(self) -> str:
        # Not unique: on engines that ignore case two keys may look the same.
        parameters = exp.IndexParameters(columns=[exp.column(KEY)])
        name: Part = exp.to_identifier(f"{self._state.name}_by_key")
        table = self._state
        if self.dialect.index_names_schema and table.args.get("db"):
            name = exp.Dot(this=table.args["db"].copy(), expression=name)
            table.set("db", None)
        index = exp.Index(this=name, table=table, params=parameters)
        return written(exp.Create(this=index, kind="INDEX"), self.dialect)

    def _update(self, table: exp.Table, columns: Sequence[str], where: Part) -> str:
        changes = [self._is(name) for name in columns]
        return written(exp.Update(this=table, expressions=changes, where=exp.Where(this=where)), self.dialect)

    def _is(self, column: str) -> Part:
        return exp.EQ(this=exp.column(column), expression=self._parameter())

    @property
    def _compares_twice(self) -> bool:
        return self.dialect.exact != "x"

    def _among(self, keys: int) -> Part:
        # The plain comparison lets the engine use an index; the exact one decides.
        key, parameters = exp.column(KEY), [self._parameter() for _ in range(keys)]
        plain = key.isin(*parameters)
        exact = self.dialect.exactly(key).isin(*map(self.dialect.exactly, parameters))
        return exp.and_(plain, exact) if self._compares_twice else plain

    def _parameter(self) -> Part:
        return exp.Var(this=self.placeholder)
