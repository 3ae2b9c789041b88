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
        Its columns: target, task, attempt, process, expires_at, schema_version, previous, and the database's time.
        """
        return self._sql(
            "SELECT target, task, attempt, process, expires_at, schema_version, previous, CLOCK() AS dub_now FROM lease"
        )

    def insert(self) -> str:
        """Return the statement that makes the lease's one row; parameters: target, schema_version."""
        return self._sql(  # every column is named: some kinds of tables take no other rows
            "INSERT INTO lease (slot, target, task, attempt, process, expires_at, schema_version, previous) "
            "VALUES (1, ?, NULL, NULL, NULL, 0, ?, NULL)"
        )

    def acquire(self) -> str:
        """Return the statement that acquires a lease that is free, or that of an attempt whose process is gone.

        The last attempt is kept as the previous one until its outcomes are merged.
        Its parameters: task, attempt, process, seconds from now, attempt that is gone, target, schema_version.
        """
        return self._sql(  # the previous attempt first: MariaDB sets one after the other
            "UPDATE lease SET previous = COALESCE(previous, attempt), task = ?, attempt = ?, process = ?, "
            "expires_at = CLOCK() + ? WHERE (task IS NULL OR expires_at < CLOCK() OR attempt = ?) AND target = ? "
            "AND schema_version <= ?"
        )

    def renew(self) -> str:
        """Return the statement that renews a lease that is held, or ends it.

        Its parameters: task, seconds from now, attempt.
        """
        return self._sql("UPDATE lease SET task = ?, expires_at = CLOCK() + ? WHERE attempt = ? AND NOT task IS NULL")

    def set_merged(self) -> str:
        """Return the statement that notes that the previous attempt's outcomes are merged; parameter: attempt."""
        return self._sql("UPDATE lease SET previous = NULL WHERE attempt = ?")

    def end(self) -> str:
        """Return the statement that ends a lease whose outcomes are merged; parameter: attempt."""
        return self._sql("UPDATE lease SET task = NULL, attempt = NULL WHERE attempt = ?")

    def set_version(self) -> str:
        """Return the statement that sets the version of the table; parameters: schema_version, attempt."""
        return self._sql("UPDATE lease SET schema_version = ? WHERE attempt = ?")
