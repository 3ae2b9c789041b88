"""The question that a sync asks the warehouse: which rows of the query differ from what was last applied?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from itertools import takewhile
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.warehouse.schema import (
    APPLIED,
    KEY,
    Part,
    compared_columns,
    is_applied,
    one_of,
    table_named,
    written,
)

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

_WITH = "with_" if "with_" in exp.Select.arg_types else "with"


class Status(StrEnum):
    """What the state table says about a row of the query."""

    #: Never seen before.
    NEW = "new"
    #: Its values are others than those that were last sent.
    CHANGED = "changed"
    #: An earlier run ended between sending it and knowing the outcome.
    PENDING = "pending"
    #: It was refused or missing before, and is to be tried again.
    RETRIED = "retried"
    #: As it was, and to be sent again in a full refresh.
    REFRESHED = "refreshed"
    #: It names no customer.
    NO_KEY = "no_key"
    #: As it was when it was last applied.
    UNCHANGED = "unchanged"
    #: As it was when it was refused for good.
    REFUSED = "refused"
    #: As it was when Dub did not know the customer.
    MISSING = "missing"
    #: Another row names the same customer.
    DUPLICATE = "duplicate"
    #: A later row names the same customer.
    SUPERSEDED = "superseded"


#: Of rows that become a request, if their values are right.
UPDATES = (Status.NEW, Status.CHANGED, Status.PENDING, Status.RETRIED, Status.REFRESHED)
TO_SEND = (*UPDATES, Status.NO_KEY)
#: Of rows that the state table has, and that become pending before they are sent.
RECORDED = (Status.CHANGED, Status.RETRIED, Status.REFRESHED)
#: Of rows that failed before and did not change since.
FAILED_BEFORE = (Status.REFUSED, Status.MISSING)
#: Of rows that a baseline may record as applied.
NOT_RECORDED = (*UPDATES, Status.REFUSED, Status.MISSING)
REFUSED = ("failed", "rejected")
_KNOWN = ("first_applied_at", "last_applied_at", "dub_id")
#: The result of the row when it was last tried.
_RESULT = ("outcome", "code", "message", "run")
#: The fields that Dub has as the row has them, a blank behind each; none where Dub's values are not known.
SAME_FIELDS = "same_fields"


@dataclass(frozen=True)
class Source:
    """The user's query, and what its columns mean.

    :param sql: The query as it was given.
    :param key_column: Holds the customer's id.
    :param columns: Column to Dub field.
    :param clears: Dub fields that an empty cell clears.
    :param latest_by: Of several rows for one customer, the one with the greatest value in this column is sent;
        without it, none of them.
    :param blanks_clear: Whether a cell of blanks is empty, too.
    """

    sql: str
    key_column: str
    columns: Mapping[str, str]
    clears: frozenset[str] = frozenset()
    latest_by: str | None = None
    blanks_clear: bool = False


@dataclass(frozen=True)
class KnownState:
    """The state table, and what its outcomes mean for a run.

    :param table: Its name.
    :param retry_rejected: Rows that were refused for good are sent again.
    :param missing_before: Customers that Dub did not know before this timestamp (UTC) are tried again.
    :param attempt: The token of this run: what it has set to pending was applied before, with the values that the
        table has.
    :param full_refresh: All rows are sent, whatever is known of them.
    :param missing_columns: The columns that the table of an older version lacks; nothing is known about them.
    """

    table: str
    retry_rejected: bool
    missing_before: str
    attempt: str = ""
    full_refresh: bool = False
    missing_columns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ChangeQuery:
    """Writes the queries about the difference.

    :param dialect: The engine.
    :param source: The user's query.
    :param known: The state table; without one every row is new.
    :param limit: The number of rows that are sent, the first ones by key.
    """

    dialect: Dialect
    source: Source
    known: KnownState | None = None
    limit: int | None = None

    def counts(self) -> str:
        """Return the query that counts the rows by status, and those of them whose Dub id is known."""
        # A cursor of dicts needs a name for each.
        rows, with_dub_id = exp.Count(this=exp.Star()).as_("rows_of_it"), exp.Count(this=_column("dub_id")).as_("known")
        return self._written(exp.select("status", rows, with_dub_id).from_("dub_classified").group_by("status"))

    def rows(self, statuses: Collection[Status]) -> str:
        """Return the query for the rows with one of these statuses.

        Its columns: the key and the fields as they are, then status, copies, first_applied_at, last_applied_at,
        dub_id, same_fields, the key as text, what is compared, as text, and the last outcome, code, message and run.

        :param statuses: The statuses.
        """
        raw = [f"raw_{n}" for n in range(1 + len(self.source.columns))]
        columns = (*raw, "status", "copies", *_KNOWN, SAME_FIELDS, KEY, *compared_columns(), *_RESULT)
        query = exp.select(*columns).from_("dub_classified").where(one_of(_column("status"), [*statuses]))
        return self._written(query if self.limit is None else query.order_by(self._by_key()))

    def recorded_keys(self) -> Part:
        """Return the query for the keys of the rows that the state table has and that are about to be sent."""
        changing = one_of(_column("status"), RECORDED)
        if self.limit is None:
            return self._with_parts(exp.select(KEY).from_("dub_classified").where(changing))
        first = exp.select(KEY, "status").from_("dub_classified").where(one_of(_column("status"), UPDATES))
        first = first.order_by(self._by_key()).limit(self.limit)
        return self._with_parts(exp.select(KEY).from_(first.subquery("dub_first")).where(changing))

    def _by_key(self) -> Part:
        return exp.Ordered(this=self.dialect.exactly(_column(KEY)), nulls_first=False)

    def _written(self, query: exp.Select) -> str:
        return written(self._with_parts(query), self.dialect)

    def _with_parts(self, query: exp.Select) -> exp.Select:
        parts = {
            "dub_source": source_query(self.source.sql, self.dialect),
            "dub_keyed": self._keyed(),
            "dub_classified": self._classified(),
        }
        return with_parts(query, parts)

    def _keyed(self) -> exp.Select:
        """Return the source's rows as they are and as text, and how many of them name the same customer."""
        source = self.source
        key = self._text(source.key_column)
        same_customer = [self.dialect.exactly(key)]
        raw = [
            (self._text(name) if name in self._timestamps else _source_column(name)).as_(f"raw_{n}")
            for n, name in enumerate((source.key_column, *source.columns))
        ]
        copies = exp.Window(this=exp.Count(this=exp.Star()), partition_by=same_customer).as_("copies")
        query = exp.select(*raw, key.as_(KEY), *self._compared(), copies).from_("dub_source")
        if source.latest_by is None:
            return query
        latest_first = [
            exp.Ordered(this=column, desc=True, nulls_first=False)
            for column in (_source_column(source.latest_by), *map(self._text, source.columns))
        ]
        place = exp.Window(
            this=exp.RowNumber(),
            partition_by=[one.copy() for one in same_customer],
            order=exp.Order(expressions=latest_first),
        )
        return query.select(place.as_("place"))

    @property
    def _timestamps(self) -> list[str]:
        """The columns of timestamps, if the engine's text of them can be read."""
        timestamps = (
            column for column, field in self.source.columns.items() if FIELDS[field].server_type == "timestamp"
        )
        return [*timestamps] if self.dialect.reads_timestamps_as_text else []

    def _compared(self) -> list[Part]:
        """Return the values as text, NULL for a field that is not sent, and which fields an empty cell clears."""
        by_field = {field: column for column, field in self.source.columns.items()}
        values = [
            self.dialect.as_text(_source_column(by_field[name]) if name in by_field else exp.Null()).as_(field.column)
            for name, field in FIELDS.items()
        ]
        empty = exp.Literal.string("")
        cleared = [
            exp.Case().when(self._is_empty(by_field[name]), _in_list(name)).else_(empty.copy())
            for name in FIELDS
            if name in by_field and name in self.source.clears
        ]
        return [*values, (exp.Concat(expressions=[*cleared, empty]) if cleared else empty).as_("cleared")]

    def _classified(self) -> exp.Select:
        query = exp.select("dub_keyed.*").from_("dub_keyed")
        if self.known is None:
            never = [self.dialect.as_text(exp.Null()).as_(name) for name in (*_KNOWN, SAME_FIELDS, *_RESULT)]
            return query.select(self._status([], exp.Literal.string(Status.NEW)).as_("status"), *never)
        state = table_named(self.known.table, self.dialect).as_("dub_state")
        query = query.join(state, on=self._same_key(), join_type="left")
        status = self._status(*self._by_state(self.known)).as_("status")
        same = self._same_fields(self.known).as_(SAME_FIELDS)
        return query.select(status, same, *map(_state_column, (*_KNOWN, *_RESULT)))

    def _same_fields(self, known: KnownState) -> Part:
        """Return the names of the fields that need not be sent, as Dub has applied them in full."""
        empty = exp.Literal.string("")
        if known.full_refresh:
            return empty
        sent = [field for field in FIELDS.values() if field.name in self.source.columns.values()]
        names = [
            exp.Case()
            .when(exp.and_(self._equal(field.column), self._cleared_alike(field.name)), _in_list(field.name))
            .else_(empty.copy())
            for field in sent
        ]
        pending = exp.EQ(this=_state_column("outcome"), expression=exp.Literal.string(Status.PENDING))
        ours = exp.EQ(this=_state_column("code"), expression=exp.Literal.string(known.attempt))
        has_values = exp.or_(is_applied(_state_column), exp.and_(pending, ours))
        return exp.Case().when(has_values, exp.Concat(expressions=[*names, empty.copy()])).else_(empty.copy())

    def _cleared_alike(self, field: str) -> Part:
        """Return the condition that an empty cell clears the field now and did when it was sent, or neither."""
        then, now = (
            self._is_cleared(field, one) for one in (_state_column("cleared"), _column("cleared", "dub_keyed"))
        )
        return exp.EQ(this=then, expression=now)

    def _is_cleared(self, field: str, cleared: Part) -> Part:
        names = exp.Concat(expressions=[exp.Literal.string(" "), cleared])
        place = exp.StrPosition(this=names, substr=exp.Literal.string(f" {field} "))  # LIKE would need a percent sign
        is_named = exp.GT(this=place, expression=exp.Literal.number(0))
        return exp.Case().when(is_named, exp.Literal.number(1)).else_(exp.Literal.number(0))

    def _status(self, known: list[tuple[Part, Status]], otherwise: Part) -> Part:
        several = exp.GT(this=_column("copies", "dub_keyed"), expression=exp.Literal.number(1))
        later = exp.GT(this=_column("place", "dub_keyed"), expression=exp.Literal.number(1))
        twice = (several, Status.DUPLICATE) if self.source.latest_by is None else (later, Status.SUPERSEDED)
        cases = [(_column(KEY, "dub_keyed").is_(exp.Null()), Status.NO_KEY), twice, *known]
        return reduce(lambda case, one: case.when(one[0], exp.Literal.string(one[1])), cases, exp.Case()).else_(
            otherwise
        )

    def _by_state(self, known: KnownState) -> tuple[list[tuple[Part, Status]], Part]:
        same = exp.and_(*map(self._equal, compared_columns()))
        differs = exp.Case().when(same, exp.Literal.number(1)).else_(exp.Literal.number(0))
        outcome = _state_column("outcome")
        since = exp.LT(this=_state_column("last_tried_at"), expression=exp.Literal.string(known.missing_before))
        missing = exp.EQ(this=outcome, expression=exp.Literal.string(Status.MISSING))
        if known.full_refresh:
            return [
                (_state_column(KEY).is_(exp.Null()), Status.NEW),
                (exp.EQ(this=outcome.copy(), expression=exp.Literal.string(Status.PENDING)), Status.PENDING),
                (exp.EQ(this=differs, expression=exp.Literal.number(0)), Status.CHANGED),
            ], exp.Literal.string(Status.REFRESHED)
        return [
            (_state_column(KEY).is_(exp.Null()), Status.NEW),
            (exp.EQ(this=outcome.copy(), expression=exp.Literal.string(Status.PENDING)), Status.PENDING),
            (exp.EQ(this=differs, expression=exp.Literal.number(0)), Status.CHANGED),
            (one_of(outcome, APPLIED), Status.UNCHANGED),
            (one_of(outcome, REFUSED), Status.RETRIED if known.retry_rejected else Status.REFUSED),
            (exp.and_(missing, since), Status.RETRIED),
            (missing.copy(), Status.MISSING),
        ], exp.Literal.string(Status.PENDING)

    def _same_key(self) -> Part:
        # The plain comparison lets the engine use an index or a hash; the exact one decides.
        plain = exp.EQ(this=_state_column(KEY), expression=_column(KEY, "dub_keyed"))
        exact = self._exactly_equal(KEY)
        return plain if plain == exact else exp.and_(plain, exact)

    def _exactly_equal(self, column: str) -> Part:
        ours, theirs = self._known(column), _column(column, "dub_keyed")
        return exp.EQ(this=self.dialect.exactly(ours), expression=self.dialect.exactly(theirs))

    def _equal(self, column: str) -> Part:
        """Return the condition that both are the same or both are NULL; it may itself be NULL instead of false."""
        both_null = [one.is_(exp.Null()) for one in (self._known(column), _column(column, "dub_keyed"))]
        return exp.or_(self._exactly_equal(column), exp.and_(*both_null))

    def _is_empty(self, column: str) -> Part:
        is_null = _source_column(column).is_(exp.Null())
        if not self.source.blanks_clear:
            return is_null
        is_blank = exp.EQ(this=exp.Trim(this=self._text(column)), expression=exp.Literal.string(""))
        return exp.or_(is_null, is_blank)

    def _known(self, column: str) -> Part:
        is_missing = self.known is not None and column in self.known.missing_columns
        return self.dialect.as_text(exp.Null()) if is_missing else _state_column(column)

    def _text(self, column: str) -> Part:
        return self.dialect.as_text(_source_column(column))


