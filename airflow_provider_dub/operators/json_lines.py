"""JSON lines on any storage that Airflow reaches."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dub.version_compat import ObjectStoragePath


class JsonLinesFile:
    """A file of JSON lines, written anew.

    :param path: A local path or a URI such as ``s3://conn_id@bucket/key.jsonl``.
    """

    def __init__(self, path: str | ObjectStoragePath) -> None:
        from airflow_provider_dub.version_compat import ObjectStoragePath

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


def names_same_file(one: Any, other: Any) -> bool:
    """Return whether two paths or URIs name one file: ``/tmp/x`` and ``file:///tmp/x`` do.

    :param one: A path or URI.
    :param other: A path or URI, or anything else, which names no file.
    """
    from airflow_provider_dub.version_compat import ObjectStoragePath

    if not isinstance(other, str | os.PathLike | ObjectStoragePath):
        return False
    first, second = (_place(ObjectStoragePath(str(path))) for path in (one, other))
    return first == second


def _place(path: ObjectStoragePath) -> str:
    is_local = path.protocol in ("", "file", "local")
    return os.path.realpath(path.path) if is_local else str(path)
