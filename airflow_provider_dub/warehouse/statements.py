"""The statements about the rows of a state table, its history and its staging table; every value is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.warehouse.schema import (
    ATTEMPT,
    BASELINE,
    KEY,
    PENDING,
    TIMESTAMPS,
    Part,
    is_applied,
    state_columns,
    written,
)
from airflow_provider_dub.warehouse.tables import Tables, never


@dataclass(frozen=True)
class Statements(Tables):
    """Writes the statements about the rows of a state table, its history and its staging table."""

    def delete_staged(self, *, others: bool = False) -> str:
        """Return the statement that deletes the rows of an attempt from the staging table; parameter: attempt.

        :param others: The rows of all other attempts instead.
        """
        kind = exp.NEQ if others else exp.EQ
        ours = kind(this=exp.column(ATTEMPT), expression=self._parameter())
        return written(exp.Delete(this=self.staging, where=exp.Where(this=ours)), self.dialect)

    def analyze(self, table: exp.Table, rows: int | None = None) -> list[str]:
        """Return the statement after which the engine plans by what is in a table, where it needs one.

        A user who may not is warned by the engine, and nothing fails.

        :param table: The table.
        :param rows: How many were just written to it, if that is known.
        """
        least = self.dialect.analyze_from
        is_needed = least is not None and (rows is None or rows >= least)
        return [f"ANALYZE {written(table, self.dialect)}"] if is_needed else []

    def read_state(self, columns: Sequence[str]) -> str:
        """Return the query for all rows of the state table; timestamps are text.

        :param columns: The columns.
        """
        as_text = self.dialect.own_timestamp_as_text
        read = [as_text(exp.column(name)).as_(name) if name in TIMESTAMPS else exp.column(name) for name in columns]
        return written(exp.select(*read).from_(self.state), self.dialect)

    def count(self, but: int) -> str:
        """Return the query that counts the rows of the state table, and those of them that a run recorded.

        Its parameters: the run, then keys that do not count.

        :param but: The number of these keys.
        """
        others = exp.column(KEY).isin(*(self._parameter() for _ in range(but))).not_()
        one = exp.Case().when(self._is("run"), exp.Literal.number(1)).else_(exp.Literal.number(0))
        of_run = exp.Coalesce(this=exp.Sum(this=one), expressions=[exp.Literal.number(0)])
        rows = exp.Count(this=exp.Star()).as_("customers")
        return written(exp.select(rows, of_run.as_("of_run")).from_(self.state).where(others), self.dialect)

    def merge(self) -> list[str]:
        """Return the statements that merge the outcomes of an attempt; parameter of each: the attempt.

        They may run twice: the state is the same afterwards.
        """
        keys = exp.select(KEY).from_(self.history).where(self._is(ATTEMPT))
        if self.dialect.changes_by_join:
            delete = f"DELETE dub_rows FROM {self._joined(keys.distinct())}"
        else:
            delete = written(exp.Delete(this=self.state, where=exp.Where(this=self._in(keys))), self.dialect)
        last_first = [exp.Ordered(this=exp.column("last_tried_at"), desc=True)]
        place = exp.Window(
            this=exp.RowNumber(),
            partition_by=[self.dialect.exactly(exp.column(KEY))],
            order=exp.Order(expressions=last_first),
        )
        lines = (
            exp.select(*map(exp.column, state_columns()), place.as_("place"))
            .from_(self.history)
            .where(self._is(ATTEMPT))
        )
        last = exp.EQ(this=exp.column("place"), expression=exp.Literal.number(1))
        rows = exp.select(*map(exp.column, state_columns())).from_(lines.subquery("dub_lines")).where(last)
        return [
            delete,
            written(exp.insert(rows, self.state, columns=[*state_columns()]), self.dialect),
        ]

    def set_pending(self, keys: Part, attempt: str) -> str:
        """Return the statement that sets the outcome of rows that are about to be sent.

        The code of those whose values Dub has is the attempt: this run alone may leave out what did not change.

        :param keys: The query for their keys.
        :param attempt: The try of the task instance.
        """
        has_values = exp.Case().when(is_applied(exp.column), exp.Literal.string(attempt)).else_(exp.Null())
        changes = {"code": has_values, "outcome": exp.Literal.string(PENDING)}  # MariaDB sets one after the other
        if self.dialect.changes_by_join:
            written_as = (f"dub_rows.{name} = {written(value, self.dialect)}" for name, value in changes.items())
            return f"UPDATE {self._joined(keys)} SET {', '.join(written_as)}"  # noqa: S608 - names, no values
        pending = [exp.EQ(this=exp.column(name), expression=value) for name, value in changes.items()]
        return written(
            exp.Update(this=self.state, expressions=pending, where=exp.Where(this=self._in(keys))), self.dialect
        )

    def set_unsent(self) -> str:
        """Return the statement that sets rows back that an attempt set to pending and did not send; parameter: it.

        Only of those is the code the attempt: what is merged for a row that was sent replaces it.
        """
        from_source = exp.column("dub_id").is_(exp.Null())
        changes = [
            exp.EQ(
                this=exp.column("outcome"),
                expression=exp.Case()
                .when(from_source, exp.Literal.string(BASELINE))
                .else_(exp.Literal.string(Outcome.UPDATED)),
            ),
            exp.EQ(this=exp.column("code"), expression=exp.Null()),
        ]
        pending = exp.EQ(this=exp.column("outcome"), expression=exp.Literal.string(PENDING))
        where = exp.Where(this=exp.and_(pending, self._is("code")))
        return written(exp.Update(this=self.state, expressions=changes, where=where), self.dialect)

    def tried(self, lines: int) -> str:
        """Return the query for lines that were merged to try it, and for the oldest line of the history.

        Its columns: those of the state table but its timestamps, which a driver may be unable to read; and the time of
        that line, as text, of all but those of an attempt. Its parameters: that attempt; then the keys of the lines.

        :param lines: The number of keys.
        """
        others = exp.NEQ(this=exp.column(ATTEMPT), expression=self._parameter())
        oldest = exp.select(self.dialect.own_timestamp_as_text(exp.Min(this=exp.column("last_tried_at"))))
        oldest = oldest.from_(self.history).where(others)
        parts = exp.select(
            *(exp.column(name) for name in state_columns() if name not in TIMESTAMPS), oldest.subquery().as_("oldest")
        )
        these = exp.column(KEY).isin(*(self._parameter() for _ in range(lines)))
        return written(parts.from_(self.state).where(these), self.dialect)

    def delete_attempt(self) -> str:
        """Return the statement that deletes the lines of an attempt from the history; parameter: the attempt."""
        return written(exp.Delete(this=self.history, where=exp.Where(this=self._is(ATTEMPT))), self.dialect)

    def set_none_pending(self) -> str:
        """Return the statement that would set rows to pending, and sets none: whether it may is what it shows."""
        changes = [
            exp.EQ(this=exp.column("code"), expression=exp.Null()),
            exp.EQ(this=exp.column("outcome"), expression=exp.Literal.string(PENDING)),
        ]
        return written(exp.Update(this=self.state, expressions=changes, where=exp.Where(this=never())), self.dialect)

    def prune(self, before: str) -> str:
        """Return the statement that deletes old lines of the history.

        :param before: The time, as every engine reads it.
        """
        old = exp.LT(this=exp.column("last_tried_at"), expression=exp.Literal.string(before))
        return written(exp.Delete(this=self.history, where=exp.Where(this=old)), self.dialect)

    def _in(self, keys: Part) -> Part:
        """Return the condition that the key is one of those of a query.

        The plain comparison lets the engine use an index; the exact one decides. They are one condition: of two
        PostgreSQL may evaluate the second for every pair of rows.
        """
        key, keys = exp.column(KEY), keys.subquery("dub_keys")
        exact = self.dialect.exactly(key)
        if exact == key or not self.dialect.compares_pairs:
            return exp.In(this=exact, query=exp.select(exact.copy()).from_(keys).subquery())
        pair = exp.Tuple(expressions=[key, exact])
        return exp.In(this=pair, query=exp.select(key.copy(), exact.copy()).from_(keys).subquery())

    def _joined(self, keys: Part) -> str:
        """Return the state table, as ``dub_rows``, joined with the query for some of its keys.

        The plain comparison lets the engine use an index; the exact one decides.
        """
        state, query = written(self.state, self.dialect), written(keys, self.dialect)
        ours, theirs = (exp.column(KEY, table=table) for table in ("dub_rows", "dub_keys"))
        same = exp.and_(
            exp.EQ(this=ours, expression=theirs),
            exp.EQ(this=self.dialect.exactly(ours.copy()), expression=self.dialect.exactly(theirs.copy())),
        )
        return f"{state} AS dub_rows JOIN ({query}) AS dub_keys ON {written(same, self.dialect)}"
