"""Customer rows that Airflow cannot show.

Airflow stores the rendered template fields of every task in its database and shows them in the UI, and it renders
every text inside a list or dict as a template. Customer rows must not be in the one and not be changed by the other,
so they travel through the template field inside an object that is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import is_not
from typing import Any

from airflow_provider_dub.operators.templated import is_reference, is_template
from airflow_provider_dub.sync.inputs import is_file
from airflow_provider_dub.sync.shown import counted

#: How the text of rows begins.
_LIKE_ROWS = re.compile(r"\s*[\[({]")


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


def mask_rows(customers: Any, *, is_rendered: bool = False) -> Any:
    """Mask rows; leave what Airflow still has to resolve (XComArgs, templates) and the names of files.

    A template that became the text of rows is masked, too, and so is what stands beside an XComArg in a list or a row.

    :param customers: The input as it was given, or as Airflow has resolved it.
    :param is_rendered: Whether it has; marks of a template in text that looks like rows are part of a value then.
    """
    if is_reference(customers) or isinstance(customers, MaskedRows) or _names_files(customers, is_rendered):
        return customers
    if not _holds_reference(customers):
        return MaskedRows(_bare(customers))
    parts = _parts(customers)
    if isinstance(customers, Mapping):
        return _with_parts(customers, (part if is_reference(part) else MaskedRows(part) for part in parts))
    return _with_parts(customers, map(mask_rows, parts))


def _holds_reference(customers: Any) -> bool:
    """Return whether Airflow still has to resolve an input, one of several, or a cell."""
    return is_reference(customers) or any(map(_holds_reference, _parts(customers)))


def _bare(customers: Any) -> Any:
    """Return what Airflow has resolved, without the masks of what stood beside it."""
    if not (parts := _parts(customers)):
        return unmasked(customers)
    bare = [*map(_bare, parts)]
    return _with_parts(customers, bare) if any(map(is_not, bare, parts)) else customers


def _with_parts(customers: Any, parts: Iterable[Any]) -> Any:
    if isinstance(customers, Mapping):
        return dict(zip(customers, parts, strict=True))
    return list(parts) if isinstance(customers, list) else tuple(parts)


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


def _parts(customers: Any) -> Sequence[Any]:
    if isinstance(customers, Mapping):
        return [*customers.values()]
    return customers if isinstance(customers, list | tuple) else ()


def _names_files(customers: Any, is_rendered: bool) -> bool:
    """Return whether this is a file, or a template that may become one."""
    if isinstance(customers, list | tuple):
        return bool(customers) and all(isinstance(part, str) and _names_files(part, is_rendered) for part in customers)
    if is_file(customers):
        return True
    if not isinstance(customers, str) or (is_rendered and _LIKE_ROWS.match(customers)):
        return False
    return is_template(customers) or "{#" in customers  # Airflow renders a comment, too; a flag or a number has none
