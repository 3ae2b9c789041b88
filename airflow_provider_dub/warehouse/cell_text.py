"""Cells of a query that is read elsewhere, as text: the same value gives the same text in every run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from numbers import Integral, Real
from typing import Any
from uuid import UUID

from airflow_provider_dub.customers.converters import is_exact, is_missing, plain_int

#: Kinds of values that sort among themselves.
NUMBER, TIMESTAMP, DATE, TEXT = "a number", "a timestamp", "a date", "text"
#: Numbers with more digits before the point than this are written with an exponent.
_WRITTEN_OUT = 200
#: More than any exponent of a decimal number that a database has.
_MOST_DIGITS = 500_000
#: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NINES_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def text_of(cell: object) -> str | None:
    """Return a cell as text, None if it is missing.

    :param cell: A cell as the driver gives it.
    :raises ValueError: It has no text that is the same in every run.
    """
    if type(cell) is str:
        return cell if cell.isascii() and "\0" not in cell else _storable(cell)
    if type(cell) is int:
        return str(cell)
    return None if is_missing(cell) else _text(cell)


def sortable(cell: object) -> tuple[str, str] | None:
    """Return a value's kind, and a text that sorts, byte by byte, as values of this kind do; None if it is missing.

    :param cell: A cell as the driver gives it.
    :raises ValueError: It is of a kind that has no order here.
    """
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        return TEXT, _storable(str.__str__(cell))
    if isinstance(cell, Real | Decimal):
        return NUMBER, _sortable_number(cell)
    if isinstance(cell, datetime):
        return TIMESTAMP, _in_utc(cell)
    if isinstance(cell, date):
        return DATE, cell.isoformat()
    raise ValueError(f"holds {type(cell).__name__}, which cannot be ordered: cast it in the query")


def _storable(text: str) -> str:
    """Return text without the characters that databases refuse; a row that has one is rejected before it is sent."""
    return text.encode("unicode_escape").decode() if _UNSTORABLE.search(text) else text


def _text(cell: Any) -> str:
    for of, text in _TEXTS:
        if isinstance(cell, of):
            return text(cell)
    kinds = type(cell).__mro__[:-1]
    if not any("__str__" in vars(kind) or "__repr__" in vars(kind) for kind in kinds):  # it would be its address
        raise ValueError(f"holds {type(cell).__name__}, which has no text of its own: cast it to text in the query")
    return _storable(str(cell))


def _real(cell: Any) -> str:
    number = float(cell)
    return str(int(number)) if number.is_integer() and is_exact(number) else repr(number)


def _plain(value: Any) -> Any:
    """Return what JSON can write."""
    if isinstance(value, dict):
        return {str(text_of(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, map(text_of, value)))
    return value if value is None or isinstance(value, bool | int) else text_of(value)


def _in_utc(at: datetime) -> str:
    try:
        utc = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    except OverflowError:  # of a time zone at the end of the calendar
        return at.isoformat()
    return utc.isoformat(" ", "microseconds")


def _decimal(number: Decimal) -> str:
    if not number.is_finite():
        return str(number)
    if not number:
        return "0"
    if abs(number.adjusted()) > _WRITTEN_OUT:
        return str(number.normalize())
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sortable_number(number: Any) -> str:
    if isinstance(number, Integral):
        number = plain_int(number)
    exact = number if isinstance(number, Decimal) else Decimal(number)
    if not exact:
        return "2"
    if exact.is_infinite():
        return "0" if exact < 0 else "4"
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0")
    if exact > 0:
        return f"3{exact.adjusted() + _MOST_DIGITS:07d}{digits}"
    # The greater the number without its sign, the earlier; "~" sorts after every digit.
    return f"1{_MOST_DIGITS - exact.adjusted():07d}{digits.translate(_NINES_COMPLEMENT)}~"


#: The texts of what databases hold, of the narrower kind first.
_TEXTS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, lambda cell: _storable(str.__str__(cell))),
    (bool, lambda cell: "true" if cell else "false"),
    (Integral, lambda cell: str(plain_int(cell))),
    (Decimal, _decimal),
    (Real, _real),
    (datetime, _in_utc),
    ((date, time), lambda cell: cell.isoformat()),
    ((bytes, bytearray, memoryview), lambda cell: bytes(cell).hex()),
    ((dict, list, tuple, set, frozenset), lambda cell: json.dumps(_plain(cell), sort_keys=True)),
    ((UUID, timedelta, Enum, IPv4Address, IPv6Address), lambda cell: _storable(str(cell))),
)
