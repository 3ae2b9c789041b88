"""The statements about the lease."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from airflow_provider_dub.warehouse.dialects import parsed
from airflow_provider_dub.warehouse.schema import Part, written
from airflow_provider_dub.warehouse.tables import LEASE_COLUMNS, SLOT, Tables


@dataclass(frozen=True)
class LeaseStatements(Tables):
    """Writes the statements about the lease on a state table."""

    def read(self) -> str:
        """Return the query for the rows of the lease.

        There is one; where nothing keeps keys unique, first runs that began at once may have left several.
        Its columns: target, task, owner, process, expires_at, schema_version, previous, and the database's time.
        """
        return written(
            exp.select(*map(exp.column, LEASE_COLUMNS), self._clock.as_("dub_now")).from_(self.lease), self.dialect
        )

    def insert(self) -> str:
        """Return the statement that makes the lease's one row; parameters: target, schema_version."""
        known = {
            SLOT: exp.Literal.number(1),
            "target": self._parameter(),
            "expires_at": exp.Literal.number(0),
            "schema_version": self._parameter(),
        }
        # Every column is named: some kinds of tables take no other rows.
        columns = [SLOT, *LEASE_COLUMNS]
        row = exp.values([tuple(known.get(name, exp.Null()) for name in columns)])
        return written(exp.insert(row, self.lease, columns=columns), self.dialect)

    def acquire(self) -> str:
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
        return self._update(changes, exp.and_(free, self._is("target"), known))

    def renew(self) -> str:
        """Return the statement that renews a lease that is held, or ends it.

        Its parameters: task, seconds from now, owner.
        """
        expires_at = exp.Add(this=self._clock, expression=self._parameter())
        changes = [self._is("task"), exp.EQ(this=exp.column("expires_at"), expression=expires_at)]
        return self._update(changes, exp.and_(self._is("owner"), exp.column("task").is_(exp.Null()).not_()))

    def set_merged(self) -> str:
        """Return the statement that notes that the previous owners' outcomes are merged; parameter: owner."""
        return self._clear("previous")

    def end(self) -> str:
        """Return the statement that ends a lease whose outcomes are merged; parameter: owner."""
        return self._clear("task", "owner")

    def set_version(self) -> str:
        """Return the statement that sets the version of the table; parameters: schema_version, owner."""
        return self._update([self._is("schema_version")], self._is("owner"))

    def _update(self, changes: list[Part], where: Part) -> str:
        return written(exp.Update(this=self.lease, expressions=changes, where=exp.Where(this=where)), self.dialect)

    def _clear(self, *columns: str) -> str:
        changes = [exp.EQ(this=exp.column(name), expression=exp.Null()) for name in columns]
        return self._update(changes, self._is("owner"))

    @property
    def _clock(self) -> Part:
        return parsed(self.dialect.clock, self.dialect.name).copy()
