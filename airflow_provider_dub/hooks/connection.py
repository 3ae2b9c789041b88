"""What an Airflow connection says about Dub, checked: key, address and extras."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_dub.api import DEFAULT_BASE_URL, DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
from airflow_provider_dub.exceptions import DubConfigurationError
from airflow_provider_dub.get_provider_info import CONN_FIELDS, CONN_TYPE
from airflow_provider_dub.hooks.workspace import Workspace

if TYPE_CHECKING:
    from airflow_provider_dub.version_compat import Connection

#: Forms of old Airflows have this in front of each extra, and the Test button of 2.11 sends them both ways.
_OLD_FORM = f"extra__{CONN_TYPE}__"


@dataclass(frozen=True)
class DubSettings:
    """The settings of a connection, after the arguments of a hook and the defaults.

    :param base_url: Scheme, host and port, without a trailing slash.
    :param api_key: The API key.
    :param timeout: Seconds for one request and its whole response.
    :param max_retries: Retries of one request after a transient failure.
    :param requests_per_minute: The user's own limit.
    :param workspace_slug: The workspace that the key must belong to.
    :param verify: Whether to check the server's certificate, or the path of a CA bundle.
    :param https_assumed: Whether the host came without a scheme.
    :param unknown_extras: Names of extras that mean nothing here.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    requests_per_minute: int | None = None
    workspace_slug: str | None = None
    verify: bool | str = True
    https_assumed: bool = False
    unknown_extras: tuple[str, ...] = ()

    @classmethod
    def read(cls, connection: Connection, arguments: Mapping[str, Any]) -> DubSettings:
        """Read a connection.

        :param connection: The Airflow connection.
        :param arguments: Settings that take precedence over the connection's extras; a blank one counts as not given.
        :raises DubConfigurationError: There is no key, or a setting cannot work.
        """
        extras = _extras(connection)
        of_old_form = {name.removeprefix(_OLD_FORM): extras[name] for name in extras if name.startswith(_OLD_FORM)}
        settings = {
            name: _checked(name, value, str(connection.conn_id))
            for name, value in (_given(of_old_form) | _given(extras) | _given(arguments)).items()
            if name in CONN_FIELDS
        }
        return cls(
            base_url=_base_url(connection),
            api_key=_api_key(connection),
            https_assumed=_has_no_scheme(connection),
            unknown_extras=_unknown(extras, str(connection.conn_id)),
            **settings,
        )

    @property
    def workspace(self) -> Workspace:
        """The workspace, as far as the connection knows it."""
        return Workspace(self.base_url, self.workspace_slug)

    def fingerprint_key(self, *settings: Any) -> bytes:
        """Return a key for fingerprints that changes with the API key, the address, the workspace and these settings.

        Whoever does not have the API key can neither make such fingerprints nor find out what they are of.

        :param settings: As JSON.
        """
        parts = [self.api_key, self.base_url, self.workspace_slug, *settings]
        return hashlib.blake2b(json.dumps(parts).encode()).digest()


_DEFAULT_PORTS = {"https": 443, "http": 80}
#: What a bearer token may consist of; Dub's keys have less.
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
#: More than Dub lets a slug have, and nothing that means something in an address.
_SLUG = re.compile(r"[A-Za-z0-9_-]+")
#: Dub takes such a name for the id of a workspace. A key goes before an id, so that it would guard nothing.
_ID_PREFIX = "ws_"


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _plain(value: object) -> str:
    """Return a field of a connection as text; a secrets backend may give a number."""
    return "" if value is None else str(value).strip()


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if not _is_blank(value)}


def _extras(connection: Connection) -> Mapping[str, Any]:
    """Return the extras. Airflow itself would go on without any where it cannot read them."""
    extras: Any = connection.extra
    if _is_blank(extras):
        return {}
    if isinstance(extras, str):
        with suppress(ValueError):
            extras = json.loads(extras)
    if not isinstance(extras, Mapping):
        raise DubConfigurationError(
            f"The extra of the connection {connection.conn_id} is not a JSON object, so none of its settings would "
            'apply. Write it like {"workspace_slug": "acme"}: in double quotes, and without a comma after the last.'
        )
    return extras


