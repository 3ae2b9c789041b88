"""The user's query as a part of a statement: its rows as they are and as text, and how many name one customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

import sqlglot
from sqlglot import exp

from airflow_provider_dub.customers.fields import FIELDS
from airflow_provider_dub.warehouse.schema import KEY, Expression

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

_WITH = "with_" if "with_" in exp.Select.arg_types else "with"


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
    :param strip: Whether blanks around a key do not count.
    :param types: How the driver calls the columns' types.
    """

    sql: str
    key_column: str
    columns: Mapping[str, str]
    clears: frozenset[str] = frozenset()
    latest_by: str | None = None
    blanks_clear: bool = False
    strip: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    #: Rows of a query have no order.
    in_order: ClassVar[bool] = False

    @property
    def fields(self) -> Collection[str]:
        """The Dub fields that are sent."""
        return self.columns.values()

    @property
    def latest_wins(self) -> bool:
        """Whether one of several rows for one customer is sent."""
        return self.latest_by is not None

    def cells(self, dialect: Dialect) -> list[str]:
        """Return the columns of ``dub_keyed`` that stand for a row's cells: the key's, then the fields'.

        They are as the query has them; of those that are text anyway, what is compared.

        :param dialect: The engine.
        """
        compared = [KEY, *(FIELDS[name].column for name in self.columns.values())]
        return [
            as_text if self.types.get(column) in dialect.text_types else f"raw_{n}"
            for n, (column, as_text) in enumerate(zip((self.key_column, *self.columns), compared, strict=True))
        ]

    def ctes(self, dialect: Dialect, *, unique: bool = False) -> dict[str, Expression]:
        """Return the common table expressions of a statement, by name.

        The last is ``dub_keyed``: the cells, the key as text, what is compared, as text, ``copies``, how many
        rows name the same customer, and with ``latest_wins`` the row's ``place`` among them.

        :param dialect: The engine.
        :param unique: Each customer is taken to be named by one row, and ``copies`` is 1.
        """
        return {"dub_source": source_query(self.sql, dialect), "dub_keyed": self._keyed(dialect, unique)}

    def _keyed(self, dialect: Dialect, unique: bool) -> exp.Select:
        """Return the source's rows as they are and as text, and how many of them name the same customer."""
        key = self._key(dialect)
        timestamps = self._timestamps(dialect)
        raw = [
            (self._text(name, dialect) if name in timestamps else _source_column(name)).as_(cell)
            for name, cell in zip((self.key_column, *self.columns), self.cells(dialect), strict=True)
            if cell.startswith("raw_")
        ]
        same_customer = dialect.exactly(key)
        copies = copies_of(same_customer, unique=unique)
        query = exp.select(*raw, key.as_(KEY), *self._compared(dialect), copies).from_("dub_source")
        if self.latest_by is None:
            return query
        # Of several with the latest value it is the same one in every run, whatever the columns' collations.
        ties = (dialect.exactly(self._text(name, dialect)) for name in self.columns)
        latest_first = [_source_column(self.latest_by), *ties]
        return query.select(place_of(same_customer, latest_first))

    def _key(self, dialect: Dialect) -> Expression:
        """Return the key as text, and NULL for one of blanks, which names no customer."""
        text = self._text(self.key_column, dialect)
        stripped = exp.Trim(this=text.copy())
        return exp.Case().when(stripped.eq(""), exp.Null()).else_(stripped if self.strip else text)

    def _timestamps(self, dialect: Dialect) -> list[str]:
        """Return the columns of timestamps, if the engine's text of them can be read."""
        timestamps = (column for column, name in self.columns.items() if FIELDS[name].server_type == "timestamp")
        return [*timestamps] if dialect.reads_timestamps_as_text else []

    def _compared(self, dialect: Dialect) -> list[Expression]:
        """Return the values as text, NULL for a field that is not sent, and which fields an empty cell clears."""
        by_field = {name: column for column, name in self.columns.items()}
        values = [
            (self._text(by_field[name], dialect) if name in by_field else dialect.as_text(exp.Null())).as_(one.column)
            for name, one in FIELDS.items()
        ]
        empty = exp.Literal.string("")
        cleared = [
            exp.Case().when(self._is_empty(by_field[name], dialect), in_list(name)).else_(empty.copy())
            for name in FIELDS
            if name in by_field and name in self.clears
        ]
        return [*values, (exp.Concat(expressions=[*cleared, empty]) if cleared else empty).as_("cleared")]

    def _is_empty(self, column: str, dialect: Dialect) -> Expression:
        is_null = self._text(column, dialect).is_(exp.Null())  # a JSON null has no text
        if not self.blanks_clear:
            return is_null
        return exp.or_(is_null, exp.Trim(this=self._text(column, dialect)).eq(""))

    def _text(self, column: str, dialect: Dialect) -> Expression:
        return dialect.as_text(_source_column(column), self.types.get(column))


def copies_of(same_customer: Expression, *, unique: bool) -> Expression:
    """Return the number of rows that name the same customer.

    :param same_customer: Is equal for them.
    :param unique: It is taken to be 1: to count them, an engine sorts all rows.
    """
    if unique:
        return exp.Literal.number(1).as_("copies")
    return exp.Window(this=exp.Count(this=exp.Star()), partition_by=[same_customer.copy()]).as_("copies")


def place_of(same_customer: Expression, latest_first: Collection[Expression]) -> Expression:
    """Return the place of a row among those that name the same customer: 1 is sent.

    :param same_customer: Is equal for them.
    :param latest_first: The row with the greatest of these values is the first.
    """
    order = exp.Order(expressions=[exp.Ordered(this=one, desc=True, nulls_first=False) for one in latest_first])
    return exp.Window(this=exp.RowNumber(), partition_by=[same_customer.copy()], order=order).as_("place")


def in_list(field: str) -> Expression:
    """Return a field's name as it stands in a list of them, followed by a blank."""
    return exp.Literal.string(f"{field} ")


def source_query(sql: str, dialect: Dialect) -> Expression:
    """Return the user's query, put in as it is; the line breaks end a comment of its last line."""
    as_it_is = exp.Table(this=exp.Var(this=f"(\n{without_end(sql, dialect)}\n)"))
    return exp.select("*").from_(as_it_is.as_("dub_query"))


def without_end(sql: str, dialect: Dialect) -> str:
    """Return the query without semicolons at its end, and without comments after them."""
    try:
        tokens = sqlglot.tokenize(sql, read=dialect.name)
    except sqlglot.errors.SqlglotError:  # the database's own message is better
        return sql
    ends = [*takewhile(lambda token: token.token_type is sqlglot.TokenType.SEMICOLON, reversed(tokens))]
    return sql[: ends[-1].start] if ends else sql


def with_ctes(query: exp.Select, ctes: Mapping[str, Expression]) -> exp.Select:
    """Return the query with common table expressions in front, by name."""
    named = [exp.CTE(this=cte, alias=exp.TableAlias(this=exp.to_identifier(name))) for name, cte in ctes.items()]
    query.set(_WITH, exp.With(expressions=named))
    return query


def columns_query(sql: str, dialect: Dialect) -> str:
    """Return the query that has the user's columns and none of the rows."""
    none = exp.select("*").from_("dub_source").where("1 = 0")
    return dialect.to_sql(with_ctes(none, {"dub_source": source_query(sql, dialect)}))


def _source_column(name: str) -> Expression:
    return exp.column(exp.to_identifier(name, quoted=True), table="dub_source")