def source_query(sql: str, dialect: Dialect) -> Part:
    """Return the user's query, put in as it is; the line breaks end a comment of its last line."""
    as_it_is = exp.Table(this=exp.Var(this=f"(\n{_without_end(sql, dialect)}\n)"))
    return exp.select("*").from_(as_it_is.as_("dub_query"))


def _without_end(sql: str, dialect: Dialect) -> str:
    """Return the query without semicolons at its end, and without comments after them."""
    try:
        tokens = sqlglot.tokenize(sql, read=dialect.name)
    except sqlglot.errors.SqlglotError:  # the database's own message is better
        return sql
    ends = [*takewhile(lambda token: token.token_type is sqlglot.TokenType.SEMICOLON, reversed(tokens))]
    return sql[: ends[-1].start] if ends else sql


def with_parts(query: exp.Select, parts: Mapping[str, Part]) -> exp.Select:
    """Return the query with its parts in front, by name."""
    ctes = [exp.CTE(this=part, alias=exp.TableAlias(this=exp.to_identifier(name))) for name, part in parts.items()]
    query.set(_WITH, exp.With(expressions=ctes))
    return query


def column_names(sql: str, dialect: Dialect) -> str:
    """Return the query that has the user's columns and none of the rows."""
    none = exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(0))
    return written(
        with_parts(exp.select("*").from_("dub_source").where(none), {"dub_source": source_query(sql, dialect)}), dialect
    )


def _source_column(name: str) -> Part:
    return exp.column(exp.to_identifier(name, quoted=True), table="dub_source")


def _state_column(name: str) -> Part:
    return _column(name, "dub_state")


def _column(name: str, table: str | None = None) -> Part:
    return exp.column(name, table=table)


def _in_list(field: str) -> Part:
    return exp.Literal.string(f"{field} ")
