"""An Airflow connection to a database: how a sync reads from it and writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_dub.exceptions import DubDatabaseError, DubUnreadableRowsError
from airflow_provider_dub.warehouse.cursors import connect
from airflow_provider_dub.warehouse.database_errors import advice_on, database_error, is_of_value, kind_of

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_dub.warehouse.cursors import Connection, Cursor

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
        self._writing: Connection | None = None
        #: The cursor of the one transaction in which all is done.
        self._open: Cursor | None = None
        #: Whether a percent sign anywhere in a statement with parameters belongs to one; known after the first query.
        self.reads_percent_signs = False

    def another(self) -> Warehouse:
        """Return the same database over connections of its own, for another thread."""
        return Warehouse(self._hook)

    def columns(self, sql: str, parameters: Any = None) -> list[tuple[str, str]]:
        """Return the names of a query's columns, and how the driver calls their types.

        :param sql: The query.
        :param parameters: Its parameters.
        :raises DubUnreadableRowsError: A value is wrong: some databases read rows to find the columns.
        """
        with closing(connect(self._hook)) as connection, connection.cursor() as cursor:
            _without_values(cursor.execute_as_given, sql, parameters, hides=is_of_value)
            found = cursor.columns
            cursor.fetchall()  # a driver may refuse to close what has unread rows
            self.reads_percent_signs = connection.driver.reads_percent_signs
            return found

    def batches(self, sql: str, parameters: Any = None) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield a query's rows as tuples, as :meth:`reading` does.

        :param sql: The query.
        :param parameters: Its parameters.
        """
        with self.reading(sql, parameters) as (_, batches):
            yield from batches

    @contextmanager
    def reading(
        self, sql: str, parameters: Any
    ) -> Iterator[tuple[list[tuple[str, str]], Iterator[Sequence[tuple[Any, ...]]]]]:
        """Run a query once; yield its columns with their types, and its rows as tuples, some at a time.

        The cursor is a server-side one where the driver has such.

        :param sql: The query.
        :param parameters: Its parameters.
        :raises DubUnreadableRowsError: The database or its driver fails.
        """
        with self._streaming() as cursor:
            _without_values(cursor.execute_as_given, sql, parameters)
            first = _without_values(cursor.fetchmany, BATCH)  # only now some drivers know the columns
            yield cursor.columns, _batches(cursor, first)

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Do all that follows in one transaction, over one connection that is closed at its end; nothing is retried.

        :raises DubDatabaseError: The database cannot be reached, or does not commit.
        """
        done = False
        try:
            self._writing = self._writing or connect(self._hook, to_write=True)
            with self._writing.transaction() as self._open:
                yield
                done = True
        except Exception as error:
            if self._open is None or done:
                raise database_error(error) from None
            raise
        finally:
            self._open = None
            self.close()

    def transaction(self, work: Callable[[Cursor], T], *, undo: bool = False) -> T:
        """Do work with a cursor in one transaction and return its result.

        A database that fails, perhaps since the connection idled for too long, is connected to and asked once more;
        so the work must bear to be done twice.

        :param work: Takes the cursor.
        :param undo: Whether the transaction is rolled back in any case.
        :raises DubDatabaseError: The database or its driver fails. It has nothing of the database's own error,
            which may quote a value.
        """
        failed: DubDatabaseError
        for _ in range(1 if self._open else 2):
            try:
                return self._once(work, undo)
            except NotRepeatedError:
                raise
            except Exception as error:
                failed = database_error(error)
            if not self._open:
                self.close()
        raise failed from None  # here, where it has no context

    def responds(self, sql: str) -> bool:
        """Return whether the database can be reached, and responds.

        :param sql: A query that it must be able to run.
        """
        with suppress(Exception):
            self.columns(sql)
            return True
        return False

    def close_for_others(self) -> None:
        """Close the connection for writing, once another one was made beside it: a run needs two while it sends.

        :raises DubDatabaseError: None can be made.
        """
        try:
            connect(self._hook).close()
        except Exception as error:  # every driver has its own
            failed = database_error(error)
        else:
            self.close()
            return
        failed.add_note(
            "Nothing was sent: the database allows no further connection. A run has up to three at a time; see what "
            "limits those of the connection's user."
        )
        raise failed

    def close(self) -> None:
        """Close the connection for writing."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    @contextmanager
    def _streaming(self) -> Iterator[Cursor]:
        if self._open and self._writing:
            with self._writing.streaming_beside(self._open) as cursor:
                yield cursor
        else:
            with closing(connect(self._hook)) as connection, connection.streaming_cursor() as cursor:
                yield cursor

    def _once(self, work: Callable[[Cursor], T], undo: bool) -> T:
        if self._open:
            return work(self._open)
        if self._writing is None:
            self._writing = connect(self._hook, to_write=True)
        with self._writing.transaction(undo=undo) as cursor:
            return work(cursor)


def _batches(cursor: Cursor, batch: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    while batch:
        yield batch
        batch = _without_values(cursor.fetchmany, BATCH)


def _without_values(ask: Callable[..., T], *arguments: Any, hides: Callable[[Exception], bool] = lambda _: True) -> T:
    """Ask the database, and raise nothing of what it says of a value.

    :param ask: Asks it.
    :param arguments: The arguments of that.
    :param hides: Whether an error is hidden; by default every error is.
    """
    try:
        return ask(*arguments)
    except Exception as error:
        if not hides(error):
            raise
        failed = DubUnreadableRowsError(kind_of(error), advice_on(error))
    raise failed from None  # here, where it has no context
