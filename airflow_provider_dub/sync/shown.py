"""What may stand in a log line, an error or a summary, and how: one line each, and no person's address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from airflow_provider_dub.customers.ids import DUB_PREFIX, EXTERNAL_PREFIX

_NAMES_SHOWN = 30
_LONGEST_NAME = 64
_MANY_DIGITS = 6
#: The ``@``, its full and its small width.
_AT = "@\uff20\ufe6b"
#: One of them between other characters, or percent-encoded; also with blanks around it, as people mistype it.
_EMAIL = re.compile(rf"[^{_AT}\s]\s*([{_AT}]|%40)\s*[^{_AT}\s]")
#: A user and a password in front of the host of a URI.
_PASSWORD = re.compile(r"(?<=//)[^/]*:[^/]*@")
_BETWEEN_DIGITS = r"\s./()\u2010-\u2015-"
#: A phone number as people write it: with its country after ``+``, or its digits in groups.
_PHONE = re.compile(rf"\+[{_BETWEEN_DIGITS}]*\d[\d{_BETWEEN_DIGITS}]*|^[\d{_BETWEEN_DIGITS}]+$")
_PHONE_DIGITS = range(7, 16)
#: Without groups, as many as a number with its area has. Ids that count have fewer, those of machines have more.
_BARE_PHONE_DIGITS = range(10, 16)


def one_line(text: object) -> str:
    """Return text without line breaks and other characters that could forge a log line; each stands as its escape.

    :param text: A column's name, a key, or another object that is shown by its text.
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text))


def path_shown(path: object) -> str:
    """Return a path or URI without a password or a signature.

    :param path: A path or URI.
    """
    text = str(path)
    return one_line(_PASSWORD.sub("***@", text.partition("?")[0]) if "://" in text else text)


def listed(names: Iterable[Any], among: Iterable[Any] = ()) -> str:
    """Return the names of columns in a phrase: the first ones, and none that looks like data.

    A file without a header has the first customer in place of the names: where one is an address, none is shown.

    :param names: Names of columns.
    :param among: All names, if these are some of them.
    """
    every = list(names)
    has_address = any(map(_has_address, (*every, *among)))
    first = [
        "(not shown)" if has_address or _looks_like_data(name) else one_line(name) for name in every[:_NAMES_SHOWN]
    ]
    shown = ", ".join(f'"{name}"' for name in first)
    more = len(every) - _NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown or "no columns at all"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as a person would write it: ``1 row``, ``1,500 rows``.

    :param number: The number.
    :param noun: The noun in the singular.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a time as a person would write it: ``30 s``, ``16 min 30 s``, ``5 h 33 min``.

    :param seconds: The time.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def _looks_like_data(name: object) -> bool:
    text = str(name)
    return (
        len(text) > _LONGEST_NAME
        or text.startswith((DUB_PREFIX, EXTERNAL_PREFIX))
        or sum(letter.isdigit() for letter in text) >= _MANY_DIGITS
    )


def _has_address(name: object) -> bool:
    return any(part in str(name) for part in (*_AT, "://"))


def shown_key(key: str | None, show_keys: bool | None = None) -> str | None:
    """Return a customer's key as it may be shown, on one line; None if it may not.

    :param key: The key; None if the row has none.
    :param show_keys: None masks keys that look like an e-mail address or a phone number, True shows all of them, False
        none.
    """
    if key is None or show_keys is False:
        return None
    return one_line(key if show_keys else _masked(key))


def _masked(key: str) -> str:
    prefix = EXTERNAL_PREFIX if key.startswith(EXTERNAL_PREFIX) else ""
    bare = key.removeprefix(prefix)
    if _EMAIL.search(bare):
        return f"{prefix}{bare[0]}***@***"
    if _is_phone(bare):
        return f"{prefix}***{bare[-2:]}"
    return key


def _is_phone(key: str) -> bool:
    key = key.strip("' ").removeprefix("tel:")  # as spreadsheets and links write it
    digits = sum(letter.isdigit() for letter in key)
    if key.isdigit():
        return digits in _BARE_PHONE_DIGITS
    return digits in _PHONE_DIGITS and _PHONE.search(key) is not None
