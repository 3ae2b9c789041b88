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


class UnreadableRowsError(Exception):
    """The user's query failed while its rows were read."""

    def __init__(self, error: Exception) -> None:
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        code = getattr(error, "sqlstate", None) or next(filter(_is_number, error.args), None)
        super().__init__(
            f"The query failed while its rows were read: {kind}{f' {code}' if code else ''}. What the database says of "
            "it may hold a value of a row and is not shown; run the query there to see it."
        )


def _is_number(argument: object) -> bool:
    return isinstance(argument, int)


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
        """Yield a query's rows as tuples, some at a time; with a server-side cursor where the driver has one.

        :raises UnreadableRowsError: The database or its driver fails.
        """
        with closing(self._hook.get_conn()) as connection, closing(streaming_cursor(connection)) as cursor:
            _without_values(_run, cursor, sql, parameters)
            while batch := _without_values(cursor.fetchmany, BATCH):
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
            if self._hook.supports_autocommit:  # some drivers begin with it
                self._hook.set_autocommit(self._writing, False)
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


def _without_values(ask: Callable[..., T], *arguments: Any) -> T:
    try:
        return ask(*arguments)
    except Exception as error:
        raise UnreadableRowsError(error) from None


def _run(cursor: Any, sql: str, parameters: Any) -> None:
    # Without parameters drivers leave a percent sign of the user's alone.
    cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
