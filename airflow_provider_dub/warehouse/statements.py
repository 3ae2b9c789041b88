"""The statements about the rows of a state table, its history and its staging table; every value is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.warehouse.drivers import PLACEHOLDER
from airflow_provider_dub.warehouse.schema import (
    ATTEMPT,
    BASELINE,
    KEY,
    PENDING,
    TIMESTAMPS,
    Expression,
    is_applied,
    state_columns,
)
from airflow_provider_dub.warehouse.tables import Tables


@dataclass(frozen=True)
class Statements(Tables):
    """Writes the statements about the rows of a state table, its history and its staging table."""

    def delete_staged(self, *, others: bool = False) -> str:
        """Return the statement that deletes the rows of an attempt from the staging table; parameter: attempt.

        :param others: The rows of all other attempts instead.
        """
        return self.sql(f"DELETE FROM staging WHERE attempt {'<>' if others else '='} ?")

    def analyze(self, table: exp.Table, rows: int | None = None) -> list[str]:
        """Return the statement after which the engine plans by what is in a table, where it needs one.

        A user who may not is warned by the engine, and nothing fails.

        :param table: The table.
        :param rows: How many were just written to it, if that is known.
        """
        least = self.dialect.analyze_from
        is_needed = least is not None and (rows is None or rows >= least)
        return [f"ANALYZE {self.dialect.to_sql(table)}"] if is_needed else []

    def read_state(self, columns: Sequence[str]) -> str:
        """Return the query for all rows of the state table; timestamps are text.

        :param columns: The columns.
        """
        read = ", ".join(f"TIMESTAMP_TEXT({name}) AS {name}" if name in TIMESTAMPS else name for name in columns)
        return self.sql(f"SELECT {read} FROM state")

    def count(self, but: int) -> str:
        """Return the query that counts the rows of the state table, and those of them that a run recorded.

        Its parameters: the run, then keys that do not count.

        :param but: The number of these keys.
        """
        return self.sql(
            "SELECT COUNT(*) AS customers, COALESCE(SUM(CASE WHEN run = ? THEN 1 ELSE 0 END), 0) AS of_run FROM state "
            f"WHERE NOT customer_key IN ({_placeholders(but)})"
        )

    def merge(self) -> list[str]:
        """Return the statements that merge the outcomes of an attempt; parameter of each: the attempt.

        They may run twice: the state is the same afterwards.
        """
        keys = exp.select(KEY).from_(self.history).where(exp.column(ATTEMPT).eq(exp.Var(this=PLACEHOLDER)))
        if self.dialect.changes_by_join:
            delete = f"DELETE dub_rows FROM {self._joined(keys.distinct())}"
        else:
            delete = self.sql("DELETE FROM state WHERE :is_one", is_one=self._in(keys))
        columns = ", ".join(state_columns())
        insert = self.sql(
            f"INSERT INTO state ({columns}) SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER "
            "(PARTITION BY EXACT(customer_key) ORDER BY last_tried_at DESC) AS place FROM history WHERE attempt = ?) "
            "AS dub_lines WHERE place = 1"
        )
        return [delete, insert]

    def set_pending(self, keys: Expression, attempt: str) -> str:
        """Return the statement that sets the outcome of rows that are about to be sent.

        The code of those whose values Dub has is the attempt: this run alone may leave out what did not change.

        :param keys: The query for their keys.
        :param attempt: The try of the task instance.
        """
        code = exp.Case().when(is_applied(), exp.Literal.string(attempt)).else_(exp.Null())
        if self.dialect.changes_by_join:  # MariaDB sets one after the other
            changes = f"dub_rows.code = {self.dialect.to_sql(code)}, dub_rows.outcome = '{PENDING}'"
            return f"UPDATE {self._joined(keys)} SET {changes}"
        return self.sql(
            f"UPDATE state SET code = :code, outcome = '{PENDING}' WHERE :is_one",
            code=code,
            is_one=self._in(keys),
        )

    def set_unsent(self) -> str:
        """Return the statement that sets rows back that an attempt set to pending and did not send; parameter: it.

        Only of those is the code the attempt: what is merged for a row that was sent replaces it.
        """
        return self.sql(
            f"UPDATE state SET outcome = CASE WHEN dub_id IS NULL THEN '{BASELINE}' ELSE '{Outcome.UPDATED}' END, "
            f"code = NULL WHERE outcome = '{PENDING}' AND code = ?"
        )

    def read_check_lines(self, lines: int) -> str:
        """Return the query for lines of the check of the tables that were merged, and for the oldest of the history.

        Its columns: those of the state table but its timestamps, which a driver may be unable to read; and the time of
        that line, as text, of all but those of an attempt. Its parameters: that attempt; then the keys of the lines.

        :param lines: The number of keys.
        """
        read = ", ".join(name for name in state_columns() if name not in TIMESTAMPS)
        return self.sql(
            f"SELECT {read}, (SELECT TIMESTAMP_TEXT(MIN(last_tried_at)) FROM history WHERE attempt <> ?) AS oldest "
            f"FROM state WHERE customer_key IN ({_placeholders(lines)})"
        )

    def find_check_lines(self, lines: int) -> str:
        """Return the query for the keys of those lines, as far as they are there; its parameters: the keys.

        :param lines: The number of keys.
        """
        return self.sql(f"SELECT customer_key FROM state WHERE customer_key IN ({_placeholders(lines)})")

    def delete_attempt(self) -> str:
        """Return the statement that deletes the lines of an attempt from the history; parameter: the attempt."""
        return self.sql("DELETE FROM history WHERE attempt = ?")

    def set_none_pending(self) -> str:
        """Return the statement that would set rows to pending, and sets none: whether it may is what it shows."""
        return self.sql(f"UPDATE state SET code = NULL, outcome = '{PENDING}' WHERE 1 = 0")

    def prune(self, before: str) -> str:
        """Return the statement that deletes old lines of the history.

        :param before: The time, as every engine reads it.
        """
        return self.sql("DELETE FROM history WHERE last_tried_at < :before", before=exp.Literal.string(before))

    def _in(self, keys: Expression) -> Expression:
        """Return the condition that the key is one of those of a query.

        The plain comparison lets the engine use an index; the exact one decides, alone where an index serves it, too.
        """
        key, keys = exp.column(KEY), keys.subquery("dub_keys")
        exact = self.dialect.exactly(key)
        if exact == key or self.dialect.exact_collation or not self.dialect.compares_pairs:
            return exp.In(this=exact, query=exp.select(exact.copy()).from_(keys).subquery())
        pair = exp.Tuple(expressions=[key, exact])
        return exp.In(this=pair, query=exp.select(key.copy(), exact.copy()).from_(keys).subquery())

    def _joined(self, keys: Expression) -> str:
        """Return the state table, as ``dub_rows``, joined with the query for some of its keys.

        The plain comparison lets the engine use an index; the exact one decides.
        """
        state, query = self.dialect.to_sql(self.state), self.dialect.to_sql(keys)
        ours, theirs = (exp.column(KEY, table=table) for table in ("dub_rows", "dub_keys"))
        same = exp.and_(
            ours.eq(theirs),
            exp.EQ(this=self.dialect.exactly(ours.copy()), expression=self.dialect.exactly(theirs.copy())),
        )
        return f"{state} AS dub_rows JOIN ({query}) AS dub_keys ON {self.dialect.to_sql(same)}"


def _placeholders(parameters: int) -> str:
    return ", ".join("?" * parameters)
