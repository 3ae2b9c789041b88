"""Flags and numbers that may come from a template or a trigger form, read strictly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_FLAGS = {"true": True, "1": True, "false": False, "0": False, "none": False, "": False}


def is_template(value: object) -> bool:
    """Return whether Airflow still has to render or resolve a value.

    :param value: An argument of an operator.
    """
    return is_reference(value) or (isinstance(value, str) and ("{{" in value or "{%" in value))


def is_reference(value: object) -> bool:
    """Return whether a value stands for what another task returns, as an XComArg does.

    :param value: An argument of an operator, or a part of one.
    """
    return hasattr(type(value), "iter_references")


def is_none(value: object) -> bool:
    """Return whether an argument is None, or a text that a form or a template has for it.

    :param value: The argument.
    """
    return value is None or (isinstance(value, str) and value.strip().lower() in ("none", ""))


def read_flag(name: str, value: object) -> bool:
    """Return a flag: a bool, 0, 1 or None, or one of these as text, in any case.

    :param name: The argument's name.
    :param value: The argument.
    :raises ValueError: It is anything else.
    """
    flag = _FLAGS.get(str(value).strip().lower()) if isinstance(value, bool | int | str | None) else None
    if flag is None:
        raise ValueError(f"{name} must be true or false, not {_shown(value)}.")
    return flag


def read_number(name: str, value: object) -> int | None:
    """Return a whole number or None, or what such a text says.

    :param name: The argument's name.
    :param value: The argument.
    :raises ValueError: It is anything else.
    """
    if is_none(value):
        return None
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else None
    if text is None or not (text.isascii() and text.removeprefix("-").isdigit()):
        raise ValueError(f"{name} must be a whole number, not {_shown(value)}.")
    return int(text)


def read_share(name: str, value: object) -> float | None:
    """Return a share from 0 to 1 or None, or what such a text says.

    :param name: The argument's name.
    :param value: The argument.
    :raises ValueError: It is anything else.
    """
    if is_none(value):
        return None
    with suppress(ValueError):
        share = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        if 0 <= share <= 1:
            return share
    raise ValueError(f"{name} must be a share from 0 to 1, such as 0.2, not {_shown(value)}.")


def read_rendered(
    given: Mapping[str, tuple[Callable[[str, object], Any], object]], *, rendered: bool
) -> dict[str, Any]:
    """Return the arguments that can be read, by name: before Airflow has rendered them, those that are not templates.

    :param given: By name, what reads the argument, and the argument.
    :param rendered: Whether Airflow has rendered them.
    :raises ValueError: One is not what it must be.
    """
    return {name: read(name, value) for name, (read, value) in given.items() if rendered or not is_template(value)}


def _shown(value: Any) -> str:
    return f"{value!r:.40}" if isinstance(value, str | bool | int | float) else type(value).__name__
