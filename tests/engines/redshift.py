"""Redshift, for which PostgreSQL stands in: what they share, and the function that Redshift adds."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.support.database import Database

_GETDATE = "CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT now() AT TIME ZONE ''utc'''"


@pytest.fixture(scope="session")
def redshift_socket(postgres_socket) -> str:
    """The socket of a PostgreSQL with a database ``redshift``."""
    import psycopg2

    for database, statement in (("postgres", "CREATE DATABASE redshift"), ("redshift", _GETDATE)):
        with closing(psycopg2.connect(host=postgres_socket, user="postgres", dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
    return postgres_socket


@pytest.fixture(name="redshift")
def redshift_database(redshift_socket) -> Database:
    """A database that is written to in Redshift's dialect."""
    return Database("redshift", conn_type="postgres", host=redshift_socket, login="postgres", schema="redshift")
