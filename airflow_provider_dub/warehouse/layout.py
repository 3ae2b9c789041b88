"""The columns of the state table, and how statements about it are put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from airflow_provider_dub.customers.fields import FIELDS

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.dialects import Dialect

#: A part of a statement; sqlglot's classes for it have other names in other versions.
Part: TypeAlias = Any

KEY = "customer_key"
#: The columns of values, by Dub field.
VALUE_COLUMNS = {name: re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name) for name in FIELDS}
#: What decides whether a row is as it was when it was last applied: the values, and the names of the fields that an
#: empty cell cleared.
COMPARED = (*VALUE_COLUMNS.values(), "cleared")
MOMENTS = ("first_applied_at", "last_applied_at", "last_tried_at")
#: What became of the row.
FATE = ("outcome", "code", "message", "dub_id", *MOMENTS, "run")
#: PostgreSQL cuts names after 63 characters, and with them what tells the claim and the index apart.
_LONGEST_NAME = 50
STATE_COLUMNS = (KEY, *COMPARED, *FATE)


def written(statement: Part, dialect: Dialect) -> str:
    """Return a statement as text; its identifiers are quoted, in the case that the engine gives to unquoted ones."""
    return str(normalize_identifiers(statement, dialect=dialect.name).sql(dialect=dialect.name, identify=True))


def table_named(name: str, dialect: Dialect, suffix: str = "") -> exp.Table:
    """Return a table by its name, possibly with schema and database.

    :raises ValueError: It cannot be one.
    """
    table = exp.to_table(name, dialect=dialect.name)
    if not isinstance(table.this, exp.Identifier) or len(table.name) > _LONGEST_NAME or "%" in name:
        raise ValueError(
            f"state_table must be a name of at most {_LONGEST_NAME} characters without %, possibly with schema and "
            f"database before it, not {name!r}."
        )
    table.set("this", exp.to_identifier(table.name + suffix, quoted=table.this.quoted))
    return table


def one_of(column: Part, values: Sequence[str]) -> Part:
    """Return the condition that the column is one of these constants."""
    return column.isin(*(exp.Literal.string(value) for value in values))
