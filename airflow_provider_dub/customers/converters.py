"""One cell of a row becomes the text that Dub stores, or is refused with a reason that never quotes it.

Source of the limits and patterns: Dub's server, measured in August 2026.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from numbers import Integral
from uuid import UUID

from pydantic_core import Url, ValidationError

#: Code points that Dub's text columns hold.
MAX_LENGTH = 191
#: Floats beyond these no longer tell neighbouring whole numbers apart.
_EXACT_UP_TO = {"float16": 2**11, "float32": 2**24, "float": 2**53, "float64": 2**53}
_EMAIL = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")


def is_missing(value: object) -> bool:
    """Return whether a cell is empty: None, NaN, NaT or NA, of Python, numpy, pandas or decimal."""
    if value is None:
        return True
    try:
        return bool(value != value)  # NaN and NaT alone differ from themselves
    except Exception:  # NA has no truth value, and a cell may be any object at all
        return type(value).__name__ == "NAType"


def text(value: object, *, max_length: int | None = MAX_LENGTH) -> str:
    """Return text as it is.

    :raises ValueError: It is no text, too long for Dub, or cannot be written as UTF-8.
    """
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {type(value).__name__}")
    exact = str.__str__(value)
    if max_length is not None and len(exact) > max_length:
        raise ValueError(f"is longer than the {max_length} characters that Dub stores")
    if not exact.isascii():
        try:
            exact.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is no valid text") from None
    return exact


def identifier(value: object) -> str:
    """Return an id as text: text as it is, whole numbers and UUIDs in their usual spelling.

    :raises ValueError: It is none of these, or a float so large that it may already be another id.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        raise ValueError("must be an id, not a bool")
    if isinstance(value, UUID):
        return str(value)
    return text(_digits(value))


def _digits(value: object) -> str:
    number: int | None = None
    if isinstance(value, Integral):
        number = int(value)
    elif isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() < MAX_LENGTH and value == value.to_integral_value():
            number = int(value)
    elif type(value).__name__ in _EXACT_UP_TO:
        number = _whole(value)  # type: ignore[arg-type]
    if number is None:
        raise ValueError(f"must be text, a whole number or a UUID, not {type(value).__name__} as it is here")
    if abs(number) >= 10**MAX_LENGTH:
        raise ValueError(f"is longer than the {MAX_LENGTH} characters that Dub stores")
    return str(number)


def is_exact(value: float) -> bool:
    """Return whether a float is small enough for its kind to tell neighbouring whole numbers apart."""
    return abs(value) <= _EXACT_UP_TO.get(type(value).__name__, 0)


def _whole(value: float) -> int | None:
    if not float(value).is_integer():
        return None
    if not is_exact(value):
        raise ValueError("is a float too large to be exact: the id may already be wrong; read the column as text")
    return int(value)


def email(value: object) -> str:
    """Return an e-mail address that Dub's pattern accepts.

    :raises ValueError: It is none.
    """
    address = text(value)
    if not _EMAIL.fullmatch(address):
        raise ValueError("is no e-mail address that Dub accepts")
    return address


def avatar(value: object) -> str:
    """Return a URL, of any length.

    :raises ValueError: A browser would not parse it as an absolute URL.
    """
    url = text(value, max_length=None)
    try:
        Url(url)
    except ValidationError:
        raise ValueError("is no absolute URL") from None
    return url


def country(value: object) -> str:
    """Return an ISO 3166-1 alpha-2 code in upper case.

    :raises ValueError: It is not two ASCII letters.
    """
    code = text(value)
    if not _COUNTRY.fullmatch(code):
        raise ValueError("is no ISO 3166-1 alpha-2 country code (two letters)")
    return code.upper()


def timestamp(value: object) -> str:
    """Return a timestamp as ISO 8601 in UTC, such as ``2026-03-01T12:00:00.000Z``.

    :param value: A datetime, date or pandas Timestamp, or ISO 8601 text. Without a time zone it is in UTC.
    :raises ValueError: It is none of these.
    """
    if type(value).__name__ == "datetime64":
        value = value.astype("datetime64[us]").item()  # type: ignore[attr-defined]
    if isinstance(value, str):
        value = _parsed(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        raise ValueError(f"must be a date, a datetime or ISO 8601 text, not {type(value).__name__}")
    try:
        utc = value.astimezone(UTC) if value.tzinfo else value
    except OverflowError:
        raise ValueError("is a timestamp outside the calendar") from None
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _parsed(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no ISO 8601 timestamp") from None
