"""One cell of a row becomes the text that Dub stores, or is rejected with a reason that never quotes it.

Of a country alone the reason names the code that is meant, so that a mapping can be written.

Source of the limits and patterns: Dub's server, measured in August 2026.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any
from uuid import UUID

from airflow_provider_dub.customers.countries import country_code_meant, country_codes

#: Code points that Dub's text columns hold.
MAX_LENGTH = 191
#: From here on floats may not hold neighbouring whole numbers apart: a database writes 15 digits of one of 64 bits.
_INEXACT_FROM = {"float16": 2**11, "float32": 2**24, "float": 10**15, "float64": 10**15}
_EMAIL = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}")
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
#: The URLs that Dub fetches. It accepts others, too, and clears the avatar a moment after its response. Source of the
#: second form: Dub's public code.
FETCHABLE_AVATAR = re.compile(f"(?i:https?:).*|data:image/[a-zA-Z0-9.+-]+;base64,{_BASE64}", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?([eE][+-]?\d{1,3})?", re.ASCII)
#: How BigQuery and others write UTC.
_IN_UTC = re.compile(r"(?<=\d)( ?UTC| ?Z)$", re.IGNORECASE)
#: ISO 8601 without separators: ``20260301``.
_DIGITS_OF_A_DATE = 8
#: Units in a second, from coarse to fine. Numbers of the years 2000 to 2100 are of one unit alone.
_EPOCH_UNITS = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_START = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_EPOCH_END = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp())

_OUTSIDE = "is a timestamp outside the calendar"
#: What psycopg2 and DuckDB make of the timestamps ``infinity`` and ``-infinity``.
_INFINITE = (datetime.max, datetime.min)

#: Characters without width that copied text brings along; ``str.strip`` takes none of them for a blank.
ZERO_WIDTH = "\u200b\u2060\ufeff"
_BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000" + ZERO_WIDTH
)


def stripped(value: str) -> str:
    """Return text without the blanks around it: white space of any kind, and characters without width."""
    return value.strip(_BLANKS)


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

    :raises ValueError: It is not text, is too long for Dub, or cannot be written as UTF-8.
    """
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {type(value).__name__}: make it text, in a query by CAST(x AS TEXT)")
    exact = str.__str__(value)
    if max_length is not None and len(exact) > max_length:
        raise ValueError(f"is longer than the {max_length} characters that Dub stores")
    if "\0" in exact:
        raise ValueError("holds the character NUL (U+0000), which databases cannot keep")
    if not exact.isascii():
        try:
            exact.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is not valid text") from None
    return exact


def identifier(value: object) -> str:
    """Return an id as text: text as it is, whole numbers and UUIDs as they are usually written.

    :raises ValueError: It is none of these, or a float so large that it may already be another id.
    """
    if isinstance(value, str):
        return text(value)
    if _is_bool(value):
        raise ValueError("must be an id, not a bool")
    if isinstance(value, UUID):
        return str(value)
    return text(_digits(value))


def _digits(value: object) -> str:
    number: int | None = None
    if isinstance(value, Integral):
        number = plain_int(value)
    elif isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() < MAX_LENGTH and value == value.to_integral_value():
            number = int(value)
    elif type(value).__name__ in _INEXACT_FROM:
        number = _whole(value)  # type: ignore[arg-type]
    if number is None:
        raise ValueError(f"must be text, a whole number or a UUID, not {type(value).__name__} as it is here")
    if abs(number) >= 10**MAX_LENGTH:
        raise ValueError(f"is longer than the {MAX_LENGTH} characters that Dub stores")
    return str(number)


def plain_int(value: Any) -> int:
    """Return an integer of any library as Python's.

    :raises ValueError: It is a span of time, which numpy calls an integer.
    """
    if type(value).__name__ == "timedelta64":
        raise ValueError("holds a span of time (timedelta64), which is not a number: cast it in the query")
    return int(value)


def is_exact(value: float) -> bool:
    """Return whether a float is small enough for its kind to hold neighbouring whole numbers apart."""
    return bool(abs(value) < _INEXACT_FROM.get(type(value).__name__, 0))


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
        raise ValueError("is not an e-mail address that Dub accepts")
    return address


