"""JSON lines on any storage that Airflow reaches."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class JsonLinesFile:
    """A file of JSON lines, written anew.

    :param path: A local path or a URI such as ``s3://conn_id@bucket/key.jsonl``.
    """

    def __init__(self, path: str | ObjectStoragePath) -> None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        self._path = ObjectStoragePath(str(path))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = self._path.open("w", encoding="utf-8")  # type: ignore[no-untyped-call]

    def write(self, line: str) -> None:
        """Write one line."""
        self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file; on some storages it is there only then."""
        self._file.close()

    @property
    def uri(self) -> str:
        """Where the file is."""
        return str(self._path)
