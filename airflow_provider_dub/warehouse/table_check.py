"""Whether the state table and its history can take what a run writes, found before its first request.

The run does what it is going to do, with lines that cannot be a customer's, and undoes it: it appends them to the
history, merges them, reads them back, deletes them, and looks whether they are gone: a policy, a rule or a trigger may
leave rows without an error. That is in one transaction, which is rolled back. Where there are no transactions a run
that crashes in between leaves lines: in the history under the name of an attempt that no run has, so that nothing
merges them; in the state table under keys that no customer has there, until the next run deletes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_dub.customers.converters import MAX_LENGTH
from airflow_provider_dub.exceptions import DubDatabaseError
from airflow_provider_dub.warehouse.schema import ATTEMPT, KEY, PENDING, TIMESTAMPS, history_columns, now, state_columns
from airflow_provider_dub.warehouse.unusable_table import UnusableTableError, reason_of

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.cursors import Cursor
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.statements import Statements

_NAME = "airflow-provider-dub checks that it can write here; this is not a customer "
_LENGTH = MAX_LENGTH + 1
#: The keys of the lines, longer than any id that is recorded. One reads as a number: where a column is of numbers,
#: SQLite makes it one.
CHECK_KEYS = (_NAME.ljust(_LENGTH - 3, ".") + "é日🦆", "7".rjust(_LENGTH, "0"), _NAME.ljust(_LENGTH, "-"))
#: An avatar may be of any length; this is more than a column has that somebody made for short texts.
_LONG, _NUMBER = "é日🦆".ljust(1000, "."), "007"
#: Columns that have a value in every row that is recorded.
_NEVER_NULL = (KEY, "cleared", "outcome", "last_tried_at", "run", ATTEMPT)


class TableCheck:
    """Records lines as a run records outcomes, and undoes it.

    :param warehouse: Where the tables are.
    :param statements: Writes the statements about them.
    :param attempt: This try of the task instance.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, attempt: str) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._attempt = f"check-{attempt}"
        self._at = now()
        #: What is being done, and to which table.
        self._doing = ("insert rows", statements.history)

    def run(self) -> str | None:
        """Return the time of the oldest line of the history, as text; None if there is none.

        :raises UnusableTableError: A right is missing, or a table does not take or keep what is written.
        :raises DubDatabaseError: The database fails in a way that may pass.
        """
        lines = [self._line(*line) for line in zip(CHECK_KEYS, (_LONG, _NUMBER, None), strict=True)]
        try:
            found, left = self._write_and_undo(lines)
        except DubDatabaseError as failed:
            doing, table = self._doing
            if not (what := self._reason(failed)):
                name = self._statements.dialect.to_sql(table)
                failed.add_note(f"It was tried whether a run can {doing}: table {name}. Nothing was sent.")
                raise
        else:
            name = self._statements.dialect.to_sql(self._statements.state)
            if changed := _changed(lines, found):
                what = f"The table {name} does not keep what is written to it: columns {', '.join(changed)}."
            elif left:
                what = (
                    f"Rows of the table {name} are still there after they were deleted, without an error: look at its "
                    "policies, rules and triggers."
                )
            else:
                oldest = found[0][-1]
                return None if oldest is None else str(oldest)
        raise UnusableTableError(what, self._statements)

    def _write_and_undo(self, lines: Sequence[tuple[Any, ...]]) -> tuple[list[Any], list[Any]]:
        """Return what the database has of lines that were written, and of them when they were deleted."""
        try:
            return self._warehouse.transaction(lambda cursor: self._write(cursor, lines), undo=True)
        except DubDatabaseError:
            if not self._statements.dialect.has_transactions:
                with suppress(DubDatabaseError):  # the first error is the one to raise
                    self._warehouse.transaction(self._delete_all)
            raise

    def _write(self, cursor: Cursor, lines: Sequence[tuple[Any, ...]]) -> tuple[list[Any], list[Any]]:
        write, has_transactions = self._statements, self._statements.dialect.has_transactions
        self._doing = "insert rows", write.history
        cursor.insert_rows(write.history, history_columns(), lines, dialect=write.dialect)
        delete, insert = write.merge()
        if not has_transactions:  # what a run that crashed has left
            self._doing = "delete rows", write.state
            cursor.execute(delete, [self._attempt])
        self._doing = "insert rows", write.state
        cursor.execute(insert, [self._attempt])
        keys = [line[0] for line in lines]
        self._doing = "read rows", write.state
        cursor.execute(write.read_check_lines(len(keys)), [self._attempt, *keys])
        found = list(cursor.fetchall())
        # What was inserted is deleted again, even where a rollback has no effect.
        self._doing = "delete rows", write.state
        cursor.execute(delete, [self._attempt])
        cursor.execute(write.find_check_lines(len(keys)), keys)
        left = list(cursor.fetchall())
        if not has_transactions:
            self._doing = "delete rows", write.history
            cursor.execute(write.delete_attempt(), [self._attempt])
        return found, left

    def _delete_all(self, cursor: Cursor) -> None:
        """Delete what is left of lines whose check failed."""
        delete, _ = self._statements.merge()
        for statement in (delete, self._statements.delete_attempt()):
            cursor.execute(statement, [self._attempt])

    def _line(self, key: str, text: str | None, **others: str | None) -> tuple[Any, ...]:
        """Return a line with a text in each column, or with NULL in each that may have it; and others in some."""
        line = {name: "" if text is None and name in _NEVER_NULL else text for name in history_columns()}
        # A query that has such a key finds nothing here that is as it was.
        line |= {KEY: key, "outcome": PENDING, ATTEMPT: self._attempt, "last_tried_at": self._at}
        line |= dict.fromkeys(TIMESTAMPS, self._at) if text is not None else {}
        return tuple((line | others).values())

    def _reason(self, failed: DubDatabaseError) -> str | None:
        """Return why the lines could not be written; None if that may be different the next time."""
        what = reason_of(self._statements, failed, *self._doing)
        if failed.is_denied:
            return what
        if not failed.is_permanent and not self._warehouse.responds(self._statements.clock()):
            return None
        if untaken := self._untaken() or self._of_another_type():
            return f"{what} Look at {untaken}."
        if not failed.is_permanent:
            return None
        others = self._other_columns()
        need = f", and {', '.join(others)}, which must take NULL or have a default" if others else ""
        return f"{what} Look at {KEY}{need}; and at its CHECK constraints, and its partitions if it has any."

    def _untaken(self) -> str:
        """Return which columns are why, as far as other lines are taken."""
        columns = [name for name in state_columns() if name not in (KEY, "outcome", *TIMESTAMPS)]
        nullable = [name for name in state_columns() if name not in _NEVER_NULL]
        untaken = []
        for text in (None, _NUMBER):
            if self._fails(text):
                continue
            if narrow := [name for name in columns if self._fails(text, **{name: _LONG})]:
                untaken.append(f"columns {', '.join(narrow)}")
            if text and (full := [name for name in nullable if self._fails(text, **{name: None})]):
                untaken.append(f"columns {', '.join(full)}, which must take NULL")
            break
        return "; and ".join(untaken)

    def _of_another_type(self) -> str:
        """Return which columns have another type than in the history: some engines take no value for them at all."""
        write = self._statements
        state, history = (
            {name.lower(): kind for name, kind in self._warehouse.columns(probe)}
            for probe in (write.probe(write.state), write.probe(write.history))
        )
        others = [name for name in state_columns() if state.get(name) != history.get(name)]
        history_table = write.dialect.to_sql(write.history)
        return f"columns {', '.join(others)}, which have another type than in {history_table}" if others else ""

    def _fails(self, text: str | None, **others: str | None) -> bool:
        """Return whether a line is not taken."""
        try:
            self._write_and_undo([self._line(CHECK_KEYS[0], text, **others)])
        except DubDatabaseError:
            return True
        return False

    def _other_columns(self) -> list[str]:
        """Return the columns of the table that are not this package's."""
        probe = self._statements.probe(self._doing[1])
        found = (name.lower() for name, _ in self._warehouse.columns(probe))
        return [name for name in found if name not in history_columns()]


def _changed(lines: Sequence[tuple[Any, ...]], found: Sequence[Any]) -> list[str]:
    """Return the columns whose values are not as they were written."""
    written = {line[0]: dict(zip(history_columns(), line, strict=True)) for line in lines}
    names = [name for name in state_columns() if name not in TIMESTAMPS]
    kept = {row[0]: dict(zip(names, row, strict=False)) for row in found}
    if {*kept} != {*written}:
        return [KEY]
    return [name for name in names if any(line[name] != written[key][name] for key, line in kept.items())]
