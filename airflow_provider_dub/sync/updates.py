"""Rows become updates: which customer, which fields, and what an empty cell means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_provider_dub.customers.converters import identifier, is_missing
from airflow_provider_dub.customers.fields import FIELDS, Field, field_named, fields_by_column
from airflow_provider_dub.customers.ids import EXTERNAL_PREFIX, is_customer_id
from airflow_provider_dub.sync.rows import ABSENT, Rows

NullPolicy: TypeAlias = Literal["omit", "clear"]

_NAMES_SHOWN = 30
_LONGEST_NAME = 64


class CustomerUpdate(NamedTuple):
    """What one row asks for.

    :param row: Position of the row in the input, from 0.
    :param key: The id as the row gives it.
    :param customer_id: The id as the API takes it: ``cus_…`` or ``ext_…``.
    :param fields: Dub fields and their new values; None clears. May be empty.
    """

    row: int
    key: str
    customer_id: str
    fields: dict[str, str | None]


class RejectedRow(NamedTuple):
    """A row that is not sent, and why; it never holds the value that was refused.

    :param row: Position of the row in the input, from 0.
    :param key: The id as the row gives it, or None where that is what is wrong.
    :param field: The column or Dub field that is wrong.
    :param reason: What is wrong with it.
    :param code: A short name of the kind of reason.
    """

    row: int
    key: str | None
    field: str | None
    reason: str
    code: str = "rejected"


class UpdateReader:
    """Reads rows as updates, one at a time.

    :param rows: The input.
    :param id_column: The column that holds ``cus_…`` or ``ext_…``; not used when ``external_id_column`` is given.
    :param external_id_column: The column that holds bare external ids.
    :param columns: Column to Dub field; by default every column whose name is one (camelCase or snake_case).
    :param null_policy: What an empty cell does: ``"omit"`` the field or ``"clear"`` it; a mapping sets it per field.
    :raises ValueError: A column is missing or named twice, or a policy is impossible.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        id_column: str = "id",
        external_id_column: str | None = None,
        columns: Mapping[str, str] | None = None,
        null_policy: NullPolicy | Mapping[str, NullPolicy] = "omit",
    ) -> None:
        self._rows = rows
        #: Whether the rows can be read more than once.
        self.rereadable = rows.columns is not None
        self._key_column = external_id_column or id_column
        self._prefix = EXTERNAL_PREFIX if external_id_column else ""
        by_column = self._named(columns) if columns is not None else self._recognised()
        self._check_columns([self._key_column, *by_column])
        clears = fields_to_clear(null_policy, list(by_column.values()))
        self._fields = [(field.name, field.convert, field.name in clears) for field in by_column.values()]
        self._wanted = [self._key_column, *by_column]
        #: Columns of the input that are not sent, as far as they are known beforehand.
        self.ignored_columns = presentable(name for name in rows.columns or () if name not in self._wanted)
        #: Whether no column is sent at all, so that every row has nothing to send.
        self.sends_nothing = not by_column

    def __iter__(self) -> Iterator[CustomerUpdate | RejectedRow]:
        """Yield what each row asks for, in order."""
        for row, cells in enumerate(self._rows.cells(self._wanted)):
            yield self._read(row, cells) if cells else RejectedRow(row, None, None, "the row is no mapping")

    def customer_ids(self) -> Iterator[str | None]:
        """Yield the customer that each row names, in order; None where it names none."""
        for cells in self._rows.cells([self._key_column]):
            try:
                yield self._prefix + self._key(cells[0])
            except (ValueError, IndexError):
                yield None

    def _read(self, row: int, cells: tuple[Any, ...]) -> CustomerUpdate | RejectedRow:
        try:
            key = self._key(cells[0])
        except ValueError as reason:
            return RejectedRow(row, None, self._key_column, str(reason))
        fields: dict[str, str | None] = {}
        for (name, convert, clears), cell in zip(self._fields, cells[1:], strict=True):
            if cell is ABSENT:
                continue
            if type(cell) is not str and is_missing(cell):
                if clears:
                    fields[name] = None
                continue
            if name in fields:
                return RejectedRow(row, key, name, "is given twice, in camelCase and in snake_case")
            try:
                fields[name] = convert(cell)
            except ValueError as reason:
                return RejectedRow(row, key, name, str(reason))
        return CustomerUpdate(row, key, self._prefix + key, fields)

    def _key(self, cell: object) -> str:
        if cell is ABSENT or is_missing(cell):
            raise ValueError("the customer's id is missing")
        key = identifier(cell)
        if not (self._prefix or is_customer_id(key)):
            raise ValueError(
                "is no Dub id (cus_...) and has no ext_ in front; ids of your own belong in external_id_column"
            )
        return key

    def _recognised(self) -> dict[str, Field]:
        if self._rows.columns is None:
            return {name: field for name, field in fields_by_column().items() if name != self._key_column}
        found = {name: field_named(name) for name in self._rows.columns if name != self._key_column}
        return _one_column_each({name: field for name, field in found.items() if field})

    def _named(self, columns: Mapping[str, str]) -> dict[str, Field]:
        if not isinstance(columns, Mapping):
            raise ValueError('columns must be a mapping from column to Dub field, such as {"mail": "email"}.')
        found = {column: field_named(name) for column, name in columns.items()}
        if unknown := [columns[column] for column, field in found.items() if field is None]:
            raise ValueError(f"columns: {_list(unknown)} is no Dub field; those are {_list(FIELDS)}.")
        return _one_column_each({column: field for column, field in found.items() if field})

    def _check_columns(self, needed: list[str]) -> None:
        present = self._rows.columns
        if present is None or not self._rows or not (missing := [name for name in needed if name not in present]):
            return
        raise ValueError(
            f"The input has no column {_list(missing)}. It has {_list(present)}. Name the column of the ids with "
            "id_column (cus_... or ext_...) or external_id_column (your own ids); "
            "a DataFrame's index needs reset_index()."
        )


