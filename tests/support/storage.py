"""A storage in memory that Airflow reaches, and one that takes no more after a while."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.memory import MemoryFileSystem

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach


def attach_memory(conn_id: str, storage: MemoryFileSystem | None = None) -> None:
    """Let ``memory://CONN_ID@bucket/key`` name a place in memory.

    :param conn_id: The id of the connection that it names; no such connection is needed.
    :param storage: Where that is, if not in a storage without bounds.
    """
    attach(protocol="memory", conn_id=conn_id, fs=storage or MemoryFileSystem())


class FullStorage(MemoryFileSystem):
    """A storage that takes a part of each object.

    :param most: So many bytes.
    :param keeps: Whether it keeps that part, or refuses it when the object is closed.
    """

    cachable = False

    def __init__(self, most: int, keeps: bool) -> None:
        super().__init__()
        self._most, self._keeps = most, keeps

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open an object; bytes beyond those that it takes are refused."""
        file = super().open(path, mode, **options)
        return file if mode == "rb" else _FullObject(file, self._most, self._keeps)


class _FullObject:
    def __init__(self, file: Any, most: int, keeps: bool) -> None:
        self._file, self._left, self._keeps = file, most, keeps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        taken = self._file.write(bytes(data)[: self._left])
        self._left -= taken
        if not taken:
            raise OSError("the storage takes no more")
        return int(taken)

    def close(self) -> None:
        if not self._keeps:
            raise OSError("not committed")
        self._file.close()
