"""The rows of a query that is read elsewhere, as text, beside the state that they are compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sqlglot import exp

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.warehouse.schema import ATTEMPT, KEY, LATEST, POSITION, Expression
from airflow_provider_dub.warehouse.source import copies_of, place_of
from airflow_provider_dub.warehouse.unusable_table import refusal_explained

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.cursors import Cursor
    from airflow_provider_dub.warehouse.database import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.statements import Statements


@dataclass(frozen=True)
class StagedRows:
    """The rows of one run, in place of a :class:`~airflow_provider_dub.warehouse.source.Source`.

    :param table: The staging table.
    :param attempt: The try of the task instance.
    :param fields: The Dub fields that are sent.
    :param latest_wins: Whether one of several rows for one customer is sent.
    """

    table: exp.Table
    attempt: str
    fields: Collection[str]
    latest_wins: bool = False
    #: Rows are read in the order of the first of the cells.
    in_order: ClassVar[bool] = True

    def cells(self, dialect: Dialect) -> list[str]:  # noqa: ARG002 - as a Source has it
        """Return the position of the row, in whose place its cells are put.

        :param dialect: The engine.
        """
        return [POSITION]

    def ctes(self, dialect: Dialect, *, unique: bool = False) -> dict[str, Expression]:
        """Return the common table expressions of a statement, by name.

        :param dialect: The engine.
        :param unique: Each customer is taken to be named by one row.
        """
        same_customer = dialect.exactly(_column(KEY))
        values = [
            _column(field.column) if name in self.fields else dialect.as_text(exp.Null()).as_(field.column)
            for name, field in FIELDS.items()
        ]
        query = exp.select(
            _column(POSITION),
            _column(KEY),
            *values,
            _column("cleared"),
            copies_of(same_customer, unique=unique),
        )
        query = query.from_(self.table.copy().as_("dub_staged")).where(_column(ATTEMPT).eq(self.attempt))
        if self.latest_wins:
            columns = (LATEST, *(FIELDS[name].column for name in self.fields))
            query = query.select(place_of(same_customer, [dialect.exactly(_column(name)) for name in columns]))
        return {"dub_keyed": query}


class Staging:
    """The staging table of a run.

    :param warehouse: Where it is.
    :param statements: Writes the statements about it.
    :param attempt: The try of the task instance.
    """

    def __init__(self, warehouse: Warehouse, statements: Statements, attempt: str) -> None:
        self._warehouse = warehouse
        self._statements = statements
        self._attempt = attempt

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        return self._statements.dialect

    def insert(self, columns: Sequence[str], batch: Iterable[tuple[str | None, ...]]) -> None:
        """Insert rows of this run.

        :param columns: The columns.
        :param batch: The rows.
        :raises UnusableTableError: A right is missing, or the table does not take them.
        """
        write = self._statements
        rows = [(*row, self._attempt) for row in batch]

        def insert(cursor: Cursor) -> None:
            cursor.insert_rows(write.staging, (*columns, ATTEMPT), rows, dialect=write.dialect)

        with refusal_explained(write, "insert rows", write.staging, writes_values=True):
            self._warehouse.transaction(insert)

    def analyze(self) -> None:
        """Have the engine count, where it plans by what it has counted."""
        if statements := self._statements.analyze(self._statements.staging):
            self._warehouse.transaction(lambda cursor: cursor.execute_all(statements))

    def rows(self, fields: Collection[str], *, latest_wins: bool) -> StagedRows:
        """Return the rows of this run as a statement takes them.

        :param fields: The Dub fields that are sent.
        :param latest_wins: Whether one of several rows for one customer is sent.
        """
        return StagedRows(self._statements.staging, self._attempt, fields, latest_wins)

    def clear(self) -> None:
        """Delete the rows of this run."""
        self._delete(self._statements.delete_staged())

    def clear_others(self) -> None:
        """Delete the rows of runs that crashed; for the owner of the lease."""
        self._delete(self._statements.delete_staged(others=True))

    def _delete(self, statement: str) -> None:
        with refusal_explained(self._statements, "delete rows", self._statements.staging):
            self._warehouse.transaction(lambda cursor: cursor.execute(statement, [self._attempt]))


def _column(name: str) -> Expression:
    return exp.column(name, table="dub_staged")
