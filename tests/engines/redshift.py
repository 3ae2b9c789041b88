"""Redshift, for which PostgreSQL stands in: what they share, and two functions that differ."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.support.database import Database

_AS_REDSHIFT = (
    "CREATE SCHEMA redshift",
    "CREATE FUNCTION redshift.getdate() RETURNS timestamp LANGUAGE sql AS $$SELECT now() AT TIME ZONE 'utc'$$",
    "CREATE FUNCTION redshift.version() RETURNS text LANGUAGE sql AS $$SELECT 'PostgreSQL 8.0.2, Redshift 1.0'$$",
    "ALTER DATABASE redshift SET search_path = redshift, pg_catalog",
)


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


@pytest.fixture(name="redshift")
def redshift_database(redshift_socket) -> Database:
    """A database behind a connection that says no more than that it is like PostgreSQL."""
    return Database("redshift", conn_type="postgres", host=redshift_socket, login="postgres", schema="redshift")
