"""A storage in memory that Airflow reaches."""

from __future__ import annotations

from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach


def attach_memory(conn_id: str) -> None:
    """Let ``memory://CONN_ID@bucket/key`` name a place in memory.

    :param conn_id: The id of the connection that it names; no such connection is needed.
    """
    attach(protocol="memory", conn_id=conn_id, fs=MemoryFileSystem())
