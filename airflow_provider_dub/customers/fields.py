"""The fields of a Dub customer that an update can set. A new field is one entry in :data:`FIELDS`.

Source: Dub's server, measured in August 2026. An avatar comes back as a new storage URL every time, and a customer
without a name shows its e-mail or a random one, so neither can be compared with what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from unicodedata import normalize

from airflow_provider_dub.customers import converters

__all__ = ["FIELDS", "Customer", "Field"]

#: A customer as the API shows it: ``id, name, email, avatar, externalId, stripeCustomerId, country, sales, saleAmount``
#: (cents)``, createdAt, firstSaleAt, subscriptionCanceledAt`` (ISO 8601, UTC) and, when asked for and present,
#: ``link, programId, partner, discount``.
Customer: TypeAlias = dict[str, Any]

#: What Dub's server checks a value as.
ServerType: TypeAlias = Literal["email", "text", "url", "timestamp"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a customer.

    :param name: Dub's name of the field, in camelCase.
    :param server_type: What Dub's server checks a value as.
    :param convert: Returns the value to send for a cell, or raises ValueError with a reason that does not quote it.
    :param description: What a cell may hold, for the documentation.
    :param nullable: Whether Dub takes null for the field, which clears it.
    :param strips: Whether blanks around a value mean nothing, so that they are always removed.
    :param only_if_named: Whether the field is sent only if the user names its column, whatever an input's columns are.
    :param is_comparable: Returns whether the response shows this value as it was sent.
    :param normalize: Returns one form for all values that mean the same.
    """

    name: str
    server_type: ServerType
    convert: Callable[[object], Any]
    description: str
    nullable: bool = True
    strips: bool = False
    only_if_named: bool = False
    is_comparable: Callable[[Any], bool] = lambda _sent: True
    normalize: Callable[[Any], Any] = lambda value: value

    @property
    def column(self) -> str:
        """The field's name in snake_case, as a column of an input or of a state table."""
        return re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), self.name)

    def is_applied(self, sent: Any, shown: Any) -> bool:
        """Return whether the response shows the value that was sent, as far as it can.

        :param sent: The value that was sent.
        :param shown: The value in the response.
        """
        return not self.is_comparable(sent) or bool(self.normalize(sent) == self.normalize(shown))


def _milliseconds(value: Any) -> Any:
    """Return a timestamp as Dub keeps it, to the millisecond."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, TypeError, OverflowError):
        return value


#: What may stand between the words of a column's name, and characters without width.
_BETWEEN_WORDS = str.maketrans(dict.fromkeys("_-" + converters.ZERO_WIDTH, " "))

#: By Dub's name, in the order in which Dub's server checks them.
FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field(
            name="email",
            server_type="email",
            convert=converters.email,
            strips=True,
            description="An e-mail address, at most 191 characters.",
        ),
        Field(
            name="name",
            server_type="text",
            convert=converters.text,
            is_comparable=bool,
            description="Text, at most 191 characters. A customer without a name shows its e-mail or a random name.",
        ),
        Field(
            name="avatar",
            server_type="url",
            convert=converters.avatar,
            strips=True,
            is_comparable=lambda _sent: False,
            description="An http or https URL, or `data:image/…;base64,…`. Dub stores the picture and shows a URL of "
            "its own.",
        ),
        Field(
            name="externalId",
            server_type="text",
            convert=converters.identifier,
            nullable=False,
            only_if_named=True,
            description="Your own id of the customer, unique in the workspace: text, a whole number or a UUID. "
            "A column is sent as it only if `columns` names it, since it gives the customer another id.",
        ),
        Field(
            name="stripeCustomerId",
            server_type="text",
            convert=converters.identifier,
            description="Stripe's id of the customer, unique over all workspaces of Dub.",
        ),
        Field(
            name="country",
            server_type="text",
            convert=converters.country,
            nullable=False,
            strips=True,
            description="An ISO 3166-1 alpha-2 code; it is sent in upper case.",
        ),
        Field(
            name="subscriptionCanceledAt",
            server_type="timestamp",
            convert=converters.timestamp,
            strips=True,
            normalize=_milliseconds,
            description="A date, a datetime or ISO 8601 text, in UTC where it has no time zone, or an epoch time of "
            "the years 2000 to 2100 in seconds or a finer unit.",
        ),
    )
}


def normalized_name(name: str) -> str:
    """Return one form for all ways to write the name of a column: no capitals, blanks, ``_`` or ``-``.

    :param name: A name such as ``E-Mail``, ``USER_ID`` or ``stripe customer id``.
    """
    return "".join(normalize("NFKC", name).translate(_BETWEEN_WORDS).split()).lower()


def field_named(name: object) -> Field | None:
    """Return the field that a column's name means, however it is written, or None.

    :param name: A name as in :func:`normalized_name`.
    """
    wanted = normalized_name(name) if isinstance(name, str) else None
    return next((field for field in FIELDS.values() if normalized_name(field.name) == wanted), None)


def unapplied_fields(sent: Mapping[str, Any], customer: Customer) -> list[str]:
    """Return the names of the fields that Dub accepted but does not show as they were sent.

    :param sent: The fields of the update.
    :param customer: The customer in the response.
    """
    return [
        name
        for name, value in sent.items()
        if name not in customer or not FIELDS[name].is_applied(value, customer[name])
    ]
