"""What the server takes for a timestamp, in approximation.

Dub reads dates with chrono 2.7, a parser for natural language, in UTC. The ISO forms are read exactly as chrono does,
oddities included: ``.5`` is five milliseconds, ``.1234`` is 1.234 seconds, and with five digits or more the fraction
is lost together with the zone behind it. A date without a time means noon. Of the other forms these are known here:
dates with slashes or dots (month first), dates with an English month's name and a year, ``now``, ``today``,
``yesterday``, ``tomorrow``, ``3 days ago`` and ``in 3 days``; each may be followed by a time (``8:30``, ``5pm``,
``noon``). Chrono knows many more, such as weekdays; here they are invalid dates.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    r"(?<!\w)(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:T(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,4}))?)?(Z|[+-]\d{2}:?(?:\d{2})?)?)?(?!\w)",
    re.ASCII | re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month_name>{'|'.join(_MONTHS)})[a-z]*\.?"
_DATES = [
    re.compile(rf"\b{form}\b", re.ASCII | re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
        r"(?P<month>\d{1,2})([/.])(?P<day>\d{1,2})\2(?P<year>\d{4})",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -]{_MONTH},?[ -](?P<year>\d{{4}})",
        rf"{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})",
    )
]
_DAYS_AWAY = {"yesterday": -1, "today": 0, "now": 0, "tomorrow": 1}
_NAMED_DAY = re.compile(rf"\b({'|'.join(_DAYS_AWAY)})\b", re.IGNORECASE)
_UNIT = r"(second|minute|hour|day|week)s?"
_INTERVAL = re.compile(rf"\bin (\d+|an?) {_UNIT}\b|\b(\d+|an?) {_UNIT} ago\b", re.ASCII | re.IGNORECASE)
_TIME = re.compile(
    r",?\s+(?:at\s+)?(?:(?P<noon>noon)\b|(?P<hour>\d{1,2})(?!\d)"
    r"(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<millisecond>\d{1,3})\d{0,3})?)?)?"
    r"\s*(?P<half>[ap]m\b)?\s*(?:GMT|UTC|Z)?\s*(?P<zone>[+-]\d{1,2}(?::?\d{2})?)?)(?!\w)",
    re.ASCII | re.IGNORECASE,
)


def read_timestamp(text: str, now: datetime) -> datetime | None:
    """Return the time that a text means, to the millisecond, or None.

    :param text: What a client sent.
    :param now: The present, for what is relative to it.
    """
    try:
        if found := _ISO.search(text):
            return _iso_time(found)
        return _natural_time(text, now)
    except (ValueError, OverflowError):
        return None


def _iso_time(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if hour is None:
        return _with_time_behind(found, datetime(int(year), int(month), int(day), 12, tzinfo=UTC))
    local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
    return local + timedelta(milliseconds=int(fraction or 0)) - _offset(zone)


def _natural_time(text: str, now: datetime) -> datetime | None:
    for form in _DATES:
        if found := form.search(text):
            parts = found.groupdict()
            name = parts.get("month_name")
            month = _MONTHS.index(name.lower()) + 1 if name else int(parts["month"])
            return _with_time_behind(found, datetime(int(parts["year"]), month, int(parts["day"]), 12, tzinfo=UTC))
    if found := _NAMED_DAY.search(text):
        return _with_time_behind(found, now + timedelta(days=_DAYS_AWAY[found[1].lower()]))
    if found := _INTERVAL.search(text):
        count, unit = found[1] or found[3], found[2] or found[4]
        distance = timedelta(**{f"{unit.lower()}s": 1 if count.lower().startswith("a") else int(count)})
        return now + distance if found[1] else now - distance
    return None


def _with_time_behind(found: re.Match[str], date: datetime) -> datetime:
    """Return the date at the time that follows it in the text, if one does."""
    time = _TIME.match(found.string, found.end())
    if time is None:
        return date
    if time["noon"]:
        return date.replace(hour=12, minute=0, second=0, microsecond=0)
    hour, half = int(time["hour"]), (time["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif time["minute"] is None or hour > 23:
        return date
    local = date.replace(hour=hour, minute=int(time["minute"] or 0), second=int(time["second"] or 0))
    return local.replace(microsecond=int(time["millisecond"] or 0) * 1000) - _offset(time["zone"])


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone is ahead of UTC.

    :param zone: A zone such as ``+02:00``, ``-0530``, ``Z``, or nothing.
    """
    found = re.fullmatch(r"([+-])(\d{1,2}):?(\d{2})?:?", zone or "")
    if found is None:
        return timedelta()
    distance = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return distance if found[1] == "+" else -distance
