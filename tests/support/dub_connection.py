"""A connection to Dub."""

from __future__ import annotations

import json


def dub_connection(host: str | None, key: str | None, **extra: object) -> str:
    """Return a connection to Dub, as an environment variable has it."""
    return json.dumps({"conn_type": "dub", "host": host, "password": key, "extra": extra})
