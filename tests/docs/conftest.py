"""A warehouse with customers on PostgreSQL, and a local Dub that knows some of them."""

from __future__ import annotations

import json

import pytest

CUSTOMERS = [
    ("user_1", "ada@example.com", "Ada Lovelace", "GB"),
    ("user_2", "grace@example.com", "Grace Hopper", "US"),
    ("user_nobody", "nobody@example.com", "Nobody", "US"),
    ("user_3", "not an address", "Bad Row", "US"),
]


@pytest.fixture
def warehouse(postgres_socket, monkeypatch):
    """The connection ``warehouse``: PostgreSQL with the table ``customers``."""
    connection = {"conn_type": "postgres", "host": postgres_socket, "login": "postgres", "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook("warehouse")
    hook.run(
        [
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",  # as it was
            "CREATE TABLE customers (user_id text, email text, name text, country text, updated_at timestamp)",
            "ALTER TABLE customers ALTER updated_at SET DEFAULT now()",
            "ALTER TABLE customers ADD COLUMN brand text DEFAULT 'acme'",
        ]
    )
    hook.insert_rows("customers", CUSTOMERS, ["user_id", "email", "name", "country"])
    return hook
