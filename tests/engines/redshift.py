"""Redshift, for which PostgreSQL stands in: what they share, two functions that differ, and how texts are compared.

Where Redshift's own driver is installed it is reached by that, through Airflow's hook; else like PostgreSQL.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.engines.stand_ins import installed
from tests.support.database import Database


def _comparison(name: str, result: str, compared: str) -> str:
    """Return the statement for a function to which blanks at the end of a text do not count, by Redshift's docs."""
    compared = compared.format("rtrim($1, ' ')", "rtrim($2, ' ')")
    return (
        f"CREATE FUNCTION redshift.{name}(text, text) RETURNS {result} LANGUAGE sql IMMUTABLE AS $$SELECT {compared}$$"
    )


_ROWS_ARE_COMPARED = """
CREATE OPERATOR CLASS redshift.texts FOR TYPE text USING btree
AS OPERATOR 3 redshift.=, FUNCTION 1 redshift.order_of(text, text)
"""
_AS_REDSHIFT = (
    "CREATE SCHEMA redshift",
    _comparison("same", "boolean", "{} OPERATOR(pg_catalog.=) {}"),
    _comparison("differ", "boolean", "{} OPERATOR(pg_catalog.<>) {}"),
    _comparison("order_of", "integer", "bttextcmp({}, {})"),
    "CREATE OPERATOR redshift.= (FUNCTION = redshift.same, LEFTARG = text, RIGHTARG = text)",
    "CREATE OPERATOR redshift.<> (FUNCTION = redshift.differ, LEFTARG = text, RIGHTARG = text)",
    _ROWS_ARE_COMPARED,
    "CREATE FUNCTION redshift.getdate() RETURNS timestamp LANGUAGE sql AS $$SELECT now() AT TIME ZONE 'utc'$$",
    "CREATE FUNCTION redshift.version() RETURNS text LANGUAGE sql AS $$SELECT 'PostgreSQL 8.0.2, Redshift 1.0'$$",
    "ALTER DATABASE redshift SET search_path = redshift, pg_catalog",
)
_SPOKEN_BY_BOTH = (b"user", b"database")


@pytest.fixture(scope="session")
def redshift_socket(postgres_socket) -> str:
    """The socket of a PostgreSQL with a database ``redshift`` that says it is one."""
    import psycopg2

    for database, statements in (("postgres", ("CREATE DATABASE redshift",)), ("redshift", _AS_REDSHIFT)):
        with closing(psycopg2.connect(host=postgres_socket, user="postgres", dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
    return postgres_socket


@pytest.fixture(scope="session")
def redshift_relay(redshift_socket, tmp_path_factory) -> Iterator[str]:
    """A socket at which Redshift's own driver is understood."""
    relay = str(tmp_path_factory.mktemp("redshift") / "socket")
    with _relay(relay, f"{redshift_socket}/.s.PGSQL.5432"):
        yield relay


@pytest.fixture(name="redshift")
def redshift_database(request, redshift_socket) -> Database:
    """A database behind a connection of Redshift, or one that says no more than that it is like PostgreSQL."""
    login = {"login": "postgres", "schema": "redshift"}
    if "redshift" not in installed():
        return Database("redshift", conn_type="postgres", host=redshift_socket, **login)
    extra = {"unix_sock": request.getfixturevalue("redshift_relay"), "ssl": False, "application_name": "tests"}
    return Database("redshift", conn_type="redshift", password="none is asked for", extra=extra, **login)


@contextmanager
def _relay(path: str, server: str) -> Iterator[None]:
    """Pass connections on to a server, without what only Redshift knows of their start."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(200)
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, path: str) -> None:
    with suppress(OSError):  # it was shut down
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            threading.Thread(target=_begin, args=(client, server), daemon=True).start()


def _begin(client: socket.socket, server: socket.socket) -> None:
    (length,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
    start = client.recv(length - 4, socket.MSG_WAITALL)
    words = start[4:].split(b"\0")
    given = dict(zip(words[::2], words[1::2], strict=False))
    kept = start[:4] + b"".join(name + b"\0" + given[name] + b"\0" for name in _SPOKEN_BY_BOTH) + b"\0"
    server.sendall(struct.pack("!i", len(kept) + 4) + kept)
    threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
    _pass_on(client, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while sent := source.recv(65536):
            target.sendall(sent)
    for one in (source, target):
        with suppress(OSError):  # it is closed
            one.shutdown(socket.SHUT_RDWR)