def _unknown(extras: Mapping[str, Any], conn_id: str) -> tuple[str, ...]:
    unknown = tuple(name for name in extras if name.removeprefix(_OLD_FORM) not in CONN_FIELDS)
    known = {_letters(name): name for name in CONN_FIELDS}
    for name in unknown:
        if meant := known.get(_letters(name.removeprefix(_OLD_FORM))):
            raise DubConfigurationError(f'The extra "{name}" of the connection {conn_id} must be called {meant}.')
    return unknown


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _api_key(connection: Connection) -> str:
    key = _plain(connection.password).removeprefix("Bearer").strip()
    if not key:
        raise DubConfigurationError(
            f"The connection {connection.conn_id} has no API key: put one of the workspace's keys "
            "(Dub: Settings > API keys) into its password."
        )
    if not _KEY.fullmatch(key):
        raise DubConfigurationError(
            f"The API key in the connection {connection.conn_id} holds characters that no key has; paste it again: "
            "dub_ followed by letters and digits, without quotes or blanks."
        )
    if key != connection.password:  # which is what Airflow masks
        from airflow_provider_dub.version_compat import mask_secret

        mask_secret(key)
    return key


def _base_url(connection: Connection) -> str:
    host, scheme, port = _plain(connection.host), _plain(connection.schema) or "https", _port(connection)
    if "://" not in host and scheme.lower() not in _DEFAULT_PORTS:
        raise DubConfigurationError(
            f"The schema of the connection {connection.conn_id} must be https, http or empty; the slug of a workspace "
            "is the extra workspace_slug. Forms hide the schema: if it is left from another type, delete the "
            "connection and add it again."
        )
    if not host:
        return DEFAULT_BASE_URL
    with suppress(ValueError):
        IPv6Address(host)
        host = f"[{host}]"  # Airflow takes the brackets of a URI away
    url = host if "://" in host else f"{scheme}://{host}"
    try:
        parts = urlsplit(url)
        port = parts.port or port
    except ValueError:
        parts = urlsplit("")
    unusable = parts.query or parts.fragment or "@" in parts.netloc or " " in url
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or unusable:
        raise DubConfigurationError(
            f"The host of the connection {connection.conn_id} is not a base URL such as {DEFAULT_BASE_URL}."
        )
    if parts.scheme == "http" and _is_dubs(parts.hostname):
        raise DubConfigurationError(
            f"The connection {connection.conn_id} would send the API key to Dub in clear text: use https, as in "
            f"{DEFAULT_BASE_URL}."
        )
    if port == _DEFAULT_PORTS[parts.scheme]:
        port = None  # one Dub has one address, to a state table for instance
    hostname = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{hostname}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _port(connection: Connection) -> int | None:
    try:
        port = int(_plain(connection.port) or 0)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise DubConfigurationError(
            f"The port of the connection {connection.conn_id} must be a number from 1 to 65535, or empty."
        )
    return port or None  # the Test button of Airflow 3.3 sends 0 for none


def _is_dubs(hostname: str) -> bool:
    return f".{hostname.rstrip('.')}".endswith(".dub.co")


def _has_no_scheme(connection: Connection) -> bool:
    host = _plain(connection.host)
    return bool(host) and "://" not in host and not _plain(connection.schema)


def _checked(name: str, value: object, conn_id: str) -> Any:
    convert, wanted = SETTINGS[name]
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        wanted = wanted.format(**CONN_FIELDS[name]["schema"])
        raise DubConfigurationError(f"{name} (of the connection {conn_id} or the hook) must be {wanted}.") from None


def _number(name: str, kind: Callable[[Any], float]) -> Callable[[Any], float]:
    """Return what reads a number within the bounds that the connection form has for it."""
    schema = CONN_FIELDS[name]["schema"]

    def convert(value: Any) -> float:
        number = kind(value)
        is_number = not isinstance(value, bool) and number == float(value)
        if not (is_number and schema["minimum"] <= number <= schema.get("maximum", number)):
            raise ValueError(value)
        return number

    return convert


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value.strip()


def _slug(value: Any) -> str:
    slug = _text(value)
    if not _SLUG.fullmatch(slug) or slug.lower().startswith(_ID_PREFIX):
        raise ValueError(value)
    return slug


def _verify(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(_text(value).lower(), _text(value))


#: By setting, what reads it, and what it must be.
SETTINGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "timeout": (_number("timeout", float), "a number of seconds from {minimum} to {maximum}"),
    "max_retries": (_number("max_retries", int), "a whole number, {minimum} or more"),
    "requests_per_minute": (_number("requests_per_minute", int), "a whole number, {minimum} or more"),
    "workspace_slug": (_slug, "the slug of a workspace as in app.dub.co/<slug>, not its id or its name"),
    "verify": (_verify, "true, false or the path of a CA bundle"),
}
