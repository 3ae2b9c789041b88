"""Customer rows that Airflow cannot show.

Airflow stores the rendered template fields of every task in its database and shows them in the UI, and it renders
every text inside a list or dict as a template. Customer rows must not be in the one and not be changed by the other,
so they travel through the template field inside an object that is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_dub.operators.templated import is_reference, is_template
from airflow_provider_dub.sync.inputs import is_file
from airflow_provider_dub.sync.shown import counted

#: How the text of rows begins, and that of a template does not.
_LIKE_ROWS = re.compile(r"\s*([\[(](?!\s*\{[{%#])|\{(?![{%#]))")


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

    A template that became the text of rows is masked, too, and so are rows in a list beside an XComArg.

    :param customers: The input as it was given, or as Airflow has resolved it.
    :raises TypeError: A row has values beside XComArgs, so that it can be neither masked nor resolved as it is.
    """
    if is_reference(customers) or isinstance(customers, MaskedRows) or _names_files(customers):
        return customers
    references = [is_reference(part) for part in _parts(customers)]
    if not any(references):
        return MaskedRows(_with_bare_parts(customers))
    if not isinstance(customers, Mapping):
        return _as_before(customers, map(mask_rows, customers))
    if all(references):
        return customers
    raise TypeError(
        "customers: a row has values beside the output of a task, so that Airflow would show the values and render "
        "them as templates. Let a task put the row together, and pass its output."
    )


def _with_bare_parts(customers: Any) -> Any:
    """Return an input that Airflow has resolved without the masks of its parts."""
    if isinstance(customers, list | tuple) and any(isinstance(part, MaskedRows) for part in customers):
        return _as_before(customers, map(unmasked, customers))
    return customers


def _as_before(customers: Any, parts: Iterable[Any]) -> Any:
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


def _parts(customers: Any) -> Iterable[Any]:
    if isinstance(customers, Mapping):
        return customers.values()
    return customers if isinstance(customers, list | tuple) else ()


def _names_files(customers: Any) -> bool:
    if isinstance(customers, list | tuple):
        return bool(customers) and all(isinstance(part, str) and _names_files(part) for part in customers)
    return is_file(customers) or (isinstance(customers, str) and _will_be_rendered(customers))


def _will_be_rendered(text: str) -> bool:
    # Airflow renders text with a comment alone, too; a flag or a number has none.
    return not _LIKE_ROWS.match(text) and (is_template(text) or "{#" in text)
