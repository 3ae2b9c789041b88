"""From the raw request path to what it names, as the web framework beneath Dub reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_provider_dub.emulator.errors import PageError, RedirectError

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HERE = (".", "%2e")
_UP = ("..", ".%2e", "%2e.", "%2e%2e")


@dataclass(frozen=True)
class Target:
    """What a path names: ``customers``, ``count``, ``export``, or one ``customer`` by its decoded id segment."""

    resource: str
    customer_id: str = ""


def resolve(raw_path: str) -> Target:
    """Return what a path names that has not been decoded yet.

    :param raw_path: The path as sent, without the query.
    """
    path = raw_path.partition("#")[0]
    if "\\" in path or "//" in path:
        raise RedirectError(re.sub(r"[\\/]+", "/", path))
    path = _without_dot_segments(path)
    if path != "/" and path.endswith("/"):
        raise RedirectError(path.rstrip("/"))
    _check_escapes(path)
    # The framework takes a trailing ".rsc" for its own and drops it.
    # It rewrites /customers to /api/customers, where the routes are.
    match path.removesuffix(".rsc").removeprefix("/api").split("/")[1:]:
        case ["customers"]:
            return Target("customers")
        case ["customers", ("count" | "export") as resource]:
            return Target(resource)
        case ["customers", segment]:
            return Target("customer", unquote(segment))
    raise PageError(404, "This page could not be found.")


def _without_dot_segments(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment.lower() in _UP:
            kept = kept[:-1]
        elif segment.lower() not in _HERE:
            kept.append(segment)
    ends_in_directory = segments[-1:] and segments[-1].lower() in (*_HERE, *_UP)
    return "/" + "/".join(kept) + ("/" if ends_in_directory and kept else "")


def _check_escapes(path: str) -> None:
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise PageError(500, "Internal Server Error") from None
    if _MALFORMED_ESCAPE.search(path):
        raise PageError(500, "Internal Server Error")
