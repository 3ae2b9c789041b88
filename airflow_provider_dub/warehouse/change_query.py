"""The question that a sync asks the warehouse: which rows of the query differ from what was last applied?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.sync.results import Outcome
from airflow_provider_dub.warehouse.schema import (
    APPLIED,
    KEY,
    PENDING,
    Expression,
    compared_columns,
    is_applied,
    table_named,
    timestamp,
)
from airflow_provider_dub.warehouse.source import in_list, with_ctes
from airflow_provider_dub.warehouse.status import SET_PENDING, UPDATES, KnownState, Status

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect
    from airflow_provider_dub.warehouse.source import Source
    from airflow_provider_dub.warehouse.staging import StagedRows


#: The outcomes of rows that failed permanently.
_FAILED = (Outcome.FAILED, Outcome.REJECTED)
_APPLIED_AT = ("first_applied_at", "last_applied_at")
#: What the state table says of the customer.
_OF_CUSTOMER = (*_APPLIED_AT, "dub_id")
#: The result of the row when it was last tried.
_RESULT = ("outcome", "code", "message", "run")
#: The fields that Dub has as the row has them, each followed by a blank; none where Dub's values are not known.
SAME_FIELDS = "same_fields"


def row_columns() -> tuple[str, ...]:
    """Return the columns that a row has after its cells: its status, what the state table says of it, and texts.

    ``copies`` is the number of rows that name the same customer. The key and what is compared are as text.
    """
    return ("status", "copies", *_OF_CUSTOMER, SAME_FIELDS, KEY, *compared_columns(), *_RESULT)


@dataclass(frozen=True)
class ChangeQuery:
    """Writes the queries about the difference.

    :param dialect: The engine.
    :param source: The rows.
    :param known: The state table; without one every row is new.
    :param limit: The number of rows that are sent, the first ones by key.
    :param temporary_table: The temporary table that has the result.
    :param unique: Each customer is taken to be named by one row: the counts say whether that is so.
    """

    dialect: Dialect
    source: Source | StagedRows
    known: KnownState | None = None
    limit: int | None = None
    temporary_table: exp.Table | None = None
    unique: bool = False

    def over_temporary_tables(self) -> list[ChangeQuery]:
        """Return what is asked of a temporary table of the result, where the engine has such and there is a state.

        The first takes each customer to be named by one row, if it may; the second is for when that is not so.
        """
        if not self.dialect.temporary_table or self.known is None:
            return []
        queries = []
        for unique in [False] if self.source.latest_wins else [True, False]:
            table = table_named(self.known.table, self.dialect) if self.dialect.temporary_beside else exp.Table()
            table.set("this", exp.to_identifier(f"dub_{'changes' if unique else 'counted'}_{self.known.attempt}"))
            queries.append(replace(self, temporary_table=table, unique=unique))
        return queries

    def create_temporary_table(self) -> str:
        """Return the statement that makes the temporary table of the result."""
        # All columns of all rows: PostgreSQL would compute the status anew for each that depends on it.
        names = dict.fromkeys((*self.source.cells(self.dialect), *row_columns()))
        columns = [name for name in names if name not in self._constants]
        result = self._with_ctes(exp.select(*map(_column, columns)).from_("dub_classified"))
        table, query = self.dialect.to_sql(self.temporary_table), self.dialect.to_sql(result)
        return self.dialect.temporary_table.format(table=table, query=query)

    def counts(self) -> str:
        """Return the query that counts the rows by status.

        Its columns: the status, the rows, those of them whose Dub id is known, and, where each customer is taken to be
        named by one row, how many rows there are too many.
        """
        # A cursor of dicts needs a name for each.
        rows, with_dub_id = (
            exp.Count(this=exp.Star()).as_("rows_of_it"),
            exp.Count(this=_column("dub_id")).as_("with_dub_id"),
        )
        surplus = self._surplus() if self.unique else exp.Literal.number(0)
        query = exp.select("status", rows, with_dub_id, surplus.as_("surplus"))
        return self._to_sql(query.from_(self._result).group_by("status"))

    def repeated_keys(self) -> str:
        """Return the query that counts the keys for which the state table has several rows."""
        known = table_named(self.known.table, self.dialect) if self.known else exp.Table()
        same = self.dialect.exactly(_column(KEY))
        several = exp.Count(this=exp.Star()) > 1
        repeated = exp.select(same.as_("dub_key")).from_(known).group_by(same.copy()).having(several)
        count = exp.select(exp.Count(this=exp.Star()).as_("repeated")).from_(repeated.subquery("dub_repeated"))
        return self.dialect.to_sql(count)

    def rows(self, statuses: Collection[Status]) -> str:
        """Return the query for the rows with one of these statuses.

        Its columns: the cells of the source, then :func:`row_columns`.

        :param statuses: The statuses.
        """
        query = exp.select(*self._cells, *map(self._read, row_columns())).from_(self._result)
        query = query.where(_column("status").isin(*statuses))
        if self.limit is not None:
            query = query.order_by(self._by_key())
        elif self.source.in_order:
            query = query.order_by(self.source.cells(self.dialect)[0])
        return self._to_sql(query)

    def keys_to_set_pending(self) -> Expression:
        """Return the query for the keys of the rows that the state table has and that are about to be sent."""
        changing = _column("status").isin(*SET_PENDING)
        if self.limit is None:
            return self._asked(exp.select(KEY).from_(self._result).where(changing))
        first = exp.select(KEY, "status").from_(self._result).where(_column("status").isin(*UPDATES))
        first = first.order_by(self._by_key()).limit(self.limit)
        return self._asked(exp.select(KEY).from_(first.subquery("dub_first")).where(changing))

    def _surplus(self) -> Expression:
        customers = exp.Distinct(expressions=[self.dialect.exactly(_column(KEY))])
        surplus = exp.Count(this=_column(KEY)) - exp.Count(this=customers)
        return exp.select(surplus).from_(self._result).subquery()

    def _by_key(self) -> Expression:
        return exp.Ordered(this=self.dialect.exactly(_column(KEY)), nulls_first=False)

    def _to_sql(self, query: exp.Select) -> str:
        return self.dialect.to_sql(self._asked(query))

    @property
    def _cells(self) -> Iterator[Expression]:
        return (_column(name).as_(f"cell_{n}") for n, name in enumerate(self.source.cells(self.dialect)))

    @cached_property
    def _constants(self) -> dict[str, Expression]:
        """The columns that are the same in all rows, and so need not be kept."""
        not_sent = [field.column for name, field in FIELDS.items() if name not in self.source.fields]
        copies = {"copies": exp.Literal.number(1)} if self.unique else {}
        return dict.fromkeys(not_sent, self.dialect.as_text(exp.Null())) | copies

    def _read(self, name: str) -> Expression:
        if name in self._constants:
            return self._constants[name].as_(name)
        if name in _APPLIED_AT and self.known:
            return self.dialect.own_timestamp_as_text(_column(name)).as_(name)
        return _column(name)

    @property
    def _result(self) -> exp.Table:
        return self.temporary_table.copy() if self.temporary_table else exp.to_table("dub_classified")

    def _asked(self, query: exp.Select) -> exp.Select:
        return query if self.temporary_table else self._with_ctes(query)

    def _with_ctes(self, query: exp.Select) -> exp.Select:
        ctes = self.source.ctes(self.dialect, unique=self.unique)
        return with_ctes(query, {**ctes, "dub_classified": self._classified()})

    def _classified(self) -> exp.Select:
        query = exp.select("dub_keyed.*").from_("dub_keyed")
        if self.known is None:
            never = [self.dialect.as_text(exp.Null()).as_(name) for name in (*_OF_CUSTOMER, SAME_FIELDS, *_RESULT)]
            return query.select(self._status([], exp.Literal.string(Status.NEW)).as_("status"), *never)
        state = table_named(self.known.table, self.dialect).as_("dub_state")
        query = query.join(state, on=self._same_key(), join_type="left")
        status = self._status(*self._by_state(self.known)).as_("status")
        same = self._same_fields(self.known).as_(SAME_FIELDS)
        return query.select(status, same, *map(_state_column, (*_OF_CUSTOMER, *_RESULT)))

    def _same_fields(self, known: KnownState) -> Expression:
        """Return the names of the fields that need not be sent, as Dub has applied them in full."""
        empty = exp.Literal.string("")
        if known.full_refresh:
            return empty
        sent = [field for field in FIELDS.values() if field.name in self.source.fields]
        names = [
            exp.Case()
            .when(
                exp.and_(self._equal(field.column), self._cleared_alike(field.name), copy=False),
                in_list(field.name),
                copy=False,
            )
            .else_(empty.copy())
            for field in sent
        ]
        ours = exp.and_(_state_column("outcome").eq(PENDING), _state_column("code").eq(known.attempt))
        has_values = exp.or_(is_applied("dub_state"), ours)
        return exp.Case().when(has_values, exp.Concat(expressions=[*names, empty.copy()])).else_(empty.copy())

    def _cleared_alike(self, field: str) -> Expression:
        """Return the condition that an empty cell clears the field now and did when it was sent, or neither."""
        then, now = (_state_column("cleared"), _column("cleared", "dub_keyed"))
        # Mostly all fields are alike, which is found out faster.
        return exp.or_(then.eq(now), self._is_cleared(field, then).eq(self._is_cleared(field, now)))

    def _is_cleared(self, field: str, cleared: Expression) -> Expression:
        names = exp.Concat(expressions=[exp.Literal.string(" "), cleared])
        place = exp.StrPosition(this=names, substr=exp.Literal.string(f" {field} "))  # LIKE would need a percent sign
        return exp.Case().when(place > 0, exp.Literal.number(1)).else_(exp.Literal.number(0))

    def _status(self, cases: list[tuple[Expression, Status]], otherwise: Expression) -> Expression:
        if self.source.latest_wins:
            twice = (_column("place", "dub_keyed") > 1, Status.SUPERSEDED)
        else:
            twice = (_column("copies", "dub_keyed") > 1, Status.DUPLICATE)
        cases = [(_column(KEY, "dub_keyed").is_(exp.Null()), Status.NO_KEY), twice, *cases]
        ifs = [exp.If(this=condition, true=exp.Literal.string(status)) for condition, status in cases]
        return exp.Case(ifs=ifs, default=otherwise)

    def _by_state(self, known: KnownState) -> tuple[list[tuple[Expression, Status]], Expression]:
        same = exp.and_(*map(self._equal, compared_columns()), copy=False)
        is_same = exp.Case().when(same, exp.Literal.number(1)).else_(exp.Literal.number(0))
        outcome = _state_column("outcome")
        missing = outcome.eq(Outcome.MISSING)
        cases = [
            (_state_column(KEY).is_(exp.Null()), Status.NEW),
            (outcome.eq(PENDING), Status.PENDING),
            (is_same.eq(0), Status.CHANGED),
        ]
        if known.run is not None:
            ours = _state_column("run").eq(known.run)
            cases += [
                (exp.and_(ours, outcome.isin(*outcomes)), status)
                for outcomes, status in (
                    (APPLIED, Status.UNCHANGED),
                    (_FAILED, Status.REFUSED),
                    ((Outcome.MISSING,), Status.MISSING),
                )
            ]
        if known.full_refresh:
            return cases, exp.Literal.string(Status.REFRESHED)
        return [
            *cases,
            (outcome.isin(*APPLIED), Status.UNCHANGED),
            (outcome.isin(*_FAILED), Status.RETRIED if known.retry_rejected else Status.REFUSED),
            (exp.and_(missing, _state_column("last_tried_at") < timestamp(known.missing_before)), Status.RETRIED),
            (missing, Status.MISSING),
        ], exp.Literal.string(Status.PENDING)

    def _same_key(self) -> Expression:
        exact = self._exactly_equal(KEY)
        if self.dialect.exact_collation:
            return exact
        # The plain comparison lets the engine use an index or a hash; the exact one decides.
        plain = _state_column(KEY).eq(_column(KEY, "dub_keyed"))
        return plain if plain == exact else exp.and_(plain, exact)

    def _exactly_equal(self, column: str) -> Expression:
        ours, theirs = self._state_or_null(column), _column(column, "dub_keyed")
        return exp.EQ(this=self.dialect.exactly(ours), expression=self.dialect.exactly(theirs))

    def _equal(self, column: str) -> Expression:
        """Return the condition that both are the same or both are NULL; it may itself be NULL instead of false."""
        both_null = [one.is_(exp.Null()) for one in (self._state_or_null(column), _column(column, "dub_keyed"))]
        return exp.or_(self._exactly_equal(column), exp.and_(*both_null, copy=False), copy=False)

    def _state_or_null(self, column: str) -> Expression:
        is_missing = self.known is not None and column in self.known.missing_columns
        return self.dialect.as_text(exp.Null()) if is_missing else _state_column(column)


def _state_column(name: str) -> Expression:
    return _column(name, "dub_state")


def _column(name: str, table: str | None = None) -> Expression:
    return exp.column(name, table=table)
