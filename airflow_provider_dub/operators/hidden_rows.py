"""Customer rows that Airflow cannot show.

Airflow stores the rendered template fields of every task in its database and shows them in the UI, and it renders
every text inside a list or dict as a template. Customer rows must not be in the one and not be changed by the other,
so they travel through the template field inside an object that is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class HiddenRows:
    """An input, out of sight.

    :param rows: The input as it was given; a ``map_index_template`` reaches it as ``task.customers.rows``.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def serialize(self) -> str:
        """Return what Airflow may show."""
        rows = [self.rows] if isinstance(self.rows, Mapping) else self.rows
        count = f"{len(rows)} rows" if hasattr(rows, "__len__") else "rows"
        return f"<{type(self.rows).__name__}: {count}, values hidden>"

    __repr__ = __str__ = serialize


def hide_rows(customers: Any) -> Any:
    """Wrap rows; leave alone what Airflow still has to resolve: XComArgs, a few of them together, or a template."""
    to_resolve = _is_reference(customers) or any(map(_is_reference, _parts(customers)))
    return customers if to_resolve or isinstance(customers, HiddenRows | str) else HiddenRows(customers)


def _is_reference(value: Any) -> bool:
    return hasattr(type(value), "iter_references")


def _parts(customers: Any) -> Iterable[Any]:
    if isinstance(customers, Mapping):
        return customers.values()
    return customers if isinstance(customers, list | tuple) else ()
