"""The statements about the lease."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dub.warehouse.tables import Tables


@dataclass(frozen=True)
class LeaseStatements(Tables):
    """Writes the statements about the lease on a state table."""

    def read(self) -> str:
        """Return the query for the rows of the lease.

        There is one; where nothing keeps keys unique, first runs that began at once may have left several.
        Its columns: target, task, owner, process, expires_at, schema_version, previous, and the database's time.
        """
        return self._sql(
            "SELECT target, task, owner, process, expires_at, schema_version, previous, CLOCK() AS dub_now FROM lease"
        )

    def insert(self) -> str:
        """Return the statement that makes the lease's one row; parameters: target, schema_version."""
        return self._sql(  # every column is named: some kinds of tables take no other rows
            "INSERT INTO lease (slot, target, task, owner, process, expires_at, schema_version, previous) "
            "VALUES (1, ?, NULL, NULL, NULL, 0, ?, NULL)"
        )

    def acquire(self) -> str:
        """Return the statement that acquires a lease that is free, or that of an owner whose process is gone.

        The last owner is kept as the previous one until its outcomes are merged.
        Its parameters: task, owner, process, expires_at, now, owner that is gone, target, schema_version.
        """
        return self._sql(  # the previous owner first: MariaDB sets one after the other
            "UPDATE lease SET previous = COALESCE(previous, owner), task = ?, owner = ?, process = ?, expires_at = ? "
            "WHERE (task IS NULL OR expires_at < ? OR owner = ?) AND target = ? AND schema_version <= ?"
        )

    def renew(self) -> str:
        """Return the statement that renews a lease that is held, or ends it.

        Its parameters: task, seconds from now, owner.
        """
        return self._sql("UPDATE lease SET task = ?, expires_at = CLOCK() + ? WHERE owner = ? AND NOT task IS NULL")

    def set_merged(self) -> str:
        """Return the statement that notes that the previous owners' outcomes are merged; parameter: owner."""
        return self._sql("UPDATE lease SET previous = NULL WHERE owner = ?")

    def end(self) -> str:
        """Return the statement that ends a lease whose outcomes are merged; parameter: owner."""
        return self._sql("UPDATE lease SET task = NULL, owner = NULL WHERE owner = ?")

    def set_version(self) -> str:
        """Return the statement that sets the version of the table; parameters: schema_version, owner."""
        return self._sql("UPDATE lease SET schema_version = ? WHERE owner = ?")
