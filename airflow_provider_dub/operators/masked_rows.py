"""Customer rows that Airflow cannot show.

Airflow stores the rendered template fields of every task in its database and shows them in the UI, and it renders
every text inside a list or dict as a template. Customer rows must not be in the one and not be changed by the other,
so they travel through the template field inside an object that is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dub.operators.templated import is_reference, is_template
from airflow_provider_dub.sync.inputs import is_file
from airflow_provider_dub.sync.shown import counted


class MaskedRows:
    """An input that is masked.

    :param rows: The input as it was given; a ``map_index_template`` reaches it as ``task.customers.rows``.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def serialize(self) -> str:
        """Return what Airflow may show."""
        return f"<{type(self.rows).__name__}: {_size(self.rows)}, values masked>"

    __repr__ = __str__ = serialize


def mask_rows(customers: Any) -> Any:
    """Mask rows; leave what Airflow still has to resolve (XComArgs, templates) and the names of files.

    A template that became the text of rows is masked, too.

    :param customers: The input as it was given, or as Airflow has resolved it.
    """
    to_resolve = is_reference(customers) or any(map(is_reference, _parts(customers)))
    is_shown = to_resolve or isinstance(customers, MaskedRows) or _names_files(customers)
    return customers if is_shown else MaskedRows(customers)


def unmasked(customers: Any) -> Any:
    """Return an input as it was given.

    :param customers: What :func:`mask_rows` returned.
    """
    return customers.rows if isinstance(customers, MaskedRows) else customers


def _size(rows: Any) -> str:
    if isinstance(rows, Mapping):
        return "1 row"
    if isinstance(rows, str):
        return "text"
    try:
        return counted(len(rows), "row")
    except TypeError:  # such as an iterator
        return "rows"


def _parts(customers: Any) -> Iterable[Any]:
    if isinstance(customers, Mapping):
        return customers.values()
    return customers if isinstance(customers, list | tuple) else ()


def _names_files(customers: Any) -> bool:
    if isinstance(customers, list | tuple):
        return bool(customers) and all(isinstance(part, str) and _names_files(part) for part in customers)
    # Airflow renders text with a comment alone, too; a flag or a number has none.
    will_be_rendered = isinstance(customers, str) and (is_template(customers) or "{#" in customers)
    return will_be_rendered or is_file(customers)