def _one_column_each(by_column: dict[str, Field]) -> dict[str, Field]:
    first: dict[str, str] = {}
    for column, field in by_column.items():
        if field.name in first:
            raise ValueError(
                f'The columns "{first[field.name]}" and "{column}" both mean the Dub field {field.name}: '
                "name one of them in columns."
            )
        first[field.name] = column
    return by_column


def fields_to_clear(null_policy: NullPolicy | Mapping[str, NullPolicy], fields: list[Field]) -> set[str]:
    """Return the names of the fields that an empty cell clears.

    :param null_policy: One policy for all fields, or one per field.
    :param fields: The fields that are sent.
    :raises ValueError: The policy is impossible.
    """
    policies = dict(null_policy) if isinstance(null_policy, Mapping) else {field.name: null_policy for field in fields}
    clears = set()
    for name, policy in policies.items():
        field = field_named(name)
        if field is None:
            raise ValueError(f'null_policy: "{name}" is no Dub field; those are {_list(FIELDS)}.')
        if policy not in ("omit", "clear"):
            raise ValueError(f'null_policy: "{policy}" is neither "omit" nor "clear".')
        if policy == "clear":
            if not field.nullable:
                raise ValueError(
                    f"null_policy: Dub cannot clear {field.name}. Give a policy per field, such as "
                    '{"name": "clear"}; fields that are not named are omitted.'
                )
            clears.add(field.name)
    return clears


def _list(names: Iterable[Any]) -> str:
    return ", ".join(f'"{name}"' for name in presentable(names)) or "no columns at all"


def presentable(names: Iterable[Any]) -> list[str]:
    """Return the names that may be shown: the first ones, and none that looks like data in the place of a name."""
    shown = [str(name) for name in islice(names, _NAMES_SHOWN)]
    return ["(not shown)" if len(name) > _LONGEST_NAME or "@" in name else name for name in shown]
