"""The export of customers as CSV, the one way to see the id of a customer without external id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: The columns beside those of a customer.
COLUMNS_OF_THE_LINK = ("link", "partnerId", "partnerName", "partnerEmail", "partnerTenantId")
#: With more rows than these, Dub sends the file by e-mail.
MAX_ROWS = 1000

# Spreadsheets take what starts with these for a formula.
_START_OF_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header, as Dub writes it.

    :param columns: The columns, in order.
    :param rows: The values by column; None is an empty cell.
    """
    lines = [",".join(_cell(row.get(column)) for column in columns) for row in rows]
    # The library beneath Dub takes the header from the rows.
    return "\n".join([",".join(columns) if lines else "", *(lines or [""])])


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and text.startswith(_START_OF_A_FORMULA):
        text = f"'{text}"
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
