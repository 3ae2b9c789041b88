"""The fields of a Dub customer that a sync can set: how a cell becomes a value, and how to see that it was applied.

Source: Dub's server, measured in August 2026. An avatar comes back as a new storage URL every time, and a customer
without a name shows its e-mail or a random one, so neither can be compared with what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_dub.api.customers import UPDATABLE_FIELDS, Customer
from airflow_provider_dub.sync import values


@dataclass(frozen=True)
class Field:
    """One field of a customer.

    :param name: Dub's name of it.
    :param convert: Turns a cell into the value to send, or raises ValueError with a reason.
    :param clearable: Whether Dub takes null for it.
    :param tells: Whether Dub shows this value as it was sent.
    :param normal: Brings values that mean the same into one form.
    """

    name: str
    convert: Callable[[object], str]
    clearable: bool = True
    tells: Callable[[str | None], bool] = lambda _sent: True
    normal: Callable[[Any], Any] = lambda value: value

    def shown(self, sent: str | None, answered: Any) -> bool:
        """Tell whether the answer shows the value that was sent, as far as it can."""
        return not self.tells(sent) or bool(self.normal(sent) == self.normal(answered))


def _moment(value: Any) -> Any:
    """Return a moment as Dub keeps it, to the millisecond."""
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, TypeError, OverflowError):
        return value


_FIELDS = (
    Field("email", values.email),
    Field("name", values.text, tells=bool),
    Field("avatar", values.avatar, tells=lambda _sent: False),
    Field("externalId", values.identifier, clearable=False),
    Field("stripeCustomerId", values.identifier),
    Field("country", values.country, clearable=False),
    Field("subscriptionCanceledAt", values.timestamp, normal=_moment),
)
FIELDS: dict[str, Field] = {field.name: field for field in _FIELDS}
assert tuple(FIELDS) == UPDATABLE_FIELDS  # noqa: S101 - the API's list and ours are one


def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), name)


#: The fields by every spelling of a column that means them: camelCase, as Dub has it, and snake_case.
FIELDS_BY_COLUMN = {spelling: field for field in _FIELDS for spelling in (field.name, _snake_case(field.name))}


def field_named(name: object) -> Field | None:
    """Return the field that a column's name means, in Dub's spelling or in snake_case."""
    return FIELDS_BY_COLUMN.get(name) if isinstance(name, str) else None


def not_applied(sent: Mapping[str, str | None], answer: Customer) -> list[str]:
    """Return the names of the fields that Dub accepted but does not show as sent.

    :param sent: The fields of the update.
    :param answer: The customer as Dub answered.
    """
    return [name for name, value in sent.items() if name not in answer or not FIELDS[name].shown(value, answer[name])]