def avatar(value: object) -> str:
    """Return the URL of a picture, of any length.

    :raises ValueError: A browser would not parse it as an absolute URL, or Dub could not fetch it.
    """
    from pydantic_core import Url, ValidationError

    url = text(value, max_length=None)
    try:
        Url(url)
    except ValidationError:
        raise ValueError("is not an absolute URL") from None
    if not FETCHABLE_AVATAR.fullmatch(url):
        raise ValueError(
            "is a URL that Dub cannot fetch, so that it would clear the avatar: give an http or https URL, or "
            "data:image/...;base64,... in lower case, padded and without line breaks"
        )
    return url


def country(value: object) -> str:
    """Return an ISO 3166-1 alpha-2 code in upper case.

    :raises ValueError: It is none; the reason names the code that is meant, where the value is another one or a name.
    """
    written = text(value)
    if written.isascii() and (code := written.upper()) in country_codes():
        return code
    reason = "is not an ISO 3166-1 alpha-2 country code (two letters)"
    meant = country_code_meant(written)
    raise ValueError(f"{reason}: the code of that country is {meant}" if meant else reason)


def timestamp(value: object) -> str:
    """Return a timestamp as ISO 8601 in UTC with exactly three digits of a second: ``2026-03-01T12:00:00.000Z``.

    :param value: A datetime, date or pandas Timestamp, ISO 8601 text, or an epoch time of the years 2000 to 2100 in
        seconds, milliseconds, microseconds or nanoseconds, as a number or as text. Without a time zone it is in UTC.
    :raises ValueError: It is none of these.
    """
    if type(value).__name__ == "datetime64":
        value = datetime_of_numpy(value)
    if isinstance(value, str):
        value = _datetime_of_text(value)
    elif _is_number(value):
        value = _datetime_of_epoch(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    elif type(value) is datetime and value.replace(tzinfo=None) in _INFINITE:
        raise ValueError(f"{_OUTSIDE}, or infinity, as some drivers return it")
    if not isinstance(value, datetime):
        raise ValueError(f"must be a date, a datetime, ISO 8601 text or an epoch time, not {type(value).__name__}")
    try:
        utc = value.astimezone(UTC) if value.tzinfo else value
        sent = utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    except (OverflowError, ValueError):  # pandas has years that datetime lacks
        raise ValueError(_OUTSIDE) from None
    if len(sent) != len("2026-03-01T12:00:00.000Z"):
        raise ValueError(_OUTSIDE)
    return sent


def datetime_of_numpy(value: Any) -> datetime:
    """Return the datetime of a ``datetime64``; numpy itself would turn one that is too large into another.

    :param value: The ``datetime64``.
    :raises ValueError: It is outside the calendar.
    """
    with suppress(OverflowError):  # of units so small that all their years are near 1970
        year = int(value.astype("datetime64[Y]").astype("int64")) + _EPOCH.year
        if not MINYEAR <= year <= MAXYEAR:
            raise ValueError(_OUTSIDE)
    converted: datetime = value.astype("datetime64[us]").item()
    return converted


def _is_number(value: object) -> bool:
    return isinstance(value, Real | Decimal) and not _is_bool(value)


def _is_bool(value: object) -> bool:
    """Return whether a cell is a bool of Python or of numpy, which calls it ``bool_`` in its older versions."""
    return type(value).__name__ in ("bool", "bool_")


def _datetime_of_text(value: str) -> datetime:
    if _NUMBER.fullmatch(value) and not (len(value) == _DIGITS_OF_A_DATE and value.isdigit()):
        return _datetime_of_epoch(Decimal(value))
    try:
        return datetime.fromisoformat(_IN_UTC.sub("+00:00", value))
    except ValueError:
        raise ValueError("is not an ISO 8601 timestamp") from None


def _datetime_of_epoch(value: Any) -> datetime:
    """Return the datetime of an epoch time, whose unit follows from its magnitude."""
    kind = type(value).__name__
    if kind in ("float16", "float32"):
        raise ValueError(f"is a {kind}, which is too coarse for an epoch time: read the column as another type")
    if isinstance(value, Integral):
        value = plain_int(value)
    elif isinstance(value, float):
        value = Decimal(repr(float(value)))  # 0.1 is a tenth, rather than what a float makes of it
    if not isinstance(value, Decimal) or value.is_finite():
        for units in _EPOCH_UNITS:
            if _EPOCH_START * units <= value < _EPOCH_END * units:
                return _EPOCH + timedelta(milliseconds=int(value * 1000) // units)
    raise ValueError(
        f"is a number, but not an epoch time of the years 2000 to 2100 in {', '.join(_EPOCH_UNITS.values())}"
    )
