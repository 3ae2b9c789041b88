"""An Airflow connection to a database: how a sync reads from it and writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_dub.warehouse.dialects import streaming_cursor

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

T = TypeVar("T")
#: Rows that are fetched at a time.
BATCH = 1000


class NotRepeatedError(Exception):
    """A failure inside a transaction that is not the database's, so that it is not tried again."""


class Warehouse:
    """Reads on connections of their own, writes on one that it keeps.

    :param hook: The hook of the Airflow connection.
    """

    def __init__(self, hook: DbApiHook) -> None:
        self._hook = hook
        self._writing: Any = None

    def columns(self, sql: str, parameters: Any) -> list[str]:
        """Return the names of a query's columns."""
        with closing(self._hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
            _run(cursor, sql, parameters)
            return [column[0] for column in cursor.description]

    def batches(self, sql: str, parameters: Any) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield a query's rows as tuples, some at a time; with a server-side cursor where the driver has one."""
        with closing(self._hook.get_conn()) as connection, closing(streaming_cursor(connection)) as cursor:
            _run(cursor, sql, parameters)
            while batch := cursor.fetchmany(BATCH):
                yield batch

    def transaction(self, work: Callable[[Any], T]) -> T:
        """Do work with a cursor in one transaction and return its result.

        A database that fails, perhaps since the connection idled for too long, is connected to and asked once more;
        so the work must bear to be done twice.

        :param work: Takes the cursor.
        """
        try:
            return self._once(work)
        except NotRepeatedError:
            raise
        except Exception:
            self.close()
            return self._once(work)

    def close(self) -> None:
        """Close the connection for writing."""
        if self._writing is not None:
            with suppress(Exception):  # it may be what failed
                self._writing.close()
            self._writing = None

    def _once(self, work: Callable[[Any], T]) -> T:
        if self._writing is None:
            self._writing = self._hook.get_conn()
            if hasattr(self._writing, "prepare_threshold"):
                # psycopg would have PostgreSQL plan once for any keys, which is to read the whole table for each.
                self._writing.prepare_threshold = None
        with closing(self._writing.cursor()) as cursor:
            connection = cursor if hasattr(cursor, "commit") else self._writing  # DuckDB's cursors are connections
            if hasattr(connection, "begin"):
                connection.begin()
            try:
                result = work(cursor)
                connection.commit()
            except BaseException:
                with suppress(Exception):  # the first error is the one to tell
                    connection.rollback()
                raise
        return result


def _run(cursor: Any, sql: str, parameters: Any) -> None:
    # Without parameters drivers leave a percent sign of the user's alone.
    cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
