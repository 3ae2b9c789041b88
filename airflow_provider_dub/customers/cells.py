"""What a cell of a row is before it is converted: given, blank or missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from airflow_provider_dub.customers.converters import is_missing, stripped

if TYPE_CHECKING:
    from airflow_provider_dub.customers.fields import Field

#: What a blank is, text that is empty or white space only: a missing value, or a value like others.
BlankPolicy: TypeAlias = Literal["missing", "keep"]

#: In the place of a cell: the row has several columns that mean the same.
GIVEN_TWICE: Final = object()


def prepare_cell(
    cell: object, field: Field | None = None, *, strip: bool = False, blanks: BlankPolicy = "missing"
) -> object:
    """Return a cell as its converter takes it, or None if it is missing.

    :param cell: A cell that the row has.
    :param field: The field that the cell is for; None for the customer's key, which is never blank.
    :param strip: Whether blanks around names and ids are removed, too; around other values they always are.
    :param blanks: What a blank is.
    :raises ValueError: The row has several such cells.
    """
    if cell is GIVEN_TWICE:
        raise ValueError("is given twice, by columns whose names mean the same")
    if not isinstance(cell, str):
        return None if is_missing(cell) else cell
    bare = stripped(cell)
    if not bare and (field is None or blanks == "missing"):
        return None
    return bare if strip or (field is not None and field.strips) else cell
