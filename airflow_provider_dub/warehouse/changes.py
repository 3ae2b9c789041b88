"""What a run learns from the warehouse: how many rows of each status there are, and the rows that are to be sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_dub.customers.fields import field_named, fields_by_column
from airflow_provider_dub.sync.shown import presentable
from airflow_provider_dub.warehouse.difference import Difference, Status, column_names
from airflow_provider_dub.warehouse.rows import WarehouseRows
from airflow_provider_dub.warehouse.spool import Spool

if TYPE_CHECKING:
    from airflow_provider_dub.warehouse.connection import Warehouse
    from airflow_provider_dub.warehouse.dialects import Dialect


@dataclass(frozen=True)
class Columns:
    """The columns of a query that a sync uses, as the engine spells them.

    :param key: Holds the customer's id.
    :param fields: Column to Dub field.
    :param latest_by: Tells which of several rows for one customer is the last.
    :param names: What the user calls the columns of fields, in the same order: as in ``columns``, or Dub's name.
    :param ignored: The other columns.
    """

    key: str
    fields: Mapping[str, str]
    latest_by: str | None
    names: Sequence[str]
    ignored: Sequence[str]

    @classmethod
    def of_query(
        cls, found: Sequence[str], key: str, columns: Mapping[str, str] | None, latest_by: str | None
    ) -> Columns:
        """Find the columns; upper and lower case are the same, as most engines have it.

        :param found: The query's columns.
        :param key: The column of the ids.
        :param columns: Column to Dub field; by default every column that is named like one.
        :param latest_by: The column that tells which row is the last.
        :raises ValueError: A column is missing, there twice, or meant for a field that Dub does not have.
        """
        key_column = _find(found, key)
        if columns is None:
            others = [name for name in found if name != key_column]
            fields = {name.lower(): field.name for name, field in fields_by_column().items()}
            named = {name: fields[name.lower()] for name in others if name.lower() in fields}
            names = [*named.values()]
        else:
            named = {_find(found, column): _field(field) for column, field in columns.items()}
            names = [*columns]
        if len(set(named.values())) < len(names):
            raise ValueError("Two columns of the query mean the same Dub field: name one of them in columns.")
        last = None if latest_by is None else _find(found, latest_by)
        ignored = [name for name in found if name not in (key_column, last, *named)]
        return cls(key_column, named, last, names, ignored)


def _find(found: Sequence[str], wanted: str) -> str:
    matching = [name for name in found if name == wanted] or [name for name in found if name.lower() == wanted.lower()]
    if len(matching) != 1:
        raise ValueError(
            f'The query has {len(matching)} columns "{wanted}"; it must have one. '
            f"It has: {', '.join(presentable(found))}. "
            "The column of the ids is named by id_column (cus_... or ext_...) or external_id_column (your own ids)."
        )
    return matching[0]


def _field(name: str) -> str:
    field = field_named(name)
    if field is None:
        raise ValueError(f'columns: "{name}" is no Dub field.')
    return field.name


class Count(NamedTuple):
    """How many rows there are of a status.

    :param rows: All of them.
    :param with_dub_id: Those whose Dub id the state table has.
    """

    rows: int
    with_dub_id: int


@dataclass(frozen=True)
class Changes:
    """The difference between a query and the state table.

    :param warehouse: Where both are.
    :param difference: Writes the queries.
    :param parameters: Of the user's query.
    """

    warehouse: Warehouse
    difference: Difference
    parameters: Any

    def counts(self) -> dict[Status, Count]:
        """Count the rows of the query by status."""
        found = (row for batch in self._batches(self.difference.counts()) for row in batch)
        by_status = {Status(status): Count(int(rows), int(with_dub_id)) for status, rows, with_dub_id in found}
        return {status: by_status.get(status, Count(0, 0)) for status in Status}

    @contextmanager
    def spool(
        self, key_name: str, columns: Columns, statuses: Collection[Status], failed_in: str | None = None
    ) -> Iterator[WarehouseRows]:
        """Read rows out of the warehouse: those that are to be sent, and those that are only to be told.

        :param key_name: What the user calls the column of the ids.
        :param columns: The columns of the query.
        :param statuses: Of the rows to read; without any, the warehouse is not asked.
        :param failed_in: Tell the rows, too, that this run refused or did not find in an earlier try.
        """
        fields = dict(zip(columns.names, columns.fields.values(), strict=True))
        with Spool() as to_send, Spool() as told:
            rows = WarehouseRows(to_send, told, key_name, fields)
            for batch in self._batches(self.difference.rows(statuses)) if statuses else ():
                rows.add(batch)
            if failed_in:
                for batch in self._batches(self.difference.failed()):
                    rows.add_failed(batch, failed_in)
            yield rows

    def _batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        return self.warehouse.batches(sql, self.parameters)


def columns_of(warehouse: Warehouse, dialect: Dialect, sql: str, parameters: Any) -> list[str]:
    """Return the names of the columns of the user's query."""
    return warehouse.columns(column_names(sql, dialect), parameters)
